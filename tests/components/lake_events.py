"""An Iceberg table, written as the sink writes it: one file and one snapshot for each commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import IO, Any, cast
from uuid import uuid4

import pyarrow as pa
from fastavro import writer as write_avro
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table import Table
from pyiceberg.typedef import Record

from builders.predictions import NOON
from stroke.adapters.iceberg.catalog import Lake
from stroke.adapters.iceberg.rewriting import write_file

TOPIC = "dbserver1.stroke_predictions.predictions"
CLUSTER = "MkU3OEVBNTcwNTJENDM2Qg"
COLUMNS = (
    ("id", "int64"),
    ("timestamp", "int64"),
    ("age", "float64"),
    ("hypertension", "int16"),
    ("name", "string"),
    ("prediction_data", "string"),
)
_AVRO_OF = {"float64": "double", "int16": "int", "int64": "long"}
_ROW = {
    "type": "record",
    "name": "row",
    "fields": [
        {"name": name, "type": ["null", _AVRO_OF.get(kind, kind)]} for name, kind in COLUMNS
    ],
}
_ON_KAFKA = {
    "type": "record",
    "name": "on_kafka",
    "fields": [
        {"name": name, "type": kind}
        for name, kind in {
            "topic": "string",
            "partition": "int",
            "offset": "long",
            "timestamp": {"type": "long", "logicalType": "timestamp-micros"},
            "cluster": "string",
        }.items()
    ],
}
_AVRO = {
    "type": "record",
    "name": "table",
    "fields": [
        {"name": "before", "type": ["null", _ROW]},
        {"name": "after", "type": ["null", "row"]},
        {"name": "op", "type": "string"},
        {"name": "ts_us", "type": "long"},
        {"name": "_kafka_metadata", "type": _ON_KAFKA},
    ],
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Event = Mapping[str, Any]


def a_row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "timestamp": _micros(NOON),
        "age": 0.1 + 0.2,
        "hypertension": 1,
        "name": f"Ünïcödé 山田 {number}",
        "prediction_data": '{"b": 1.0, "a": [1]}',
        **changes,
    }


def created(number: int, *, at: datetime = NOON, **changes: Any) -> Event:
    return _event("c", None, a_row(number, **changes), at)


def updated(number: int, *, at: datetime = NOON, **changes: Any) -> Event:
    return _event("u", a_row(number), a_row(number, **changes), at)


def deleted(number: int, *, at: datetime = NOON) -> Event:
    return _event("d", a_row(number), None, at)


class Sink:
    """The sink of one Kafka cluster; it counts the offsets of the topic."""

    def __init__(self, lake: Lake, cluster: str = CLUSTER) -> None:
        self._lake = lake
        self._cluster = cluster
        self._next = 0

    def commit(self, *events: Event, at_offset: int | None = None) -> None:
        """Append events, at the next offsets, with the property that the sink looks for."""
        first = self._next if at_offset is None else at_offset
        self._next = max(self._next, first + len(events))
        self.append(self._lake.load(), *events, at_offset=first)

    def append(self, table: Table, *events: Event, at_offset: int) -> None:
        """Append to a table that was loaded perhaps long ago."""
        rows = self._on_kafka(events, at_offset)
        by_day: dict[int, list[Event]] = defaultdict(list)
        for row in rows:
            by_day[(row["ts_ms"] - _EPOCH).days].append(row)
        files = []
        for day, of_day in by_day.items():
            batch = pa.RecordBatch.from_pylist(of_day, schema_to_pyarrow(table.schema()))
            files.append(write_file(table, Record(day), [batch]))
        self._append(table, files)

    def commit_without_bounds(self, *events: Event) -> None:
        """As Java's writer does for columns beyond the first hundred of a table."""
        table = self._lake.load()
        rows = self._on_kafka(events, self._next)
        self._next += len(events)
        batch = pa.RecordBatch.from_pylist(rows, schema_to_pyarrow(table.schema()))
        file = write_file(table, Record((rows[0]["ts_ms"] - _EPOCH).days), [batch])
        bare = DataFile.from_args(
            content=file.content,
            file_path=file.file_path,
            file_format=file.file_format,
            partition=file.partition,
            record_count=file.record_count,
            file_size_in_bytes=file.file_size_in_bytes,
            spec_id=table.spec().spec_id,
        )
        self._append(table, [bare])

    def commit_avro(self, *events: Event) -> None:
        """The same as ``commit`` with an Avro file."""
        table = self._lake.load()
        self._append(table, [_avro_file(table, self._on_kafka(events, self._next))])
        self._next += len(events)

    def _on_kafka(self, events: Sequence[Event], first: int) -> list[Event]:
        return [
            {**event, "_kafka_metadata": self._place(first + index)}
            for index, event in enumerate(events)
        ]

    def _append(self, table: Table, files: Sequence[DataFile]) -> None:
        property_ = f"kafka.connect.offsets.control-iceberg-{self._cluster}.connect-s3-sink"
        with (
            table.transaction() as transaction,
            transaction.update_snapshot({property_: '{"0":7}'}).fast_append() as appending,
        ):
            for file in files:
                appending.append_data_file(file)

    def _place(self, offset: int) -> dict[str, Any]:
        return {
            "topic": TOPIC,
            "partition": 0,
            "offset": offset,
            "timestamp": NOON,
            "cluster": self._cluster,
        }


def _avro_file(table: Table, events: Sequence[Event]) -> DataFile:
    """Write events as the sink does into a table that is set to Avro: without any bounds."""
    output = table.io.new_output(f"{table.location()}/data/{uuid4()}.avro")
    with output.create() as stream:
        write_avro(cast("IO[bytes]", stream), _AVRO, events)
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=output.location,
        file_format=FileFormat.AVRO,
        partition=Record(0),
        record_count=len(events),
        file_size_in_bytes=len(output),
        spec_id=table.spec().spec_id,
    )


def _event(
    kind: str, before: dict[str, Any] | None, after: dict[str, Any] | None, at: datetime
) -> Event:
    return {
        "before": before,
        "after": after,
        "source": {"connector": "mysql", "ts_ms": _micros(at) // 1000, "table": "predictions"},
        "transaction": None,
        "op": kind,
        "ts_ms": at,
        "ts_us": _micros(at),
        "ts_ns": _micros(at) * 1000,
    }


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
