"""The change log read as a copy: the latest row of each id, deletions honoured."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
from pyiceberg.expressions import BooleanExpression
from pyiceberg.expressions.parser import parse
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.table import FileScanTask, Table

from stroke.adapters.iceberg.catalog import Lake, unavailable
from stroke.adapters.iceberg.change_log import lineage_of
from stroke.adapters.iceberg.statistics import avro_events, id_bounds, is_avro
from stroke.application.ports import Replica
from stroke.domain.connectors import TopicPartition
from stroke.domain.consistency import ReplicaChunk, canonical_json, canonical_value, row_digest

_NEEDED: Final = ("before.id", "after", "op", "ts_us", "_kafka_metadata")
_DELETED: Final = "d"

Event = Mapping[str, Any]


class IcebergReplica(Replica):
    """Reads ``lake`` as what it says of each prediction last.

    Within a Kafka cluster the offset orders events. A cluster that was made anew counts from 0
    again, so clusters are ordered by when their first event was read. ``cluster_id`` tells the
    cluster that feeds the sink now. ``columns`` tells the types by name that the source's table has
    now: the log keeps columns that it has no more, which do not count, and those of type "json"
    are documents. The table is read as of the last ``reached`` or ``bounds``.
    """

    name = "s3"

    def __init__(
        self,
        lake: Lake,
        *,
        topic: str,
        cluster_id: Callable[[], Awaitable[str]],
        columns: Callable[[], Awaitable[Mapping[str, str]]],
    ) -> None:
        self._lake = lake
        self._topic = topic
        self._cluster_id = cluster_id
        self._columns = columns
        self._table: Table | None = None

    async def bounds(self) -> tuple[int, int] | None:
        return await asyncio.to_thread(self._bounds)

    async def chunk(self, first: int, last: int) -> ReplicaChunk:
        kinds = await self._columns()
        return await asyncio.to_thread(self._chunk, first, last, kinds)

    async def reached(self, offsets: Mapping[TopicPartition, int]) -> bool:
        cluster = await self._cluster_id()
        return await asyncio.to_thread(self._reached, cluster, offsets)

    def _bounds(self) -> tuple[int, int] | None:
        self._table = self._lake.load()
        with unavailable(self._lake.identifier):
            return id_bounds(self._table)

    def _reached(self, cluster: str, offsets: Mapping[TopicPartition, int]) -> bool:
        self._table = self._lake.load()
        if not offsets:
            return True
        lineage = lineage_of(self._table, self._topic)
        return lineage.cluster_id == cluster and all(
            lineage.offsets.get(partition, -1) >= offset for partition, offset in offsets.items()
        )

    def _chunk(self, first: int, last: int, kinds: Mapping[str, str]) -> ReplicaChunk:
        table = self._table or self._lake.load()
        self._table = table
        with unavailable(self._lake.identifier):
            events = list(_events(table, first, last))
        places = Counter(_place(event) for event in events)
        return ReplicaChunk(
            {
                number: _digest(event["after"], kinds)
                for number, event in _latest(events).items()
                if event["op"] != _DELETED
            },
            duplicates=sum(times - 1 for times in places.values()),
        )


def _digest(row: Mapping[str, Any], kinds: Mapping[str, str]) -> bytes:
    return row_digest(
        {
            name: canonical_json(value) if kinds[name] == "json" else canonical_value(value)
            for name, value in row.items()
            if name in kinds
        }
    )


def _place(event: Event) -> tuple[str | None, str, int, int]:
    where = event["_kafka_metadata"]
    return where["cluster"], where["topic"], where["partition"], where["offset"]


def _id(event: Event) -> int:
    row = event["before"] if event["after"] is None else event["after"]
    return int(row["id"])


def _latest(events: Iterable[Event]) -> dict[int, Event]:
    """Return the last event of each id."""
    events = list(events)
    begun: dict[str | None, int] = {}
    for event in events:
        cluster = event["_kafka_metadata"]["cluster"]
        begun[cluster] = min(event["ts_us"], begun.get(cluster, event["ts_us"]))

    def order(event: Event) -> tuple[int, int]:
        where = event["_kafka_metadata"]
        return begun[where["cluster"]], where["offset"]

    latest: dict[int, Event] = {}
    for event in events:
        number = _id(event)
        if number not in latest or order(event) > order(latest[number]):
            latest[number] = event
    return latest


def _events(table: Table, first: int, last: int) -> Iterator[Event]:
    """Give the events about the ids of a range. Bounds of columns tell which files to open."""
    scan = table.scan(row_filter=_about(first, last), selected_fields=_NEEDED)
    tasks = list(scan.plan_files())
    columnar = [task for task in tasks if not is_avro(task.file)]
    if columnar:
        yield from _columnar_events(table, scan.projection(), _about(first, last), columnar)
    for task in tasks:
        if is_avro(task.file):
            yield from (
                event for event in avro_events(table, task.file) if first <= _id(event) <= last
            )


def _columnar_events(
    table: Table, projection: Any, row_filter: BooleanExpression, tasks: list[FileScanTask]
) -> Iterator[Event]:
    reading = ArrowScan(table.metadata, table.io, projection, row_filter)
    batch: pa.RecordBatch
    for batch in reading.to_record_batches(tasks):
        yield from batch.to_pylist()


def _about(first: int, last: int) -> BooleanExpression:
    return parse(
        f"(after.id >= {first} and after.id <= {last})"
        f" or (before.id >= {first} and before.id <= {last})"
    )
