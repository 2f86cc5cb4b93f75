"""What Spark reads: files, Kafka's records and a lake, each held to the contract of sources."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import fs
from pyspark.sql import DataFrame, SparkSession

from builders.truth import EVENTS, Change
from builders.truth_as_avro import GARBAGE, kafka_value, schema_text, write_change_log
from contracts.analyses import ChangeSourceContract, ContinuedSourceContract
from fakes.analyses import FakeHistory
from stroke.adapters.avro.changes import AvroChanges
from stroke.adapters.avro.changes import read as read_avro
from stroke.adapters.spark.changes import SKIPPED
from stroke.adapters.spark.faults import translated
from stroke.adapters.spark.files import SparkFiles
from stroke.adapters.spark.kafka import SparkRecords
from stroke.adapters.spark.lake import SparkLake
from stroke.application.analyses.ports import CannotContinue, ChangeSource, Position, SourceRead
from stroke.domain.errors import BrokerUnavailable, ReplicaUnavailable

_COLUMNS = {
    "id": "BIGINT",
    "timestamp": "BIGINT",
    **dict.fromkeys(("age", "avg_glucose_level", "bmi", "probability"), "DOUBLE"),
    **dict.fromkeys(("hypertension", "heart_disease"), "INT"),
    **dict.fromkeys(("gender", "smoking_status", "name", "country", "province"), "STRING"),
    **dict.fromkeys(("risk_category", "model_version", "contributing_factors"), "STRING"),
}
_ROW = f"STRUCT<{', '.join(f'{name}: {kind}' for name, kind in _COLUMNS.items())}>"
_LOG = (
    f"before {_ROW}, after {_ROW}, op STRING, ts_us BIGINT, "
    "_kafka_metadata STRUCT<partition: INT, offset: BIGINT, cluster: STRING>"
)


class Frames:
    """Takes the frames of a source apart."""

    def rows_of(self, read: SourceRead[DataFrame]) -> list[dict[str, Any]]:
        events = read.rows.where(f"{SKIPPED} IS NULL").drop(SKIPPED)
        with translated("the change events"):  # as the engine does
            return [row.asDict() for row in events.collect()]


def source_of_files(spark: SparkSession, folder: str) -> SparkFiles:
    parts, place = AvroChanges(fs.LocalFileSystem(), folder).plan()

    def read(number: int, *, with_name: bool) -> tuple[Sequence[pa.RecordBatch], Mapping[str, int]]:
        found = read_avro(parts[number], with_name=with_name)
        return found.batches, found.skipped()

    return SparkFiles(spark, len(parts), read, place)


class TestSparkFiles(Frames, ChangeSourceContract[DataFrame]):
    @pytest.fixture
    def source(self, spark: SparkSession, tmp_path: Path) -> SparkFiles:
        return source_of_files(spark, write_change_log(fs.LocalFileSystem(), str(tmp_path)))

    @pytest.fixture
    def gone(self, spark: SparkSession, tmp_path: Path) -> SparkFiles:
        """Return files that go away once they are listed."""
        source = source_of_files(spark, write_change_log(fs.LocalFileSystem(), str(tmp_path)))
        for path in tmp_path.rglob("*.avro"):
            path.unlink()
        return source

    def test_what_is_no_event_is_counted(self, source: SparkFiles) -> None:
        read = source.read(with_name=False)
        position = {**read.position()}

        assert position | GARBAGE == position


def records(spark: SparkSession, values: Sequence[bytes | None]) -> DataFrame:
    """Return what Spark's Kafka source gives of the values of a topic."""
    rows = [(0, offset, value) for offset, value in enumerate(values)]
    return spark.createDataFrame(rows, "partition INT, offset BIGINT, value BINARY")


class TestSparkRecords(Frames, ChangeSourceContract[DataFrame]):
    @pytest.fixture
    def source(self, spark: SparkSession) -> SparkRecords:
        values = [*map(kafka_value, EVENTS), None, b"no frame"]
        return SparkRecords(lambda: records(spark, values), schema_text, topic="changes")

    @pytest.fixture
    def gone(self, spark: SparkSession) -> SparkRecords:
        def no_registry(schema_id: int) -> str:
            raise BrokerUnavailable(f"no answer about {schema_id}")

        values = [kafka_value(EVENTS[0])]
        return SparkRecords(lambda: records(spark, values), no_registry, topic="changes")

    def test_what_is_no_event_is_counted(self, source: SparkRecords) -> None:
        assert source.read(with_name=False).position() == {
            "topic": "changes",
            "tombstones": 1,
            "strange_records": 1,
        }


class TableHistory(FakeHistory):
    """The snapshots of a table, as the catalog of the session knows them."""

    def __init__(self, session: SparkSession, table: str) -> None:
        super().__init__()
        self._session = session
        self._table = table

    def now(self) -> Position:
        self.raise_if_failing()
        found = self._session.sql(
            f"SELECT snapshot_id FROM {self._table}.snapshots ORDER BY committed_at DESC LIMIT 1"  # noqa: S608
        ).collect()
        return {"table": self._table, "snapshot_id": found[0][0] if found else None}

    def check_follows(self, since: Position, now: Position) -> None:
        known = self._session.sql(f"SELECT snapshot_id FROM {self._table}.snapshots").collect()  # noqa: S608
        ids = {None, *(row[0] for row in known)}
        position = since.get("snapshot_id", "")
        if since.keys() != now.keys() or since["table"] != self._table:
            raise CannotContinue("it was of another table")
        if type(position) not in (int, type(None)) or position not in ids:
            raise CannotContinue("it names no snapshot")


class TestSparkLake(Frames, ContinuedSourceContract[DataFrame]):
    @pytest.fixture
    def table(self, spark: SparkSession) -> str:
        name = f"log_{secrets.token_hex(4)}"
        spark.sql(f"CREATE TABLE local.stroke.{name} ({_LOG}) USING iceberg")
        return name

    @pytest.fixture
    def history(self, spark: SparkSession, table: str) -> TableHistory:
        return TableHistory(spark, f"local.stroke.{table}")

    @pytest.fixture
    def empty(self, spark: SparkSession, table: str, history: TableHistory) -> SparkLake:
        return SparkLake(spark, catalog="local", table=f"stroke.{table}", history=history)

    @pytest.fixture
    def add(self, spark: SparkSession, table: str) -> Callable[[Sequence[Change]], None]:
        def add(changes: Sequence[Change]) -> None:
            if changes:
                rows = spark.createDataFrame([*map(logged, changes)], _LOG)
                rows.coalesce(1).writeTo(f"local.stroke.{table}").append()

        return add

    @pytest.fixture
    def source(
        self, empty: SparkLake, add: Callable[[Sequence[Change]], None]
    ) -> ChangeSource[DataFrame]:
        add(EVENTS)
        return empty

    @pytest.fixture
    def gone(self, empty: SparkLake, history: TableHistory) -> SparkLake:
        history.failing = ReplicaUnavailable("the catalog is away")
        return empty


def logged(change: Change) -> dict[str, Any]:
    """Return a change as the sink stores it."""
    number = change["prediction_id"]
    row = {name: change.get(name) for name in _COLUMNS}
    row |= {"id": number, "timestamp": change["timestamp_us"]}
    return {
        "before": {"id": number} if change["op"] in "ud" else None,
        "after": None if change["op"] == "d" else row,
        "op": change["op"],
        "ts_us": change["ts_us"],
        "_kafka_metadata": {
            "partition": 0,
            "offset": change["place"],
            "cluster": change["cluster"],
        },
    }
