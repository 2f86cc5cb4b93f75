"""Behaviour that sources, copies and change logs share with their fakes (see ``contracts``).

A source and a replica are held to the same digest of a row, so that one is the other's judge.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

import pytest

from stroke.application.pipeline.consistency import Lineage, ReplicaChunk, Row, row_digest
from stroke.application.pipeline.kafka_connect_model import TopicPartition
from stroke.application.pipeline.ports import ChangeLog, Replica, SourceOfTruth
from stroke.domain.errors import ReplicaUnavailable, StoreUnavailable
from stroke.domain.prediction import LARGEST_ID

COLUMNS: Final = {"id": "bigint", "name": "varchar", "prediction_data": "json"}
"""The types of the columns that rows of these suites fill, as a source tells them."""
DOCUMENT: Final = '{"b": 1.0, "a": [1]}'
"""What each row holds in ``prediction_data``."""
NAME: Final = "Ünïcödé 山田 😀 O'Brien % \\ "


def stored_row(number: int, name: str = NAME) -> Row:
    """Return a row of these suites as copies tell it."""
    return {"id": number, "name": name, "prediction_data": '{"a":[1],"b":1}'}


def digest(number: int, name: str = NAME) -> bytes:
    """Return the digest of a row of these suites."""
    return row_digest(stored_row(number, name))


class TruthStage(ABC):
    """A source without rows, and a way to give it some."""

    source: SourceOfTruth

    @abstractmethod
    async def store(self, number: int, name: str = NAME) -> None:
        """Commit one row, new or changed."""

    async def digests(self) -> dict[int, bytes]:
        """Return all that the source shows."""
        return dict((await self.source.chunk(1, LARGEST_ID)).digests)


@pytest.mark.anyio
class SourceOfTruthContract:
    """Provide fixtures ``truth``, new for each test, and ``away``: a source that is away."""

    async def test_an_empty_source_has_no_bounds_and_no_rows(self, truth: TruthStage) -> None:
        assert await truth.source.bounds() is None
        assert await truth.source.boundary(1, 1) is None
        assert await truth.digests() == {}

    async def test_rows_are_counted(self, truth: TruthStage) -> None:
        assert await truth.source.count() == 0
        await truth.store(3)
        await truth.store(2**62)
        await truth.store(3, "changed")

        assert await truth.source.count() == 2

    async def test_bounds_and_chunks_follow_the_ids_and_take_both_ends(
        self, truth: TruthStage
    ) -> None:
        for number in (90, 3, 5, 2**62):
            await truth.store(number)

        assert await truth.source.bounds() == (3, 2**62)
        assert (await truth.source.chunk(3, 5)).digests.keys() == {3, 5}
        assert (await truth.source.chunk(4, 2**62 - 1)).digests.keys() == {5, 90}
        assert (await truth.source.chunk(6, 89)).digests == {}
        assert (await truth.source.chunk(90, 3)).digests == {}

    async def test_a_boundary_is_the_id_of_the_row_that_completes_the_count(
        self, truth: TruthStage
    ) -> None:
        for number in (3, 5, 90):
            await truth.store(number)

        assert await truth.source.boundary(1, 1) == 3
        assert await truth.source.boundary(3, 1) == 3
        assert await truth.source.boundary(4, 2) == 90
        assert await truth.source.boundary(4, 3) is None
        assert await truth.source.boundary(91, 1) is None

    async def test_a_row_has_the_digest_that_any_copy_of_it_has(self, truth: TruthStage) -> None:
        await truth.store(7)
        await truth.store(8, "")
        await truth.store(7, "another")

        assert await truth.digests() == {7: digest(7, "another"), 8: digest(8, "")}

    async def test_all_columns_of_types_that_are_known_are_compared(
        self, truth: TruthStage
    ) -> None:
        await truth.store(1)

        assert await truth.source.uncompared() == {}

    async def test_a_position_includes_earlier_ones_and_no_later_one(
        self, truth: TruthStage
    ) -> None:
        before = await truth.source.position()
        await truth.store(1)
        after = await truth.source.position()

        assert await truth.source.includes(after, before)
        assert await truth.source.includes(after, after)
        assert await truth.source.includes(after, "")
        assert not await truth.source.includes(before, after)
        assert not await truth.source.includes("", after)

    @pytest.mark.parametrize("ids", [[], [1], [2, 1, 2], [7, LARGEST_ID]])
    async def test_to_send_again_changes_no_row(self, truth: TruthStage, ids: list[int]) -> None:
        await truth.store(1)
        await truth.store(2)

        await truth.source.send_again(ids)

        assert await truth.digests() == {1: digest(1), 2: digest(2)}

    @pytest.mark.parametrize(
        ("ids", "written"),
        [([], []), ([9], [9]), ([9, 3, 9, 8], [3, 8, 9]), ([1, 2], []), ([2, 3, 1], [3])],
    )
    async def test_the_deletion_of_what_is_not_stored_is_sent_once(
        self, truth: TruthStage, ids: list[int], written: list[int]
    ) -> None:
        await truth.store(1)
        await truth.store(2)

        assert await truth.source.send_deletes(ids) == written

        assert await truth.digests() == {1: digest(1), 2: digest(2)}

    @pytest.mark.parametrize("number", [0, -1, -(2**62), LARGEST_ID])
    async def test_the_deletion_of_an_id_that_no_row_had_is_not_sent(
        self, truth: TruthStage, number: int
    ) -> None:
        await truth.store(10)

        assert await truth.source.send_deletes([number, 11]) == [11]

    async def test_to_send_deletions_spends_only_ids_that_follow_those_in_use(
        self, truth: TruthStage
    ) -> None:
        await truth.store(10)
        assert await truth.source.next_id() == 11

        assert await truth.source.send_deletes([5, 9_000]) == [5, 9_000]
        assert await truth.source.next_id() == 11
        assert await truth.source.send_deletes([11, 12, 14]) == [11, 12, 14]
        assert await truth.source.next_id() == 13

    async def test_a_source_continues_above_the_id_that_it_is_given_and_above_its_own(
        self, truth: TruthStage
    ) -> None:
        await truth.store(10)

        await truth.source.continue_at(500)
        assert await truth.source.next_id() == 500
        await truth.source.continue_at(3)
        assert await truth.source.next_id() == 11

    async def test_rows_that_a_copy_has_come_back_and_stored_ones_stay_as_they_are(
        self, truth: TruthStage
    ) -> None:
        await truth.store(1)
        rows = {number: stored_row(number, "from a copy") for number in (3, 1, 2)}

        assert await truth.source.bring_back(rows) == [2, 3]
        assert await truth.source.bring_back({}) == []

        assert await truth.digests() == {
            1: digest(1),
            2: digest(2, "from a copy"),
            3: digest(3, "from a copy"),
        }

    async def test_a_source_that_is_away_is_said_to_be(self, away: SourceOfTruth) -> None:
        calls = (
            away.bounds,
            away.count,
            lambda: away.boundary(1, 1),
            lambda: away.chunk(1, 2),
            away.uncompared,
            away.next_id,
            lambda: away.bring_back({1: stored_row(1)}),
            lambda: away.continue_at(1),
            away.position,
            lambda: away.includes("", ""),
            lambda: away.send_again([1]),
            lambda: away.send_deletes([1]),
        )
        for call in calls:
            with pytest.raises(StoreUnavailable):
                await call()


class CopyStage(ABC):
    """A replica without rows, and what its sink does: each call is the next record of a topic."""

    replica: Replica
    partition: TopicPartition
    """Where the records are. The first one has offset 0."""

    @abstractmethod
    async def store(self, number: int, name: str = NAME) -> None:
        """Write one row, new or changed."""

    @abstractmethod
    async def erase(self, number: int) -> None:
        """Remove one row that is there."""

    async def digests(self) -> dict[int, bytes]:
        """Return all that the copy holds now."""
        assert await self.replica.reached({})
        return dict((await self.replica.chunk(1, LARGEST_ID)).digests)


@pytest.mark.anyio
class ReplicaContract:
    """Provide fixtures ``copied``, new for each test, and ``away``: a copy that is away."""

    async def test_an_empty_copy_has_no_bounds_and_no_rows(self, copied: CopyStage) -> None:
        assert await copied.replica.bounds() is None
        assert await copied.replica.chunk(1, LARGEST_ID) == ReplicaChunk({})

    async def test_rows_are_counted_or_their_events(self, copied: CopyStage) -> None:
        assert await copied.replica.count() == 0
        await copied.store(3)
        await copied.store(5)
        await copied.store(5, "changed")
        await copied.replica.reached({})

        found = await copied.replica.count()
        assert found >= 2 if copied.replica.keeps_history else found == 2

    async def test_bounds_and_chunks_follow_the_ids_and_take_both_ends(
        self, copied: CopyStage
    ) -> None:
        for number in (90, 3, 5, 2**62):
            await copied.store(number)
        await copied.replica.reached({})

        assert await copied.replica.bounds() == (3, 2**62)
        assert (await copied.replica.chunk(3, 5)).digests.keys() == {3, 5}
        assert (await copied.replica.chunk(4, 2**62 - 1)).digests.keys() == {5, 90}
        assert (await copied.replica.chunk(6, 89)).digests == {}
        assert (await copied.replica.chunk(90, 3)).digests == {}

    async def test_a_row_has_the_digest_that_it_has_at_the_source(self, copied: CopyStage) -> None:
        await copied.store(7)
        await copied.store(8, "")

        assert await copied.digests() == {7: digest(7), 8: digest(8, "")}

    async def test_the_last_state_of_a_row_counts(self, copied: CopyStage) -> None:
        await copied.store(7)
        await copied.store(8)
        assert await copied.digests() == {7: digest(7), 8: digest(8)}

        await copied.store(7, "another")
        await copied.erase(8)

        assert await copied.digests() == {7: digest(7, "another")}

    async def test_rows_are_read_as_their_digests_say(self, copied: CopyStage) -> None:
        await copied.store(7)
        await copied.store(8, "")
        await copied.store(9)
        await copied.erase(9)
        await copied.replica.reached({})

        assert await copied.replica.read_rows(8, 9) == {8: stored_row(8, "")}
        assert await copied.replica.read_rows(7, 7) == {7: stored_row(7)}
        assert await copied.replica.read_rows(10, 90) == {}

    async def test_rows_that_came_once_are_no_duplicates(self, copied: CopyStage) -> None:
        await copied.store(7)
        await copied.store(7, "another")
        await copied.replica.reached({})

        assert await copied.replica.chunk(1, 9) == ReplicaChunk({7: digest(7, "another")})

    async def test_a_copy_has_come_as_far_as_the_last_record_that_was_written(
        self, copied: CopyStage
    ) -> None:
        here, other = copied.partition, TopicPartition(copied.partition.topic, 1)
        assert await copied.replica.reached({})
        assert not await copied.replica.reached({here: 0})

        await copied.store(7)
        await copied.store(8)

        assert await copied.replica.reached({here: 0})
        assert await copied.replica.reached({here: 1})
        assert not await copied.replica.reached({here: 2})
        assert not await copied.replica.reached({here: 1, other: 0})

    async def test_a_copy_has_a_name_for_labels_and_messages(self, copied: CopyStage) -> None:
        assert copied.replica.name.isidentifier()

    async def test_a_copy_that_is_away_is_said_to_be(self, away: Replica) -> None:
        with pytest.raises(ReplicaUnavailable):
            await away.bounds()
        with pytest.raises(ReplicaUnavailable):
            await away.count()
        with pytest.raises(ReplicaUnavailable):
            await away.chunk(1, 2)
        with pytest.raises(ReplicaUnavailable):
            await away.read_rows(1, 2)


class LogStage(ABC):
    """A change log without a table, and what sinks do once there is one."""

    log: ChangeLog
    partition: TopicPartition
    """Where the records are. The first one has offset 0."""

    @abstractmethod
    async def write(self, cluster: str, records: int) -> None:
        """Let the sink of a Kafka cluster commit the next ``records`` records."""


@pytest.mark.anyio
class ChangeLogContract:
    """Provide fixtures ``logged``, new for each test, and ``away``: a log that is away."""

    async def test_there_is_no_lineage_without_a_table(self, logged: LogStage) -> None:
        assert await logged.log.lineage() is None

    async def test_a_table_is_made_once_and_nobody_wrote_to_it(self, logged: LogStage) -> None:
        assert await logged.log.ensure_table()
        assert not await logged.log.ensure_table()

        assert await logged.log.lineage() == Lineage(None, {})

    async def test_the_lineage_follows_the_records_that_were_committed(
        self, logged: LogStage
    ) -> None:
        await logged.log.ensure_table()

        await logged.write("cluster-1", 3)
        assert await logged.log.lineage() == Lineage("cluster-1", {logged.partition: 2})
        await logged.write("cluster-1", 1)
        assert await logged.log.lineage() == Lineage("cluster-1", {logged.partition: 3})

    async def test_the_lineage_is_that_of_the_cluster_that_wrote_last(
        self, logged: LogStage
    ) -> None:
        await logged.log.ensure_table()
        await logged.write("cluster-1", 3)
        await logged.write("-MkU3OEVBNTcwNTJENDM2Qg", 1)

        assert await logged.log.lineage() == Lineage(
            "-MkU3OEVBNTcwNTJENDM2Qg", {logged.partition: 0}
        )

    async def test_a_table_with_records_is_left_alone(self, logged: LogStage) -> None:
        await logged.log.ensure_table()
        await logged.write("cluster-1", 2)

        assert not await logged.log.ensure_table()
        assert await logged.log.lineage() == Lineage("cluster-1", {logged.partition: 1})

    async def test_a_log_that_is_away_is_said_to_be(self, away: ChangeLog) -> None:
        with pytest.raises(ReplicaUnavailable):
            await away.ensure_table()
        with pytest.raises(ReplicaUnavailable):
            await away.lineage()
