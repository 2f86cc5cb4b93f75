"""The change log as a replica: the latest row of each id, without deleted ones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Generic, TypeVar

from pyiceberg.expressions import BooleanExpression
from pyiceberg.expressions.parser import parse
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.manifest import FileFormat
from pyiceberg.table import FileScanTask, Table

from stroke.adapters.iceberg.catalog import Lake, unavailable
from stroke.adapters.iceberg.change_log import Lineages
from stroke.adapters.iceberg.file_index import FileIndex
from stroke.adapters.iceberg.parquet_events import PROJECTION, parquet_events
from stroke.adapters.iceberg.statistics import avro_events, is_avro
from stroke.application.pipeline.consistency import ReplicaChunk, Row, table_row, table_row_digest
from stroke.application.pipeline.kafka_connect_model import TopicPartition
from stroke.application.pipeline.ports import Replica

_DELETED: Final = "d"

Event = Mapping[str, Any]
_T = TypeVar("_T")


class IcebergReplica(Replica):
    """Reads from ``lake`` the latest row of each prediction.

    Within a Kafka cluster the offset orders events. A cluster that was made anew counts from 0
    again, so clusters are ordered by when their first event was read. ``cluster_id`` names the
    cluster that feeds the sink now. ``columns`` gives the types by name that the source's table has
    now: the log keeps columns that it has no more, which do not count, and those of type "json"
    are documents. The table is read as of the last ``reached`` or ``bounds``.
    """

    name = "s3"
    keeps_history = True

    def __init__(
        self,
        lake: Lake,
        *,
        topic: str,
        cluster_id: Callable[[], Awaitable[str]],
        columns: Callable[[], Awaitable[Mapping[str, str]]],
    ) -> None:
        self._lake = lake
        self._lineages = Lineages(topic)
        self._cluster_id = cluster_id
        self._columns = columns
        self._table: Table | None = None
        self._files = FileIndex()

    async def bounds(self) -> tuple[int, int] | None:
        return await asyncio.to_thread(self._bounds)

    async def count(self) -> int:
        return await asyncio.to_thread(self._count)

    async def chunk(self, first: int, last: int) -> ReplicaChunk:
        kinds = await self._columns()
        return await asyncio.to_thread(self._chunk, first, last, kinds)

    async def read_rows(self, first: int, last: int) -> dict[int, Row]:
        kinds = await self._columns()
        return await asyncio.to_thread(self._rows, first, last, kinds)

    async def reached(self, offsets: Mapping[TopicPartition, int]) -> bool:
        cluster = await self._cluster_id()
        return await asyncio.to_thread(self._reached, cluster, offsets)

    def _count(self) -> int:
        snapshot = self._refresh().current_snapshot()
        summary = None if snapshot is None else snapshot.summary
        return 0 if summary is None else int(summary.additional_properties["total-records"])

    def _bounds(self) -> tuple[int, int] | None:
        self._refresh()
        return self._files.bounds

    def _reached(self, cluster: str, offsets: Mapping[TopicPartition, int]) -> bool:
        table = self._refresh()
        if not offsets:
            return True
        lineage = self._lineages.of(table)
        return lineage.cluster_id == cluster and all(
            lineage.offsets.get(partition, -1) >= offset for partition, offset in offsets.items()
        )

    def _chunk(self, first: int, last: int, kinds: Mapping[str, str]) -> ReplicaChunk:
        latest = self._latest(first, last, lambda row: table_row_digest(row, kinds))
        return ReplicaChunk(latest.rows(), duplicates=latest.duplicates)

    def _rows(self, first: int, last: int, kinds: Mapping[str, str]) -> dict[int, Row]:
        return self._latest(first, last, lambda row: table_row(row, kinds)).rows()

    def _latest(
        self, first: int, last: int, make: Callable[[Iterable[tuple[str, Any]]], _T]
    ) -> _Latest[_T]:
        table = self._table or self._refresh()
        latest = _Latest(make)
        with unavailable(self._lake.identifier):
            for event in _events(table, self._files.about(first, last), first, last):
                latest.add(event)
        return latest

    def _refresh(self) -> Table:
        self._table = self._lake.load()
        with unavailable(self._lake.identifier):
            self._files.refresh(self._table)
        return self._table


class _Latest(Generic[_T]):
    """The latest event of each id, as what ``make`` makes of its row: a digest, most often.

    Which cluster came first is known only when all events were seen, so that each cluster's last
    word is kept.
    """

    def __init__(self, make: Callable[[Iterable[tuple[str, Any]]], _T]) -> None:
        self.duplicates = 0
        self._make = make
        self._places: set[tuple[str | None, str, int, int]] = set()
        self._begun: dict[str | None, int] = {}
        self._last: dict[tuple[int, str | None], tuple[int, _T | None]] = {}

    def add(self, event: Event) -> None:
        place = event["_kafka_metadata"]
        cluster, offset = place["cluster"], place["offset"]
        where = (cluster, place["topic"], place["partition"], offset)
        if where in self._places:
            self.duplicates += 1
            return
        self._places.add(where)
        self._begun[cluster] = min(event["ts_us"], self._begun.get(cluster, event["ts_us"]))
        key = _id(event), cluster
        latest = self._last.get(key)
        if latest is None or offset > latest[0]:
            row = None if event["op"] == _DELETED else self._make(event["after"].items())
            self._last[key] = offset, row

    def rows(self) -> dict[int, _T]:
        """Return what was made of each id's row, without those that are deleted."""
        latest: dict[int, _T | None] = {}
        for (number, _), (_, row) in sorted(
            self._last.items(), key=lambda latest: self._begun[latest[0][1]]
        ):
            latest[number] = row
        return {number: row for number, row in latest.items() if row is not None}


def _id(event: Event) -> int:
    row = event["before"] if event["after"] is None else event["after"]
    return int(row["id"])


def _events(table: Table, tasks: Iterable[FileScanTask], first: int, last: int) -> Iterator[Event]:
    """Yield the events of some files about the ids of a range."""
    about = _about(first, last)
    for task in tasks:
        if is_avro(task.file):
            found = avro_events(table, task.file)
            yield from (event for event in found if first <= _id(event) <= last)
        elif task.file.file_format == FileFormat.PARQUET and not task.delete_files:
            yield from parquet_events(table, task.file, first, last)
        else:  # by another engine than the sink and our compaction
            projection = table.scan(selected_fields=PROJECTION).projection()
            reading = ArrowScan(table.metadata, table.io, projection, about)
            for batch in reading.to_record_batches([task]):
                yield from batch.to_pylist()


def _about(first: int, last: int) -> BooleanExpression:
    return parse(
        f"(after.id >= {first} and after.id <= {last})"
        f" or (before.id >= {first} and before.id <= {last})"
    )
