"""Erasure from the change log, on a real S3 server, next to a sink that goes on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from builders.predictions import NOON
from components.lake_events import CLUSTER, COLUMNS, TOPIC, Sink, created, deleted, updated
from components.lake_objects import objects_with
from components.object_store import ObjectStore
from stroke.adapters.iceberg.catalog import Lake
from stroke.adapters.iceberg.change_log import IcebergChangeLog, lineage_of
from stroke.adapters.iceberg.compaction import compact
from stroke.adapters.iceberg.erasure import erase_events
from stroke.adapters.iceberg.orphans import find_orphans
from stroke.adapters.iceberg.status import state_of
from stroke.application.pipeline.kafka_connect_model import TopicPartition
from stroke.domain.errors import InvalidData

pytestmark = pytest.mark.anyio
DAY = timedelta(days=1)
CANARY = "Canary-7341"
THERE = TopicPartition(TOPIC, 0)


@pytest.fixture
async def sink(lake: Lake) -> Sink:
    await IcebergChangeLog(lake, columns=COLUMNS, topic=TOPIC).ensure_table()
    return Sink(lake)


@pytest.fixture
def bucket(catalog: dict[str, Any]) -> str:
    return str(catalog["warehouse"]).split("/")[2]


def now() -> datetime:
    return datetime.now(UTC)


def events(lake: Lake) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lake.load().scan().to_arrow().to_pylist()
    return sorted(found, key=lambda event: event["_kafka_metadata"]["offset"])


def history(sink: Sink) -> None:
    """Commit a patient's life in the lake between that of two others: over days, in many files."""
    sink.commit(created(6), created(7, name=CANARY), created(8))
    sink.commit(updated(7, name=f"{CANARY} again", at=NOON + DAY), updated(8, at=NOON + DAY))
    sink.commit(created(7_000, name="another"))
    sink.commit(deleted(7, at=NOON + 2 * DAY))
    sink.commit(created(9))


async def test_an_erased_row_is_nowhere_in_the_bucket_and_the_others_are_as_they_were(
    lake: Lake, sink: Sink, s3: ObjectStore, bucket: str
) -> None:
    history(sink)
    before = events(lake)
    assert objects_with(s3, bucket, CANARY)

    done = erase_events(lake, {7}, now=now)

    assert (done.events, done.files) == (3, 3)
    assert objects_with(s3, bucket, CANARY) == []
    assert objects_with(s3, bucket, "Ünïcödé 山田 7") == []  # the row before the deletion
    others = [event for event in before if 7 not in _ids(event)]
    after = events(lake)
    assert [event for event in after if 7 not in _ids(event)] == others
    [left] = [event for event in after if 7 in _ids(event)]
    assert (left["op"], left["after"]) == ("d", None)
    assert {name: value for name, value in left["before"].items() if value is not None} == {"id": 7}


def _ids(event: dict[str, Any]) -> set[int]:
    return {row["id"] for row in (event["before"], event["after"]) if row is not None}


async def test_the_sink_finds_its_position_and_goes_on(lake: Lake, sink: Sink) -> None:
    sink.commit(created(6), created(7, name=CANARY))
    sink.commit(deleted(7))  # the highest offset of all
    before = lineage_of(lake.load(), TOPIC)

    erase_events(lake, {7}, now=now)

    table = lake.load()
    assert lineage_of(table, TOPIC) == before
    assert before.offsets == {THERE: 2}
    assert len(table.snapshots()) == 1
    stated = table.snapshots()[0].summary
    assert stated is not None
    control = f"kafka.connect.offsets.control-iceberg-{CLUSTER}.connect-s3-sink"
    assert stated.additional_properties[control] == '{"0":7}'
    sink.commit(created(10))
    assert lineage_of(lake.load(), TOPIC).offsets == {THERE: 3}
    assert [next(iter(_ids(event))) for event in events(lake)] == [6, 7, 10]


async def test_what_is_erased_twice_changes_nothing_the_second_time(lake: Lake, sink: Sink) -> None:
    history(sink)
    erase_events(lake, {7}, now=now)
    once, snapshot = events(lake), lake.load().metadata.current_snapshot_id

    again = erase_events(lake, {7, 123_456}, now=now)

    assert (again.events, again.files) == (0, 0)
    assert events(lake) == once
    assert lake.load().metadata.current_snapshot_id == snapshot


async def test_a_run_that_died_after_its_commit_is_finished_by_the_next(
    lake: Lake, sink: Sink, s3: ObjectStore, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    history(sink)

    class Died(Exception):
        pass

    def died(*_: object, **__: object) -> None:
        raise Died

    with monkeypatch.context() as killed:
        killed.setattr("stroke.adapters.iceberg.erasure.expire", died)
        with pytest.raises(Died):
            erase_events(lake, {7}, now=now)
    assert objects_with(s3, bucket, CANARY)

    done = erase_events(lake, {7}, now=now)

    assert done.events == 0
    assert done.snapshots > 0
    assert objects_with(s3, bucket, CANARY) == []


async def test_a_row_that_is_there_is_not_taken_out(lake: Lake, sink: Sink) -> None:
    history(sink)
    before = events(lake)
    for wanted in ({8}, {7, 8}, {6, 7, 8, 9}):
        with pytest.raises(InvalidData, match="as present"):
            erase_events(lake, wanted, now=now)
    assert events(lake) == before


async def test_a_dry_run_counts_and_changes_nothing(lake: Lake, sink: Sink) -> None:
    history(sink)
    before = lake.load().metadata.current_snapshot_id

    done = erase_events(lake, {7}, now=now, dry_run=True)

    assert (done.events, done.files, done.snapshots) == (3, 3, 0)
    assert lake.load().metadata.current_snapshot_id == before


async def test_compacted_files_and_avro_files_are_erased_from_too(
    lake: Lake, sink: Sink, s3: ObjectStore, bucket: str
) -> None:
    sink.commit(created(6), created(7, name=CANARY))
    sink.commit(updated(7, name=CANARY), deleted(7))
    compact(lake, now=lambda: datetime(2100, 1, 1, tzinfo=UTC))
    sink.commit_avro(created(11, name=CANARY), created(12), deleted(11))

    erase_events(lake, {7, 11}, now=now)

    assert objects_with(s3, bucket, CANARY) == []
    assert [next(iter(_ids(event))) for event in events(lake)] == [6, 7, 12, 11]
    assert lineage_of(lake.load(), TOPIC).offsets == {THERE: 6}


async def test_many_rows_are_erased_in_one_go_and_nothing_is_left_behind(
    lake: Lake, sink: Sink, s3: ObjectStore, bucket: str
) -> None:
    for first in range(0, 300, 100):
        ids = range(first, first + 100)
        sink.commit(*(created(number, name=f"{CANARY} {number}") for number in ids))
    gone = set(range(0, 300, 3))
    sink.commit(*(deleted(number) for number in sorted(gone)))

    done = erase_events(lake, gone, now=now)

    assert done.events == 200
    left = {next(iter(_ids(event))) for event in events(lake) if event["op"] != "d"}
    assert left == set(range(300)) - gone
    assert state_of(lake, TOPIC).snapshots == 1
    assert find_orphans(lake, older_than=timedelta(seconds=-60), now=now) == []
    assert objects_with(s3, bucket, f"{CANARY} 297") == []
    assert objects_with(s3, bucket, f"{CANARY} 298")


class BusyLake(Lake):
    """While ``then`` gives something to do, it is done once the table was loaded."""

    then: Iterator[Any] = iter(())

    def load(self) -> Any:
        table = super().load()
        next(self.then, lambda: None)()
        return table


async def test_what_the_sink_commits_meanwhile_stays(
    lake: Lake, sink: Sink, catalog: dict[str, Any]
) -> None:
    history(sink)
    busy = BusyLake("jdbc", **catalog)
    busy.then = iter([(lambda n=n: sink.commit(created(70 + n))) for n in range(5)])
    try:
        erase_events(busy, {7}, now=now)
    finally:
        busy.catalog.close()
    ids = {next(iter(_ids(event))) for event in events(lake)}
    assert {70, 71, 72, 73} <= ids
    assert lineage_of(lake.load(), TOPIC).cluster_id == CLUSTER
