from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.pipeline import FakeClock, FakeConnect, FakeConnector, FakeTopics
from fakes.verification import PARTITION, REACH, TOPIC, FakeReplica, FakeSource
from stroke.application.pipeline.catch_up import CatchingUp
from stroke.application.pipeline.consistency import LISTED, Comparison, Discrepancy
from stroke.application.pipeline.verification import PipelineVerifier
from stroke.domain.errors import ConnectUnavailable, ReplicaBehind, ReplicaUnavailable

pytestmark = pytest.mark.anyio

SOURCE_CONNECTOR = "source"
IDS = st.integers(1, 60) | st.sampled_from([0, -3, 10**6, 10**12, 2**63 - 1])
ROWS = st.dictionaries(IDS, st.sampled_from([b"a", b"b"]), max_size=40)


class Pipeline:
    """A verifier with all of its fakes."""

    def __init__(self, rows: Mapping[int, bytes], *copies: FakeReplica) -> None:
        self.source = FakeSource(rows)
        self.copies = list(copies)
        self.source.copies = self.copies
        self.progress = FakeConnect({})
        self.progress.connectors[SOURCE_CONNECTOR] = FakeConnector({}, kind="source", position="7")
        self.topics = FakeTopics()
        self.topics.last[PARTITION] = 41
        self.clock = FakeClock()
        catching_up = CatchingUp(
            self.source,
            self.progress,
            self.topics,
            topic=TOPIC,
            source_connector=SOURCE_CONNECTOR,
            now=self.clock,
            sleep=self.clock.sleep,
        )
        self.verifier = PipelineVerifier(self.source, self.copies, catching_up)


def rows(ids: Sequence[int], digest: bytes = b"a") -> dict[int, bytes]:
    return dict.fromkeys(ids, digest)


async def test_equal_copies_are_equal() -> None:
    pipeline = Pipeline(
        rows(range(1, 26)), FakeReplica(rows(range(1, 26))), FakeReplica(rows(range(1, 26)))
    )

    comparisons = await pipeline.verifier.verify(chunk_size=10)

    assert [(c.is_equal, c.rows) for c in comparisons] == [(True, 25), (True, 25)]


async def test_nothing_equals_nothing() -> None:
    [comparison] = await Pipeline({}, FakeReplica({})).verifier.verify()

    assert comparison == Comparison("sql")


@given(ROWS, ROWS, st.integers(1, 7))
async def test_any_set_of_changes_is_reported_exactly(
    truth: dict[int, bytes], copy: dict[int, bytes], chunk_size: int
) -> None:
    [comparison] = await Pipeline(truth, FakeReplica(copy)).verifier.verify(chunk_size=chunk_size)

    assert comparison == Comparison(
        "sql",
        rows=len(truth),
        missing=sorted(truth.keys() - copy.keys()),
        extra=sorted(copy.keys() - truth.keys()),
        different=sorted(n for n in truth.keys() & copy.keys() if truth[n] != copy[n]),
    )


async def test_each_copy_is_judged_by_itself() -> None:
    pipeline = Pipeline(
        rows([1, 2, 3]), FakeReplica(rows([1, 2]), name="sql"), FakeReplica(rows([2, 3]), name="s3")
    )

    sql, s3 = await pipeline.verifier.verify()

    assert (sql.replica, sql.missing) == ("sql", [3])
    assert (s3.replica, s3.missing) == ("s3", [1])


async def test_events_that_are_stored_twice_are_counted_over_all_chunks() -> None:
    pipeline = Pipeline(rows(range(30)), FakeReplica(rows(range(30)), twice=[3, 17, 17, 29]))

    [comparison] = await pipeline.verifier.verify(chunk_size=5)

    assert comparison.duplicates == 4
    assert not comparison.is_equal


async def test_a_row_that_moves_between_the_two_readings_is_no_discrepancy() -> None:
    pipeline = Pipeline(rows([1, 2]), FakeReplica(rows([1, 2])))

    def change_everything() -> None:
        changed = {1: b"b", 3: b"c"}
        pipeline.source.rows = pipeline.copies[0].rows = changed

    pipeline.source.after_reading = change_everything

    [comparison] = await pipeline.verifier.verify()

    assert comparison.is_equal


async def test_a_row_that_reaches_the_copy_later_is_waited_for() -> None:
    pipeline = Pipeline(rows([1, 2]), FakeReplica(rows([1])))
    [copy] = pipeline.copies
    copy.at = pipeline.topics.last[PARTITION]

    def commit() -> None:
        pipeline.topics.last[PARTITION] = 50

    def arrive() -> None:
        copy.rows, copy.at = rows([1, 2]), 50

    pipeline.source.after_reading = commit
    pipeline.clock.meanwhile = arrive

    [comparison] = await pipeline.verifier.verify()

    assert comparison.is_equal
    assert pipeline.clock.seconds > 0


async def test_a_wrong_row_is_found_although_another_never_rests() -> None:
    pipeline = Pipeline(rows([1, 2]), FakeReplica(rows([1, 2], b"stale")))

    def change_the_first() -> None:
        pipeline.source.rows[1] += b"+"

    pipeline.source.after_reading = change_the_first

    [comparison] = await pipeline.verifier.verify()

    assert comparison.different == [1, 2]  # rather one too many than one too few


async def test_a_gap_of_ids_costs_few_readings() -> None:
    ids = [*range(1, 50), 10**15, 2**62]
    pipeline = Pipeline(rows(ids), FakeReplica(rows(ids)))

    [comparison] = await pipeline.verifier.verify(chunk_size=10)

    assert comparison.is_equal
    assert len(pipeline.source.read) < 100


async def test_no_reading_is_large_where_only_the_copy_has_rows() -> None:
    copy = FakeReplica(rows(range(1, 3000)))
    pipeline = Pipeline(rows([1, 3001]), copy)

    [comparison] = await pipeline.verifier.verify(chunk_size=10)

    assert comparison.extra == list(range(2, 3000))
    assert comparison.missing == [3001]
    assert max(found for _, _, found in copy.read) <= 160


async def test_more_doubts_than_are_kept_at_a_time_are_counted_all_the_same() -> None:
    pipeline = Pipeline(dict.fromkeys(range(120000), b"a"), FakeReplica({}))

    [comparison] = await pipeline.verifier.verify(chunk_size=60_000)

    assert comparison.count(Discrepancy.MISSING) == 120_000
    assert comparison.missing == list(range(100_000))


async def test_progress_ends_at_the_whole() -> None:
    progress: list[tuple[int, int]] = []
    pipeline = Pipeline(rows(range(1, 31)), FakeReplica(rows(range(1, 31))))

    await pipeline.verifier.verify(
        chunk_size=10, on_progress=lambda done, total: progress.append((done, total))
    )

    assert progress == [(10, 30), (20, 30), (30, 30)]


async def test_a_source_connector_that_does_not_send_is_named() -> None:
    pipeline = Pipeline(rows([1]), FakeReplica(rows([1])))
    pipeline.progress.connectors[SOURCE_CONNECTOR].position = "6"

    with pytest.raises(ReplicaBehind, match=r"source did not send .* within 5 s"):
        await pipeline.verifier.verify(timeout=5)

    assert pipeline.source.read == []
    assert pipeline.clock.seconds >= 5


async def test_a_copy_that_is_behind_is_named_with_the_point_that_it_did_not_reach() -> None:
    pipeline = Pipeline(rows([1]), FakeReplica(rows([1])), FakeReplica(rows([1]), name="s3"))
    pipeline.copies[1].at = 40

    with pytest.raises(ReplicaBehind, match="s3 did not reach 0:41 of changes"):
        await pipeline.verifier.verify(timeout=5)


async def test_a_part_that_is_away_for_a_while_is_waited_for() -> None:
    pipeline = Pipeline(rows([1]), FakeReplica(rows([1])))
    pipeline.progress.failing = ConnectUnavailable("rebalancing")
    pipeline.copies[0].failing = ReplicaUnavailable("away")

    def recover() -> None:
        if pipeline.clock.seconds > 2:
            pipeline.progress.failing = None
        if pipeline.clock.seconds > 4:
            pipeline.copies[0].failing = None

    pipeline.clock.meanwhile = recover
    [comparison] = await pipeline.verifier.verify(timeout=10)

    assert comparison.is_equal


async def test_a_part_that_stays_away_is_named_by_its_own_error() -> None:
    pipeline = Pipeline(rows([1]), FakeReplica(rows([1])))
    pipeline.copies[0].failing = ReplicaUnavailable("away")

    with pytest.raises(ReplicaUnavailable, match="away"):
        await pipeline.verifier.verify(timeout=10)


@given(ROWS, ROWS, ROWS)
async def test_a_repair_mends_every_copy_but_for_ids_that_no_row_can_have_had(
    truth: dict[int, bytes], one: dict[int, bytes], other: dict[int, bytes]
) -> None:
    pipeline = Pipeline(truth, FakeReplica(one), FakeReplica(other))
    extra = (one.keys() | other.keys()) - truth.keys()
    impossible = {n for n in extra if n not in range(1, max(truth, default=0) + REACH + 1)}
    left = [{n: row for n, row in rows.items() if n in impossible} for rows in (one, other)]

    repair = await pipeline.verifier.repair(await pipeline.verifier.verify(chunk_size=5))

    assert [c.extra for c in repair.comparisons] == [sorted(rows) for rows in left]
    assert [c.missing + c.different for c in repair.comparisons] == [[], []]
    assert [copy.rows for copy in pipeline.copies] == [truth | rows for rows in left]
    assert repair.passed_over == sorted(impossible)
    assert repair.deleted == len(extra - impossible)


async def test_a_repair_asks_for_no_id_twice_and_for_none_that_is_right() -> None:
    pipeline = Pipeline(rows(range(6)), FakeReplica(rows([0, 1])), FakeReplica(rows([0, 2, 3])))

    repair = await pipeline.verifier.repair(await pipeline.verifier.verify())

    assert pipeline.source.sent == [[1, 2, 3, 4, 5]]
    assert (repair.sent, repair.deleted) == (5, 0)


async def test_a_repair_names_the_ids_that_mysql_cannot_tell_of() -> None:
    pipeline = Pipeline(rows([1]), FakeReplica(rows([1, 2, 3])))
    pipeline.source.unsent = {3}

    repair = await pipeline.verifier.repair(await pipeline.verifier.verify())

    assert (repair.deleted, repair.passed_over) == (1, [3])


async def test_a_row_that_the_copy_refuses_again_is_left_for_the_next_comparison() -> None:
    pipeline = Pipeline(rows([1, 2]), FakeReplica({}))
    pipeline.source.stuck = {2}

    repair = await pipeline.verifier.repair(await pipeline.verifier.verify(), timeout=5)

    assert repair.comparisons[0].missing == [2]
    assert 5 <= pipeline.clock.seconds < 10


async def test_ids_beyond_those_listed_are_repaired_as_well() -> None:
    ids = range(LISTED + 10)
    pipeline = Pipeline(rows(ids), FakeReplica({}))
    first = await pipeline.verifier.verify(chunk_size=60_000)

    repair = await pipeline.verifier.repair(first, chunk_size=60_000)

    assert repair.comparisons[0].is_equal
    assert repair.sent == LISTED + 10
    assert [len(wave) for wave in pipeline.source.sent] == [LISTED, 10]


async def test_a_repair_waits_no_longer_than_a_copy_that_has_to_be_read_afresh_needs() -> None:
    pipeline = Pipeline(rows([1, 2]), FakeReplica(rows([1, 3]), lags=True))

    repair = await pipeline.verifier.repair(await pipeline.verifier.verify(), timeout=50)

    assert repair.comparisons[0].is_equal
    assert pipeline.clock.seconds < 1


async def test_a_repair_of_nothing_does_nothing() -> None:
    pipeline = Pipeline(rows([1]), FakeReplica(rows([1])))

    await pipeline.verifier.repair(await pipeline.verifier.verify())

    assert (pipeline.source.sent, pipeline.source.sent_deletes) == ([], [])
