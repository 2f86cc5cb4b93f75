"""What only the copies have, and how it comes back."""

from __future__ import annotations

import pytest

from contracts.copies import digest, stored_row
from fakes.verification import FakeReplica, FakeSource
from stroke.application.pipeline.bring_back import OnlyInCopies, bring_back, only_in_copies
from stroke.application.pipeline.consistency import Comparison

pytestmark = pytest.mark.anyio


def extra(replica: str, *ids: int) -> Comparison:
    return Comparison(replica, extra=list(ids), missing=[1])


def test_what_the_log_has_comes_from_it_and_what_only_another_copy_has_is_doubtful() -> None:
    found = only_in_copies([extra("sql", 3, 4, 9), extra("s3", 3, 4, 5)], log="s3")

    assert found == OnlyInCopies({"s3": [3, 4, 5]}, (9,))
    assert found.count == 3


def test_a_copy_that_is_named_alone_is_believed() -> None:
    assert only_in_copies([extra("sql", 3)], log="s3") == OnlyInCopies({"sql": [3]})


@pytest.mark.parametrize("replica", ["sql", "s3"])
def test_where_no_row_is_extra_none_comes_back(replica: str) -> None:
    assert only_in_copies([extra(replica)], log="s3") == OnlyInCopies()


async def test_rows_come_back_with_their_ids_and_others_stay() -> None:
    source = FakeSource({1: digest(1), 7: digest(7)})
    log = FakeReplica({}, name="s3")
    for number in (1, 2, 900_000):
        log.rows[number] = digest(number, "from the log")
        log.whole[number] = stored_row(number, "from the log")
    found = OnlyInCopies({"s3": [2, 900_000]})

    assert await bring_back(source, [log], found, chunk_size=10) == [2, 900_000]

    assert source.rows == {
        1: digest(1),
        7: digest(7),
        2: digest(2, "from the log"),
        900_000: digest(900_000, "from the log"),
    }


async def test_a_row_that_left_the_copy_meanwhile_is_not_brought_back() -> None:
    source = FakeSource({})

    assert (
        await bring_back(source, [FakeReplica({})], OnlyInCopies({"sql": [2]}), chunk_size=9) == []
    )
    assert source.rows == {}
