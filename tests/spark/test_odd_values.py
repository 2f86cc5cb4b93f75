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


def on_topic(spark: SparkSession, row: Mapping[str, Any], record: Any) -> SparkRecords:
    schema = schema_of(row)[1]
    value = io.BytesIO()
    fastavro.schemaless_writer(value, schema, record)
    framed = struct.pack(">bI", 0, 1) + value.getvalue()
    frame = spark.createDataFrame([(0, 0, framed)], "partition INT, offset BIGINT, value BINARY")
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
