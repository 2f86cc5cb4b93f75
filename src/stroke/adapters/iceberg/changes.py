"""The change log as a source of analyses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan, schema_to_pyarrow
from pyiceberg.table import FileScanTask, Table
from pyiceberg.table.snapshots import Snapshot

from stroke.adapters.iceberg.appended_files import added_files, check_appends
from stroke.adapters.iceberg.catalog import Lake, unavailable
from stroke.adapters.iceberg.statistics import avro_events, is_avro
from stroke.application.analyses.changes import changes_schema
from stroke.application.analyses.ports import (
    CannotContinue,
    ChangeHistory,
    ChangeSource,
    Position,
    SourceRead,
)
from stroke.domain.errors import InvalidData

_EVENT: Final = ("op", "ts_us", "before.id", "_kafka_metadata")
_SITE: Final = "site"
_SITES: Final = ("after.site", "before.site")
_RENAMED: Final = {"timestamp_us": "timestamp"}
_AT_ONCE: Final = 4  # files
_NO_SNAPSHOT: Final = object()

Batches = Iterator[pa.RecordBatch]


class IcebergChanges(ChangeSource[Batches], ChangeHistory):
    """The events of the table ``lake``, or what they were ``as_of`` a time (aware).

    With a ``site``, those about its predictions alone; ``with_data`` adds ``prediction_data``.
    """

    def __init__(
        self,
        lake: Lake,
        *,
        as_of: datetime | None = None,
        site: str | None = None,
        with_data: bool = False,
    ) -> None:
        self._lake = lake
        self._with_data = with_data
        self._as_of = as_of
        self._site = site

    def read(self, since: Position | None = None, *, with_name: bool) -> SourceRead[Batches]:
        table = self._lake.load()
        snapshot = self._snapshot(table)
        now = self._position(table, snapshot)
        if now == since or (since is None and snapshot is None):  # nothing is new, or ever was
            return SourceRead(iter(()), lambda: now, 0)
        begin = None if since is None else self._begin(since, now)
        snapshot = _there(snapshot)
        with unavailable(self._lake.identifier):
            if since is None:
                tasks = list(table.scan(snapshot_id=snapshot.snapshot_id).plan_files())
            else:
                tasks = [FileScanTask(file) for file in added_files(table, begin, snapshot)]
        schema = changes_schema(with_name=with_name, with_data=self._with_data)
        rows = self._rows(table, snapshot, tasks, schema)
        # How many of a site's there are shows only when they were read.
        total = None if self._site else sum(task.file.record_count for task in tasks)
        return SourceRead(rows, lambda: now, total)

    def now(self) -> Position:
        """Return the position that a run would read to."""
        table = self._lake.load()
        return self._position(table, self._snapshot(table))

    def check_follows(self, since: Position, now: Position) -> None:
        if now != since:
            table = self._lake.load()
            snapshot = table.snapshot_by_id(now["snapshot_id"]) if now["snapshot_id"] else None
            check_appends(table, self._begin(since, now), _there(snapshot))

    @staticmethod
    def _begin(since: Position, now: Position) -> int | None:
        """Return the snapshot that was read last of the same table, None for an empty table."""
        if (since.get("table"), since.get("uuid")) != (now["table"], now["uuid"]):
            raise CannotContinue("it was of another table")
        begin = since.get("snapshot_id", _NO_SNAPSHOT)
        if begin is not None and type(begin) is not int:
            raise CannotContinue("it names no snapshot")
        return begin

    def _position(self, table: Table, snapshot: Snapshot | None) -> dict[str, Any]:
        return {
            "table": self._lake.identifier,
            "uuid": str(table.metadata.table_uuid),
            "snapshot_id": None if snapshot is None else snapshot.snapshot_id,
        }

    def _rows(
        self, table: Table, snapshot: Snapshot, tasks: Sequence[FileScanTask], schema: pa.Schema
    ) -> Batches:
        columns = _of_rows(schema) if self._site is None else (*_of_rows(schema), *_SITES)
        wanted = (*_EVENT, *_known(table, snapshot, columns))
        scan = table.scan(selected_fields=wanted, snapshot_id=snapshot.snapshot_id)
        return self._batches(table, scan.projection(), tasks, schema)

    def _snapshot(self, table: Table) -> Snapshot | None:
        if self._as_of is None:
            return table.current_snapshot()
        found = table.snapshot_as_of_timestamp(int(self._as_of.timestamp() * 1000))
        if found is None:
            raise InvalidData(
                f"{self._lake.identifier} had no snapshot at that time, or it has expired: "
                "`stroke lake status` says since when there are any"
            )
        return found

    def _batches(
        self,
        table: Table,
        projection: Any,
        tasks: Sequence[FileScanTask],
        schema: pa.Schema,
    ) -> Batches:
        reading = ArrowScan(table.metadata, table.io, projection, AlwaysTrue())
        columnar = [task for task in tasks if not is_avro(task.file)]
        with unavailable(self._lake.identifier):
            for start in range(0, len(columnar), _AT_ONCE):
                for batch in reading.to_record_batches(columnar[start : start + _AT_ONCE]):
                    yield _changes(self._narrowed(batch), schema)
            for task in tasks:
                if is_avro(task.file):
                    yield _changes(self._narrowed(_of_avro(table, task, projection)), schema)

    def _narrowed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the events about predictions of the site. An older log knows of none."""
        if self._site is None:
            return batch
        rows = (batch.column(name) for name in ("after", "before"))
        known = [
            pc.struct_field(row, _SITE) for row in rows if row.type.get_field_index(_SITE) >= 0
        ]
        if not known:
            return batch.slice(0, 0)
        return batch.filter(pc.fill_null(pc.equal(pc.coalesce(*known), self._site), False))


def _there(snapshot: Snapshot | None) -> Snapshot:
    if snapshot is None:
        raise CannotContinue("the table was emptied")
    return snapshot


def _of_rows(schema: pa.Schema) -> tuple[str, ...]:
    """Return the columns of ``after`` that batches of ``schema`` may have."""
    return tuple(f"after.{_name_in_log(name)}" for name in schema.names)


def _known(table: Table, snapshot: Snapshot, wanted: Sequence[str]) -> list[str]:
    """Return the columns that are wanted and that the log had."""
    then = snapshot.schema_id
    known = table.schema() if then is None else table.schemas()[then]
    return [name for name in wanted if name in known.column_names]


def _name_in_log(column: str) -> str:
    return {"prediction_id": "id"}.get(column, _RENAMED.get(column, column))


def _changes(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    after, before = batch.column("after"), batch.column("before")
    where = batch.column("_kafka_metadata")
    known = {field.name for field in after.type}
    columns = {
        "op": batch.column("op"),
        "prediction_id": pc.coalesce(pc.struct_field(after, "id"), pc.struct_field(before, "id")),
        "ts_us": batch.column("ts_us"),
        "cluster": pc.fill_null(pc.struct_field(where, "cluster"), ""),
        "kafka_partition": pc.struct_field(where, "partition"),
        "place": pc.struct_field(where, "offset"),
        "turn": pa.repeat(0, batch.num_rows),
    }
    for name in schema.names:
        if name not in columns:
            stored = _name_in_log(name)
            columns[name] = (
                pc.struct_field(after, stored)
                if stored in known
                else pa.nulls(batch.num_rows, schema.field(name).type)
            )
    return pa.record_batch(
        [pc.cast(columns[field.name], field.type) for field in schema], schema=schema
    )


def _of_avro(table: Table, task: FileScanTask, projection: Any) -> pa.RecordBatch:
    shape = schema_to_pyarrow(projection, include_field_ids=False)
    return pa.RecordBatch.from_pylist(list(avro_events(table, task.file)), shape)
