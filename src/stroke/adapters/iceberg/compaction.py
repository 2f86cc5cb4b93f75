"""Compaction: rewrites many small files as few, with the same rows, one snapshot per day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import chain
from typing import Final, TypeAlias

from pyiceberg.manifest import DataFile
from pyiceberg.table import FileScanTask, Table, TableProperties, Transaction
from pyiceberg.table.snapshots import Operation, Summary
from pyiceberg.table.update.snapshot import _OverwriteFiles
from pyiceberg.typedef import EMPTY_DICT, Record

from stroke.adapters.iceberg.catalog import Lake, unavailable
from stroke.adapters.iceberg.event_schema import PARTITION_DAY
from stroke.adapters.iceberg.replacing import replace_files
from stroke.adapters.iceberg.rewriting import discard, rewrite
from stroke.adapters.iceberg.statistics import cluster_bound, first_offset, is_avro
from stroke.application.pipeline.lake_upkeep import Compaction
from stroke.domain.errors import ReplicaUnavailable

# A file of less than this share of the target size is small. One file's rows are in memory at a
# time, so that large files are left as they are.
_SMALL: Final = 0.25
_EPOCH: Final = date(1970, 1, 1)

Bin: TypeAlias = Sequence[FileScanTask]
"""Files that become one."""

Progress: TypeAlias = Callable[[int, int], None]
"""Receives how many bytes are done, and how many there are."""


def compact(
    lake: Lake,
    *,
    now: Callable[[], datetime],
    open_days: bool = False,
    dry_run: bool = False,
    on_progress: Progress = lambda _done, _total: None,
) -> Compaction:
    """Rewrite the small Parquet files of each closed day (UTC), of ``open_days`` too on demand.

    Events of one Kafka cluster come together, in the order of their offsets. What the sink commits
    meanwhile stays: nothing is lost or doubled. After an interruption the days that are done are
    done. Raises ``ReplicaUnavailable``, also for a table that is set to Avro.
    """
    table = lake.load()
    if table.properties.get(TableProperties.WRITE_FILE_FORMAT) == "avro":
        raise ReplicaUnavailable(
            f"{lake.identifier} is written as Avro, which only Spark can compact: "
            f"CALL system.rewrite_data_files('{lake.identifier}')"
        )
    with unavailable(lake.identifier):
        days = _plan(table, None if open_days else now().astimezone(UTC).date())
        total, done = sum(map(_bytes, days)), 0
        made: list[DataFile] = []
        for bins in days if not dry_run else ():
            made += _compact_day(lake, bins)
            done += _bytes(bins)
            on_progress(done, total)
    tasks = [task for bins in days for task in chain(*bins)]
    return Compaction(
        days=len(days),
        files_before=len(tasks),
        files_after=sum(map(len, days)),
        rows=sum(task.file.record_count for task in tasks),
        bytes_before=total,
        bytes_after=sum(file.file_size_in_bytes for file in made),
    )


class _Replace(_OverwriteFiles):
    """A snapshot that declares its rows unchanged, so that streaming readers skip it.

    pyiceberg knows only overwrites, at which Spark's streaming reads of a table stop.
    """

    def _summary(self, snapshot_properties: dict[str, str] = EMPTY_DICT) -> Summary:
        summary = super()._summary(snapshot_properties)
        return Summary(Operation.REPLACE, **summary.additional_properties)


def _replacing(table: Table, transaction: Transaction) -> _Replace:
    return _Replace(Operation.OVERWRITE, transaction, table.io)


def _plan(table: Table, today: date | None) -> list[list[Bin]]:
    """Return by day which small files become one."""
    target = int(
        table.properties.get(
            TableProperties.WRITE_TARGET_FILE_SIZE_BYTES,
            TableProperties.WRITE_TARGET_FILE_SIZE_BYTES_DEFAULT,
        )
    )
    alike: dict[tuple[Record, str | None], list[FileScanTask]] = defaultdict(list)
    for task in table.scan().plan_files():
        file = task.file
        if (
            is_avro(file)
            or file.spec_id != table.metadata.default_spec_id
            or file.file_size_in_bytes >= target * _SMALL
            or (today is not None and not _is_closed(table, file.partition, today))
        ):
            continue
        alike[file.partition, cluster_bound(table, file)].append(task)
    days: dict[Record, list[Bin]] = defaultdict(list)
    for (partition, _), tasks in alike.items():
        tasks.sort(key=lambda task: first_offset(table, task.file))
        days[partition] += _packed(tasks, target)
    return [bins for bins in days.values() if bins]


def _packed(tasks: Sequence[FileScanTask], target: int) -> Iterator[Bin]:
    """Yield groups of neighbours that together reach the target size; never a single file."""
    packed: list[FileScanTask] = []
    size = 0
    for task in tasks:
        packed.append(task)
        size += task.file.file_size_in_bytes
        if size >= target:
            yield packed
            packed, size = [], 0
    if len(packed) > 1:
        yield packed


def _is_closed(table: Table, partition: Record, today: date) -> bool:
    names = [field.name for field in table.spec().fields]
    day = partition[names.index(PARTITION_DAY)] if PARTITION_DAY in names else None
    return day is not None and int(day) < (today - _EPOCH).days


def _bytes(bins: Sequence[Bin]) -> int:
    return sum(task.file.file_size_in_bytes for task in chain(*bins))


def _compact_day(lake: Lake, bins: Sequence[Bin]) -> list[DataFile]:
    table = lake.load()
    made: list[DataFile] = []
    try:
        for tasks in bins:
            made.append(rewrite(table, tasks))  # noqa: PERF401 -- those made so far are discarded
    except BaseException:
        discard(table, *made)
        raise
    replace_files(lake, list(chain(*bins)), made, _replacing)
    return made
