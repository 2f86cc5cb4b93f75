"""Values that few rows have, read by Spark: it finds what the reader without Spark does."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from pyarrow import fs
from pyspark.sql import DataFrame, SparkSession

from builders.truth import EVENTS
from builders.truth_as_avro import FOLDER, NEWER, TOPIC, avro_file, envelope, schema_of, write
from stroke.adapters.avro.changes import AvroChanges
from stroke.adapters.avro.changes import read as read_avro
from stroke.adapters.spark.changes import SKIPPED
from stroke.adapters.spark.files import SparkFiles
from stroke.adapters.spark.kafka import SparkRecords
from stroke.application.analyses.ports import SourceRead

pytestmark = pytest.mark.soak("values that few rows have: readers without Spark are in the gate")

MOMENT_US = 1_790_928_900_123_456
LONG = "Ā" * 300
UNITS: Mapping[str, tuple[Any, int | str, int | None]] = {
    "nanoseconds": (
        {"type": "long", "connect.name": "io.debezium.time.NanoTimestamp"},
        MOMENT_US * 1000 + 789,
        MOMENT_US,
    ),
    "nanoseconds before 1970": (
        {"type": "long", "connect.name": "io.debezium.time.NanoTimestamp"},
        -1,
        -1,
    ),
    "Avro's nanoseconds": (
        {"type": "long", "logicalType": "timestamp-nanos"},
        MOMENT_US * 1000,
        MOMENT_US,
    ),
    "a text of nanoseconds": (
        {"type": "string", "connect.name": "io.debezium.time.IsoTimestamp"},
        "2026-10-02T08:15:00.123456789Z",
        1_790_928_900_123_456,
    ),
    "a unit that nobody knows": (
        {"type": "long", "connect.name": "org.example.Fortnights"},
        MOMENT_US,
        None,
    ),
    "no unit": ("long", MOMENT_US, None),
    "two units": (
        {
            "type": "long",
            "connect.name": "io.debezium.time.Timestamp",
            "logicalType": "timestamp-micros",
        },
        MOMENT_US,
        None,
    ),
    "more than there is": (
        {"type": "long", "connect.name": "io.debezium.time.Timestamp"},
        2**62,
        None,
    ),
}


def record_with(**values: Any) -> Mapping[str, Any]:
    """Return the envelope of a new row with these values."""
    change = next(each for each in EVENTS if each["op"] == "c")
    record = envelope(change)
    return {**record, "after": {**record["after"], **values}}


def in_files(spark: SparkSession, root: Path, row: Mapping[str, Any], record: Any) -> SparkFiles:
    system = fs.LocalFileSystem()
    write(system, f"{root}/{FOLDER}/{TOPIC}+0+0000000000.avro", avro_file([record], row))
    parts, place = AvroChanges(system, f"{root}/topics/{TOPIC}").plan()

    def read(number: int, *, with_name: bool) -> tuple[Sequence[pa.RecordBatch], Mapping[str, int]]:
        found = read_avro(parts[number], with_name=with_name)
        return found.batches, found.skipped()

    return SparkFiles(spark, len(parts), read, place)


def on_topic(spark: SparkSession, row: Mapping[str, Any], *given: Any) -> SparkRecords:
    schema = schema_of(row)[1]
    records = []
    for offset, record in enumerate(given):
        value = io.BytesIO()
        fastavro.schemaless_writer(value, schema, record)
        records.append((0, offset, struct.pack(">bI", 0, 1) + value.getvalue()))
    frame = spark.createDataFrame(records, "partition INT, offset BIGINT, value BINARY")
    return SparkRecords(lambda: frame, lambda _: json.dumps(schema), topic="changes")


def only_row(read: SourceRead[DataFrame]) -> dict[str, Any]:
    [row] = read.rows.where(f"{SKIPPED} IS NULL").collect()
    found: dict[str, Any] = row.asDict()
    return found


def sources(
    spark: SparkSession, root: Path, row: Mapping[str, Any], record: Any
) -> list[SparkFiles | SparkRecords]:
    return [in_files(spark, root, row, record), on_topic(spark, row, record)]


@pytest.mark.parametrize("column", ["name", "country", "gender", "risk_category", "model_version"])
def test_texts_of_more_than_255_letters_come_whole(
    spark: SparkSession, tmp_path: Path, column: str
) -> None:
    for source in sources(spark, tmp_path, NEWER, record_with(**{column: LONG})):
        assert only_row(source.read(with_name=True))[column] == LONG


@pytest.mark.parametrize("unit", UNITS)
def test_a_time_is_read_by_its_unit_or_not_at_all(
    spark: SparkSession, tmp_path: Path, unit: str
) -> None:
    kind, stored, micros = UNITS[unit]
    row = {**NEWER, "timestamp": kind}
    for source in sources(spark, tmp_path, row, record_with(timestamp=stored)):
        read = source.read(with_name=False)
        assert only_row(read)["timestamp_us"] == micros
        assert read.position().get("strange_values", 0) == int(micros is None)


MILLIS = {"type": "long", "connect.name": "io.debezium.time.Timestamp"}
NANOS = {"type": "long", "connect.name": "io.debezium.time.NanoTimestamp"}
DAYS = {"type": "int", "connect.name": "io.debezium.time.Date"}
TIMES = (
    "2026-10-02T08:15:00Z",
    "2026-10-02 08:15",
    "2026-10-02",
    "2026-10-02T08:15:00.1+14:00",
    "2026-10-02T08:15:00+18:00",
    "2026-10-02T24:00:00Z",
    "2026-02-30",
    "0000-01-01",
    "0001-01-01",
    "9999-12-31 23:59:59.999999",
    "2026-10-02\n",
    " 2026-10-02",
    "",
    "now",
)
NUMBERS = ("67", "-1.5", "1e2", "1e999", ".5", "5.", "+3", " 1", "1_0", "1.5f", "NaN", "", "x")
WHOLES = ("1", "-1", "1.0", "+1", " 1", "9223372036854775807", "9223372036854775808", "")
OF_TYPES: Mapping[str, tuple[str, Any, Sequence[Any]]] = {
    "times in milliseconds": ("timestamp", MILLIS, [0, -1, 2**62, -(2**63), 2**53]),
    "times in nanoseconds": ("timestamp", NANOS, [0, -1, -1000, -1001, 2**63 - 1, -(2**63)]),
    "times in days": ("timestamp", DAYS, [0, -1, 2**31 - 1]),
    "times as fractions": ("timestamp", {**MILLIS, "type": "double"}, [0.0, 1.5]),
    "times as texts": ("timestamp", "string", TIMES),
    "flags as fractions": ("hypertension", "double", [0.0, 1.0, 0.5, -0.0, 1e300, 2.0**63]),
    "flags that are no number": ("hypertension", "double", [float("nan"), float("inf")]),
    "flags as texts": ("hypertension", "string", WHOLES),
    "flags as booleans": ("hypertension", "boolean", [True, False]),
    "flags as bytes": ("hypertension", "bytes", [b"1"]),
    "ages as texts": ("age", "string", NUMBERS),
    "ages as whole numbers": ("age", "long", [67, 2**53 + 1, -(2**63)]),
    "ages as booleans": ("age", "boolean", [True]),
    "ages as bytes": ("age", "bytes", [b"67"]),
    "texts as bytes": ("country", "bytes", [b"Chile", "Ā".encode(), b"\xff", b""]),
    "texts as numbers": ("country", "int", [7]),
    "texts as booleans": ("country", "boolean", [True]),
}


@pytest.mark.parametrize("kind", OF_TYPES)
def test_a_value_of_another_type_is_read_and_counted_as_without_spark(
    spark: SparkSession, tmp_path: Path, kind: str
) -> None:
    column, stored, values = OF_TYPES[kind]
    row = {**NEWER, column: stored}
    records = [record_with(**{column: value}) for value in (*values, None)]
    system = fs.LocalFileSystem()
    write(system, f"{tmp_path}/{FOLDER}/{TOPIC}+0+0000000000.avro", avro_file(records, row))
    name = "timestamp_us" if column == "timestamp" else column
    without = AvroChanges(system, f"{tmp_path}/topics/{TOPIC}", workers=1).read(with_name=False)
    expected = [each[name] for batch in without.rows for each in batch.to_pylist()]

    read = on_topic(spark, row, *records).read(with_name=False)
    events = read.rows.where(f"{SKIPPED} IS NULL").orderBy("place").collect()

    assert repr([each[name] for each in events]) == repr(expected)
    counted = read.position().get("strange_values", 0)
    assert counted == without.position()["strange_values"]
