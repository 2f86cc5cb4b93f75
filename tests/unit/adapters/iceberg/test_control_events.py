"""Of whom records of the sink's control topic may hold values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.control_events import COLUMNS, WRITTEN, data_written, start_commit
from stroke.adapters.iceberg.control_events import reader_of

ALL = frozenset({1, 16, 17, 20, 23, 24, 2**63 - 1, 2**70})
about = reader_of(COLUMNS)


def test_a_record_that_iceberg_wrote_is_about_the_ids_within_the_bounds_of_its_file() -> None:
    assert about(WRITTEN, ALL) == {17, 20, 23}
    assert about(WRITTEN, frozenset({16, 24})) == frozenset()


def test_a_record_with_bounds_of_ids_alone_tells_of_nobody() -> None:
    assert about(data_written(17, 23, name=None), ALL) == frozenset()
    assert about(data_written(None, None, name=None), ALL) == frozenset()


def test_a_record_that_names_no_file_tells_of_nobody() -> None:
    assert about(start_commit(), ALL) == frozenset()


def test_bounds_of_values_without_bounds_of_ids_may_be_anybodys() -> None:
    assert about(data_written(None, None, name="Canary"), ALL) == ALL


def test_without_the_table_nobody_knows_which_bounds_are_those_of_ids() -> None:
    assert reader_of({})(data_written(17, 23, name=None), ALL) == ALL


@pytest.mark.parametrize(
    "record", [b"", b"{}", WRITTEN[1:], WRITTEN[:-40], WRITTEN[:300], b"\xc2\x01\x00\x02[]"]
)
def test_a_record_that_cannot_be_read_may_be_about_anybody(record: bytes) -> None:
    assert about(record, ALL) == ALL


@given(st.binary(max_size=200), st.integers(0, len(WRITTEN)))
def test_no_bytes_are_an_error(noise: bytes, kept: int) -> None:
    assert about(WRITTEN[:kept] + noise, ALL) <= ALL


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), st.sets(st.integers(0, 2**63 - 1)))
def test_every_id_between_the_bounds_is_meant_and_no_other(
    one: int, two: int, ids: set[int]
) -> None:
    low, high = sorted((one, two))
    record = data_written(low, high, name="Canary")
    wanted = frozenset(ids | {low, high})
    assert about(record, wanted) == {each for each in wanted if low <= each <= high}
