"""Compaction, expiry and orphans, on a real S3 server, beside a sink that goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation
from sqlalchemy import update

from builders.predictions import NOON
from components.lake_events import CLUSTER, COLUMNS, TOPIC, Sink, created, updated
from components.object_store import ObjectStore
from stroke.adapters.iceberg.catalog import Lake
from stroke.adapters.iceberg.change_log import IcebergChangeLog, lineage_of
from stroke.adapters.iceberg.compaction import compact
from stroke.adapters.iceberg.expiry import expire
from stroke.adapters.iceberg.orphans import delete_orphans, examine_orphans, find_orphans
from stroke.adapters.iceberg.roll_forward import find_rewind, is_behind, roll_forward
from stroke.adapters.iceberg.statistics import data_files
from stroke.adapters.iceberg.status import state_of
from stroke.adapters.iceberg.times_ahead import ahead_of, set_back
from stroke.application.pipeline.kafka_connect_model import TopicPartition
from stroke.domain.errors import ReplicaUnavailable

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)
AT_ONCE = timedelta(0)


@pytest.fixture
async def sink(lake: Lake) -> Sink:
    await IcebergChangeLog(lake, columns=COLUMNS, topic=TOPIC).ensure_table()
    return Sink(lake)


class BusyLake(Lake):
    """While ``then`` gives something to do, it is done once the table was loaded."""

    then: Iterator[Callable[[], None]] = iter(())

    def load(self) -> Table:
        table = super().load()
        next(self.then, lambda: None)()
        return table


@pytest.fixture
def busy_lake(catalog: dict[str, Any], sink: Sink) -> Iterator[BusyLake]:
    lake = BusyLake("jdbc", **catalog)
    yield lake
    lake.catalog.close()


def events(lake: Lake) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lake.load().scan().to_arrow().to_pylist()
    return sorted(found, key=lambda event: str(event["_kafka_metadata"]))


def offsets(lake: Lake) -> list[int]:
    return [event["_kafka_metadata"]["offset"] for event in events(lake)]


def in_years() -> datetime:
    return datetime(2100, 1, 1, tzinfo=UTC)


def on_the_day() -> datetime:
    return NOON


async def a_second() -> None:
    """S3 tells when a file was written by the second."""
    await asyncio.sleep(1.1)


def some_days(sink: Sink) -> None:
    for number in range(2):
        sink.commit(created(number), created(number + 10), at_offset=2 * number)
        sink.commit(created(number + 20, at=NOON + DAY), at_offset=100 + number)


def files(lake: Lake) -> int:
    return state_of(lake, TOPIC).data_files


async def test_a_days_files_become_one_with_the_same_rows(lake: Lake, sink: Sink) -> None:
    some_days(sink)
    before, progress = events(lake), list[tuple[int, int]]()

    done = compact(lake, now=in_years, on_progress=lambda *counts: progress.append(counts))

    assert (done.days, done.files_before, done.files_after, done.rows) == (2, 4, 2, 6)
    assert done.bytes_after < done.bytes_before == progress[-1][0] == progress[-1][1]
    assert files(lake) == 2
    assert events(lake) == before


async def test_what_is_compacted_is_left_alone(lake: Lake, sink: Sink) -> None:
    some_days(sink)
    compact(lake, now=in_years)
    snapshots = state_of(lake, TOPIC).snapshots

    assert compact(lake, now=in_years).days == 0
    assert state_of(lake, TOPIC).snapshots == snapshots


async def test_the_day_that_is_not_over_is_left_alone_unless_it_is_asked_for(
    lake: Lake, sink: Sink
) -> None:
    some_days(sink)

    assert compact(lake, now=lambda: NOON + DAY).files_before == 2
    assert files(lake) == 3
    assert compact(lake, now=on_the_day, open_days=True).files_before == 2
    assert files(lake) == 2


async def test_a_dry_run_counts_and_changes_nothing(lake: Lake, sink: Sink) -> None:
    some_days(sink)

    done = compact(lake, now=in_years, dry_run=True)

    assert (done.files_before, done.files_after, done.bytes_after) == (4, 2, 0)
    assert files(lake) == 4


async def test_events_of_two_clusters_stay_in_files_of_their_own(lake: Lake, sink: Sink) -> None:
    """The highest offset of each cluster must still follow from the files' bounds."""
    renewed = Sink(lake, "AnotherClusterOf22Char")
    for number in range(3):
        sink.commit(created(number), at_offset=50 + number)
    for number in range(3):
        renewed.commit(updated(number, name="new"))
    before = lineage_of(lake.load(), TOPIC)

    compact(lake, now=in_years)

    assert files(lake) == 2
    assert lineage_of(lake.load(), TOPIC) == before
    assert before.offsets == {TopicPartition(TOPIC, 0): 2}


async def test_rows_come_in_the_order_of_their_offsets_with_bounds(lake: Lake, sink: Sink) -> None:
    for first in (4, 0, 2):
        sink.commit(created(first), created(first + 1), at_offset=first)

    compact(lake, now=in_years)

    stored = lake.load().scan().to_arrow().to_pylist()
    assert [event["_kafka_metadata"]["offset"] for event in stored] == list(range(6))
    assert [event["after"]["id"] for event in stored] == list(range(6))
    found = lake.load().scan(row_filter="after.id = 9", selected_fields=("op",)).plan_files()
    assert list(found) == []


async def test_files_from_before_a_new_column_get_it_as_null(lake: Lake, sink: Sink) -> None:
    sink.commit(created(1))
    with lake.load().update_schema() as change:
        from pyiceberg.types import StringType  # noqa: PLC0415

        change.add_column(("after", "ward"), StringType())
    sink.commit(created(2, ward="B"))

    compact(lake, now=in_years)

    assert files(lake) == 1
    assert [event["after"]["ward"] for event in events(lake)] == [None, "B"]


async def test_a_compaction_says_that_its_rows_are_the_same_and_none_of_the_sinks_offsets(
    lake: Lake, sink: Sink
) -> None:
    some_days(sink)
    totals = _totals(lake.load())
    compact(lake, now=in_years)

    newest = lake.load().current_snapshot()
    assert newest is not None
    assert newest.summary is not None
    assert newest.summary.operation is Operation.REPLACE
    assert not [key for key in newest.summary.additional_properties if "kafka" in key]
    assert _totals(lake.load()) == {**totals, "total-data-files": 2}
    assert lineage_of(lake.load(), TOPIC).cluster_id == CLUSTER


def _totals(table: Table) -> dict[str, int]:
    snapshot = table.current_snapshot()
    assert snapshot is not None
    assert snapshot.summary is not None
    properties = snapshot.summary.additional_properties
    return {key: int(properties[key]) for key in ("total-records", "total-data-files")}


async def test_what_the_sink_commits_meanwhile_is_neither_lost_nor_doubled(
    lake: Lake, busy_lake: BusyLake, sink: Sink
) -> None:
    """A commit follows each of the first loads, so that what was loaded is always of the past."""
    some_days(sink)
    stale = lake.load()
    busy_lake.then = iter([partial(sink.commit, created(70 + count)) for count in range(6)])

    compact(busy_lake, now=in_years)
    sink.append(stale, created(90), at_offset=900)

    assert sorted(offsets(lake)) == [*range(4), *range(100, 108), 900]
    assert files(lake) == 2 + 6 + 1


async def test_files_that_were_rewritten_meanwhile_are_left_alone(
    lake: Lake, busy_lake: BusyLake, sink: Sink, s3: ObjectStore
) -> None:
    some_days(sink)
    folder = lake.load().location().removeprefix("s3://")

    def compacted() -> None:
        compact(lake, now=in_years)

    busy_lake.then = iter([lambda: None, compacted])
    before = events(lake)

    with pytest.raises(ReplicaUnavailable, match="once more"):
        compact(busy_lake, now=in_years)

    assert events(lake) == before
    assert len(s3.paths(f"{folder}/data")) == 4 + 2


async def test_files_become_as_large_as_the_table_says(lake: Lake, sink: Sink) -> None:
    sink.commit(created(0))
    size = state_of(lake, TOPIC).size
    with lake.load().transaction() as change:
        change.set_properties({"write.target-file-size-bytes": str(5 * size - size // 2)})
    for number in range(1, 6):
        sink.commit(created(number))

    done = compact(lake, now=in_years)

    assert (done.files_before, done.files_after) == (5, 1)
    assert files(lake) == 2


async def test_a_table_of_avro_files_is_not_compacted(lake: Lake) -> None:
    log = IcebergChangeLog(lake, columns=COLUMNS, topic=TOPIC, file_format="avro")
    await log.ensure_table()

    with pytest.raises(ReplicaUnavailable, match="Spark"):
        compact(lake, now=in_years)


async def test_avro_files_from_before_the_table_was_set_to_parquet_are_left_alone(
    lake: Lake, sink: Sink
) -> None:
    sink.commit_avro(created(0))
    sink.commit_avro(created(1))
    sink.commit(created(2))
    sink.commit(created(3))

    assert compact(lake, now=in_years).files_before == 2
    assert files(lake) == 3


async def test_old_snapshots_go_with_the_files_that_only_they_have(
    lake: Lake, sink: Sink, s3: ObjectStore
) -> None:
    some_days(sink)
    compact(lake, now=in_years)
    sink.commit(created(99))
    before, folder = events(lake), lake.load().location().removeprefix("s3://")
    had = s3.paths(folder)

    done = expire(lake, older_than=DAY, keep=1, now=in_years)

    assert (done.snapshots, done.kept) == (6, 1)
    assert events(lake) == before
    left = s3.paths(f"{folder}/data")
    assert len(left) == 3
    assert done.files == len(had) - len(s3.paths(folder)) + 1  # and a new metadata file
    assert find_orphans(lake, older_than=AT_ONCE, now=in_years) == []


async def test_young_snapshots_and_the_newest_stay(lake: Lake, sink: Sink) -> None:
    some_days(sink)

    assert expire(lake, older_than=DAY, keep=1, now=lambda: datetime.now(UTC)).snapshots == 0
    assert expire(lake, older_than=DAY, keep=3, now=in_years, dry_run=True).snapshots == 1
    assert state_of(lake, TOPIC).snapshots == 4
    assert expire(lake, older_than=DAY, keep=3, now=in_years).kept == 3


async def test_the_sinks_last_snapshot_stays_with_the_whole_way_to_it(
    lake: Lake, sink: Sink
) -> None:
    """The sink goes from parent to parent: without one of them it would take files twice."""
    some_days(sink)
    compact(lake, now=lambda: NOON + DAY)
    compact(lake, now=in_years)

    expire(lake, older_than=DAY, keep=1, now=in_years)

    assert state_of(lake, TOPIC).snapshots == 3
    assert lineage_of(lake.load(), TOPIC).cluster_id == CLUSTER


async def test_a_snapshot_that_has_a_tag_stays(lake: Lake, sink: Sink) -> None:
    sink.commit(created(1))
    first = lake.load().current_snapshot()
    assert first is not None
    lake.load().manage_snapshots().create_tag(first.snapshot_id, "before-the-audit").commit()
    some_days(sink)
    compact(lake, now=in_years)

    expire(lake, older_than=DAY, keep=1, now=in_years)

    tagged = lake.load().scan(snapshot_id=first.snapshot_id).to_arrow()
    assert tagged.num_rows == 1


async def test_what_the_sink_commits_during_an_expiry_stays(
    lake: Lake, busy_lake: BusyLake, sink: Sink
) -> None:
    some_days(sink)
    compact(lake, now=in_years)
    busy_lake.then = iter([partial(sink.commit, created(70 + count)) for count in range(4)])

    expire(busy_lake, older_than=DAY, keep=1, now=in_years)

    assert sorted(offsets(lake)) == [*range(4), *range(100, 106)]


async def test_what_a_killed_writer_leaves_is_found_and_deleted(
    lake: Lake, sink: Sink, s3: ObjectStore
) -> None:
    some_days(sink)
    folder = lake.load().location().removeprefix("s3://")
    written = f"{folder}/data/ts_day=2026-01-02/00001-killed.parquet"
    left = f"{folder}/metadata/00000-failed.metadata.json"
    for path in (written, left):
        with s3.files.open_output_stream(path) as stream:
            stream.write(b"torn")
    await a_second()
    sink.commit(created(50))
    had = s3.paths(folder)

    found = find_orphans(lake, older_than=AT_ONCE, now=in_years)
    assert {orphan.path for orphan in found} == {written, left}
    assert {orphan.size for orphan in found} == {4}
    delete_orphans(lake, found)

    assert s3.paths(folder) == had - {written, left}
    assert find_orphans(lake, older_than=AT_ONCE, now=in_years) == []


async def test_what_the_sink_wrote_since_its_last_commit_is_no_orphan(
    lake: Lake, sink: Sink, s3: ObjectStore
) -> None:
    """Connect may be down for long, and commit the file when it is back."""
    assert find_orphans(lake, older_than=AT_ONCE, now=in_years) == []
    sink.commit(created(1))
    await a_second()
    folder = lake.load().location().removeprefix("s3://")
    with s3.files.open_output_stream(f"{folder}/data/00001-waits.parquet") as stream:
        stream.write(b"whole")

    assert find_orphans(lake, older_than=AT_ONCE, now=in_years) == []


async def test_a_file_that_is_young_is_no_orphan(lake: Lake, sink: Sink, s3: ObjectStore) -> None:
    folder = lake.load().location().removeprefix("s3://")
    with s3.files.open_output_stream(f"{folder}/data/00001-young.parquet") as stream:
        stream.write(b"torn")
    await a_second()
    sink.commit(created(1))

    assert find_orphans(lake, older_than=3 * DAY, now=in_years) == []
    assert len(find_orphans(lake, older_than=AT_ONCE, now=in_years)) == 1


def pointer(lake: Lake) -> str:
    return find_rewind(lake).location


def restored(lake: Lake, location: str) -> None:
    """Let the catalog name an older state, as a catalog from a backup does."""
    assert isinstance(lake.catalog, SqlCatalog)
    with lake.catalog.engine.begin() as connection:
        connection.execute(update(IcebergTables).values(metadata_location=location))


async def test_a_restored_catalog_is_rolled_forward_to_what_the_sink_committed_since(
    lake: Lake, sink: Sink
) -> None:
    sink.commit(created(1))
    backup = pointer(lake)
    for number in (2, 3, 4):
        sink.commit(created(number))
    assert not is_behind(lake)
    newest = pointer(lake)
    restored(lake, backup)
    assert offsets(lake) == [0]

    found = find_rewind(lake)
    assert (found.commits, found.has_diverged) == (3, False)
    roll_forward(lake, found)

    assert pointer(lake) == newest
    assert sorted(offsets(lake)) == [0, 1, 2, 3]
    sink.commit(created(5))
    assert sorted(offsets(lake)) == [0, 1, 2, 3, 4]


async def test_a_restored_catalog_whose_metadata_is_gone_is_rolled_forward_too(
    lake: Lake, sink: Sink, s3: ObjectStore
) -> None:
    """Writers keep the newest 50 metadata files: those of an old backup are not there any more."""
    sink.commit(created(1))
    backup = pointer(lake)
    sink.commit(created(2))
    restored(lake, backup)
    s3.files.delete_file(backup.removeprefix("s3://"))

    roll_forward(lake, find_rewind(lake))

    assert sorted(offsets(lake)) == [0, 1]


async def test_a_catalog_that_was_changed_meanwhile_is_not_rolled_forward(
    lake: Lake, sink: Sink
) -> None:
    sink.commit(created(1))
    backup = pointer(lake)
    sink.commit(created(2))
    restored(lake, backup)
    found = find_rewind(lake)
    sink.commit(created(3))

    with pytest.raises(ReplicaUnavailable, match="changed meanwhile"):
        roll_forward(lake, found)


async def test_nothing_that_a_newer_state_knows_is_an_orphan(lake: Lake, sink: Sink) -> None:
    sink.commit(created(1))
    backup = pointer(lake)
    sink.commit(created(2))
    sink.commit(created(3))
    await a_second()
    restored(lake, backup)

    found = examine_orphans(lake, older_than=AT_ONCE, now=in_years)

    assert found.files == []
    assert found.catalog_is_behind
    roll_forward(lake, find_rewind(lake))
    assert sorted(offsets(lake)) == [0, 1, 2]


async def test_events_that_only_an_orphan_holds_are_kept_for_ever(lake: Lake, sink: Sink) -> None:
    """The sink went on from the restored state, until this was the newest."""
    sink.commit(created(1))
    backup = pointer(lake)
    sink.commit(created(2))
    await a_second()
    restored(lake, backup)
    for number in (3, 4, 5):
        await a_second()
        sink.commit(created(number))
    assert sorted(offsets(lake)) == [0, 2, 3, 4]

    found = examine_orphans(lake, older_than=AT_ONCE, now=in_years)

    assert not found.catalog_is_behind
    assert found.files == []
    assert [one.path for one in found.kept if one.path.endswith(".parquet")]
    assert any(one.path.endswith(".metadata.json") for one in found.kept)


async def test_an_orphan_whose_events_the_table_holds_may_go(
    lake: Lake, sink: Sink, s3: ObjectStore
) -> None:
    """A killed sink reads its records once more, and writes them into another file."""
    some_days(sink)
    table = lake.load()
    [file, *_] = data_files(table)
    path = file.file_path.removeprefix("s3://")
    left = f"{path.rpartition('/')[0]}/00001-killed.parquet"
    s3.files.copy_file(path, left)
    await a_second()
    sink.commit(created(50))

    found = examine_orphans(lake, older_than=AT_ONCE, now=in_years)

    assert [one.path for one in found.files] == [left]
    assert found.kept == []


def an_hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


async def test_times_that_a_clock_wrote_which_was_ahead_are_set_back_and_nothing_else(
    lake: Lake, sink: Sink
) -> None:
    """To a clock an hour behind this one, all of the table is an hour ahead."""
    sink.commit(created(1))
    sink.commit(created(2), created(3))
    before = lake.load()
    assert timedelta(minutes=59) < ahead_of(lake, now=an_hour_ago) < timedelta(minutes=61)
    assert ahead_of(lake, now=in_years) == timedelta(0)

    set_back(lake, now=an_hour_ago)

    after = lake.load()
    assert ahead_of(lake, now=an_hour_ago) == timedelta(0)
    assert max(
        after.metadata.last_updated_ms,
        *(entry.timestamp_ms for entry in after.metadata.snapshot_log),
        *(entry.timestamp_ms for entry in after.metadata.metadata_log),
        *(snapshot.timestamp_ms for snapshot in after.snapshots()),
    ) <= (an_hour_ago().timestamp() * 1000)
    assert after.current_snapshot() is not None
    assert [x.snapshot_id for x in after.snapshots()] == [x.snapshot_id for x in before.snapshots()]
    assert lineage_of(after, TOPIC) == lineage_of(before, TOPIC)
    assert sorted(offsets(lake)) == [0, 1, 2]
    assert not is_behind(lake), "the state that was replaced is no newer one"
    sink.commit(created(4))
    assert sorted(offsets(lake)) == [0, 1, 2, 3]


async def test_times_are_not_set_back_over_what_another_writer_committed_meanwhile(
    busy_lake: BusyLake, sink: Sink, lake: Lake
) -> None:
    sink.commit(created(1))
    busy_lake.then = iter([lambda: sink.commit(created(2))])

    with pytest.raises(ReplicaUnavailable, match="changed meanwhile"):
        set_back(busy_lake, now=an_hour_ago)

    assert sorted(offsets(lake)) == [0, 1]
