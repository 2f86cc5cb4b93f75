"""Debezium's envelopes as batches of ``changes``, whatever version of the table they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Final

import pyarrow as pa

from stroke.application.analyses.changes import Counts, arrow_column
from stroke.application.analyses.ports import EnvelopeFormat, Envelopes
from stroke.application.analyses.timestamps import TimeUnit
from stroke.application.analyses.views import binlog_place

_OPERATIONS: Final = frozenset("crud")
_STORED: Final = {"timestamp_us": "timestamp"}
_LARGEST: Final = 2**63


@dataclass(slots=True)
class _Rows:
    """Events taken apart, column by column."""

    op: list[str] = field(default_factory=list)
    prediction_id: list[int] = field(default_factory=list)
    ts_us: list[int] = field(default_factory=list)
    place: list[int] = field(default_factory=list)
    turn: list[int] = field(default_factory=list)
    after: list[Mapping[str, Any]] = field(default_factory=list)


class AvroEnvelopes(EnvelopeFormat):
    """Reads the envelopes of any Avro schema."""

    def envelopes(self, schema: Any, shape: pa.Schema, *, partition: int) -> EnvelopeReader:
        return EnvelopeReader(schema, shape, partition=partition)


class EnvelopeReader(Envelopes):
    """Reads records of one Avro ``schema`` into batches of ``shape``, and counts."""

    def __init__(self, schema: Any, shape: pa.Schema, *, partition: int) -> None:
        self._shape = shape
        self._partition = partition
        self._unit = TimeUnit.of(schema)
        self._binlogs: dict[str, int] = {}
        self.counts = Counts()

    def batch(self, records: Sequence[Any], offsets: Sequence[int] | None = None) -> pa.RecordBatch:
        """Return the events among ``records``.

        With Kafka's ``offsets``, one for each, those are their ``place``, and ``ts_us`` is when
        Debezium read the event. Without them ``place`` and ``turn`` come from the binlog, and
        ``ts_us`` is when the database made the change: an event that was sent twice has it twice,
        and one time of its reading each.
        """
        rows = self._rows(records, offsets)
        count = len(rows.op)
        self.counts.events += count
        given = {
            "op": rows.op,
            "prediction_id": rows.prediction_id,
            "ts_us": rows.ts_us,
            "cluster": [""] * count,
            "kafka_partition": [self._partition] * count,
            "place": rows.place,
            "turn": rows.turn,
        }
        arrays = []
        for column in self._shape:
            if column.name in given:
                arrays.append(pa.array(given[column.name], column.type))
            else:
                stored = _STORED.get(column.name, column.name)
                values = [row.get(stored) for row in rows.after]
                arrays.append(arrow_column(values, column, self.counts, unit=self._unit))
        return pa.record_batch(arrays, schema=self._shape)

    def _rows(self, records: Sequence[Any], offsets: Sequence[int] | None) -> _Rows:
        rows = _Rows()
        for record, offset in zip(records, offsets or repeat(None, len(records)), strict=True):
            if record is None:
                self.counts.tombstones += 1
                continue
            try:
                op = record["op"]
                after = record["before"] if op == "d" else record["after"]
                number = after["id"]
                if offset is None:
                    place, turn, moment = self._in_binlog(record["source"])
                else:
                    place, turn = offset, 0
                    moment = record.get("ts_us") or 1_000 * record["ts_ms"]
                whole = (
                    op in _OPERATIONS
                    and type(number) is type(turn) is type(moment) is int
                    and 0 <= place < _LARGEST
                    and max(abs(number), abs(turn), abs(moment)) < _LARGEST
                )
            except (KeyError, TypeError, ValueError, AttributeError):
                whole = False
            if not whole:
                self.counts.strange_records += 1
                continue
            rows.op.append(op)
            rows.prediction_id.append(number)
            rows.ts_us.append(moment)
            rows.place.append(place)
            rows.turn.append(turn)
            rows.after.append({} if op == "d" else after)
        return rows

    def _in_binlog(self, source: Mapping[str, Any]) -> tuple[int, Any, Any]:
        file = source["file"]
        if file not in self._binlogs:
            self._binlogs[file] = binlog_place(file, 0)
        place = self._binlogs[file] + source["pos"]
        return place, source.get("row") or 0, source.get("ts_us") or 1_000 * source["ts_ms"]
