"""Erasure: takes what the change log holds of some ids out of it, and out of its history.

An event has the row before and after a change, so a deleted row is still in all of its events.
They are removed but for the deletions, which keep the id and nothing else of the row: by them a
reader knows that the row is gone, and the highest offset that the table holds stays what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan, schema_to_pyarrow
from pyiceberg.manifest import DataFile, ManifestEntry
from pyiceberg.table import FileScanTask, Table, Transaction
from pyiceberg.table.snapshots import Operation, ancestors_of
from pyiceberg.table.update.snapshot import _OverwriteFiles

from stroke.adapters.iceberg.catalog import Lake, unavailable
from stroke.adapters.iceberg.change_log import committing_cluster
from stroke.adapters.iceberg.expiry import expire
from stroke.adapters.iceberg.replacing import replace_files
from stroke.adapters.iceberg.rewriting import discard, write_file
from stroke.adapters.iceberg.statistics import avro_events, id_bounds, is_avro
from stroke.application.pipeline.lake_upkeep import LakeErasure
from stroke.domain.errors import InvalidData

_DELETED: Final = "d"
_NAMED: Final = 10
_OF_CONNECT: Final = "kafka.connect."
# So that a snapshot of this very millisecond is older, too.
_AT_ONCE: Final = timedelta(seconds=-1)

Progress = Callable[[int, int], None]
"""Receives how many files are done, and how many there are."""


@dataclass(slots=True)
class _Found:
    """Which files hold events of the ids, and the last word about each id."""

    tasks: list[FileScanTask]
    events: int
    last: dict[int, tuple[int, int, str]]


def erase_events(
    lake: Lake,
    ids: Collection[int],
    *,
    now: Callable[[], datetime],
    dry_run: bool = False,
    on_progress: Progress = lambda _done, _total: None,
) -> LakeErasure:
    """Take the events of deleted rows out of the table, and forget the snapshots that have them.

    What the sink commits meanwhile stays, and it finds its position as before. The table cannot be
    read as of an earlier time afterwards. May be interrupted and run again. Raises ``InvalidData``
    while the table holds one of the rows as present, and ``ReplicaUnavailable``.
    """
    wanted = frozenset(ids)
    with unavailable(lake.identifier):
        table = lake.load()
        found = _find(table, wanted)
        _check_deleted(found)
        if dry_run or not wanted:
            return LakeErasure(found.events, len(found.tasks), 0)
        if found.tasks:
            made = _rewritten(table, found.tasks, wanted, on_progress)
            replace_files(lake, found.tasks, made, _erasing)
    # Also when nothing was found: an earlier run may have died before this.
    gone = expire(lake, older_than=_AT_ONCE, keep=1, now=now)
    return LakeErasure(found.events, len(found.tasks), gone.snapshots)


class _Erase(_OverwriteFiles):
    """A snapshot that keeps no bounds of the files that it removes: they are patients' values."""

    def _deleted_entries(self) -> list[ManifestEntry]:
        entries = super()._deleted_entries()
        return [_without_bounds(entry) for entry in entries]


def _erasing(table: Table, transaction: Transaction) -> _Erase:
    """Begin a snapshot that says what the sink's last one says of its position.

    The sink looks for it from parent to parent, and the parents are to go.
    """
    properties: dict[str, str] = {}
    for snapshot in ancestors_of(table.current_snapshot(), table.metadata):
        if committing_cluster(snapshot) is not None and snapshot.summary is not None:
            stated = snapshot.summary.additional_properties
            properties = {key: stated[key] for key in stated if key.startswith(_OF_CONNECT)}
            break
    return _Erase(Operation.OVERWRITE, transaction, table.io, snapshot_properties=properties)


def _without_bounds(entry: ManifestEntry) -> ManifestEntry:
    file = entry.data_file
    bare = DataFile.from_args(
        content=file.content,
        file_path=file.file_path,
        file_format=file.file_format,
        partition=file.partition,
        record_count=file.record_count,
        file_size_in_bytes=file.file_size_in_bytes,
    )
    bare.spec_id = file.spec_id
    return ManifestEntry.from_args(
        status=entry.status,
        snapshot_id=entry.snapshot_id,
        sequence_number=entry.sequence_number,
        file_sequence_number=entry.file_sequence_number,
        data_file=bare,
    )


def _find(table: Table, ids: frozenset[int]) -> _Found:
    found = _Found([], 0, {})
    for task in table.scan().plan_files():
        bounds = id_bounds(table, task.file)
        if bounds is None or not any(bounds[0] <= each <= bounds[1] for each in ids):
            continue
        events = 0
        for batch in _batches(table, task):
            for event in batch.filter(_about(batch, ids)).to_pylist():
                word = (int(event["ts_us"]), int(event["_kafka_metadata"]["offset"]), event["op"])
                found.last[_id(event)] = max(word, found.last.get(_id(event), word))
                events += _rest(event) != event
        if events:
            found.tasks.append(task)
            found.events += events
    return found


def _check_deleted(found: _Found) -> None:
    present = sorted(number for number, (*_, op) in found.last.items() if op != _DELETED)
    if present:
        named = ", ".join(map(str, present[:_NAMED])) + (", ..." if present[_NAMED:] else "")
        raise InvalidData(
            f"the change log holds {len(present):,} of these predictions as present ({named}): "
            "erase them in the service first, and wait until the lake has heard of it"
        )


def _rewritten(
    table: Table, tasks: Sequence[FileScanTask], ids: frozenset[int], on_progress: Progress
) -> list[DataFile]:
    made: list[DataFile] = []
    try:
        for done, task in enumerate(tasks, start=1):
            file = write_file(table, task.file.partition, _left(table, task, ids))
            made.append(file)
            on_progress(done, len(tasks))
    except BaseException:
        discard(table, *made)
        raise
    empty = [file for file in made if file.record_count == 0]
    discard(table, *empty)
    return [file for file in made if file.record_count]


def _left(table: Table, task: FileScanTask, ids: frozenset[int]) -> Iterator[pa.RecordBatch]:
    for batch in _batches(table, task):
        about = _about(batch, ids)
        yield batch.filter(pc.invert(about))
        deletions = batch.filter(pc.and_(about, pc.equal(batch.column("op"), _DELETED)))
        if deletions.num_rows:
            kept = [_rest(event) for event in deletions.to_pylist()]
            yield pa.RecordBatch.from_pylist(kept, schema=batch.schema)


def _batches(table: Table, task: FileScanTask) -> Iterator[pa.RecordBatch]:
    if is_avro(task.file):
        shape = schema_to_pyarrow(table.schema())
        yield pa.RecordBatch.from_pylist(list(avro_events(table, task.file)), shape)
        return
    reading = ArrowScan(table.metadata, table.io, table.schema(), AlwaysTrue())
    yield from reading.to_record_batches([task])


def _rest(event: dict[str, Any]) -> dict[str, Any]:
    """Return what stays of an event about an erased id; of all but a deletion, nothing."""
    if event["op"] != _DELETED:
        return {}
    row = dict.fromkeys(event["before"] or {}, None)
    source = event.get("source")
    return {
        **event,
        "before": {**row, "id": _id(event)},
        "after": None,
        "source": None if source is None else {**source, "query": None},
    }


def _about(batch: pa.RecordBatch, ids: frozenset[int]) -> pa.Array:
    """Return which events are about one of these ids."""
    after, before = (pc.struct_field(batch.column(name), "id") for name in ("after", "before"))
    found = pc.is_in(pc.coalesce(after, before), value_set=pa.array(sorted(ids), pa.int64()))
    return found.fill_null(fill_value=False)


def _id(event: Mapping[str, Any]) -> int:
    row = event["before"] if event["after"] is None else event["after"]
    return int(row["id"])
