"""An Iceberg table, written as the sink writes it: one file and one snapshot for each commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.table import Table
from pyiceberg.typedef import Record

from builders import NOON
from stroke.adapters.iceberg.catalog import Lake
from stroke.adapters.iceberg.rewriting import write_file

TABLE = "stroke.predictions_changes"
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
        rows = [
            {**event, "_kafka_metadata": self._place(at_offset + index)}
            for index, event in enumerate(events)
        ]
        by_day: dict[int, list[Event]] = defaultdict(list)
        for row in rows:
            by_day[(row["ts_ms"] - _EPOCH).days].append(row)
        property_ = f"kafka.connect.offsets.control-iceberg-{self._cluster}.connect-s3-sink"
        with (
            table.transaction() as transaction,
            transaction.update_snapshot({property_: '{"0":7}'}).fast_append() as appending,
        ):
            for day, of_day in by_day.items():
                batch = pa.RecordBatch.from_pylist(of_day, schema_to_pyarrow(table.schema()))
                appending.append_data_file(write_file(table, Record(day), [batch]))

    def _place(self, offset: int) -> dict[str, Any]:
        return {
            "topic": TOPIC,
            "partition": 0,
            "offset": offset,
            "timestamp": NOON,
            "cluster": self._cluster,
        }


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
