"""`stroke analytics` as a user runs it: on a real S3 server, catalogs and databases."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import FileSystem, LocalFileSystem
from pyiceberg.types import StringType
from sqlalchemy import create_engine, insert, make_url

from change_log import EVENTS, NEW, OLD, TRUTH, Change, latest_of
from stroke.adapters.iceberg.catalog import Lake
from stroke.adapters.iceberg.change_log import IcebergChangeLog
from stroke.adapters.iceberg.changes import IcebergChanges
from stroke.adapters.sql.tables import predictions
from stroke.adapters.sql_sink.results import SqlResults
from stroke.domain.analyses import analyses
from stroke.domain.errors import InvalidData

from .containers import MySqlServer, PostgreSqlServer
from .lake_events import TOPIC, Sink
from .object_store import ObjectStore
from .processes import RunStroke

pytestmark = pytest.mark.anyio

COLUMNS = (
    ("id", "int64"),
    ("timestamp", "int64"),
    ("gender", "string"),
    ("age", "float64"),
    ("hypertension", "int16"),
    ("heart_disease", "int16"),
    ("avg_glucose_level", "float64"),
    ("bmi", "float64"),
    ("smoking_status", "string"),
    ("name", "string"),
    ("country", "string"),
    ("province", "string"),
    ("probability", "float64"),
    ("risk_category", "string"),
    ("contributing_factors", "string"),
    ("prediction_data", "string"),
)
NAMES = [*TRUTH]
TABLES = {each.name: each.table for each in analyses()}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SMALL = ("--top", "2", "--minimum-count", "1")


def an_event(change: Change) -> dict[str, Any]:
    moment = EPOCH + timedelta(microseconds=change["ts_us"])
    row = {name: change.get(name) for name, _ in (*COLUMNS, ("model_version", ""))}
    row |= {"id": change["prediction_id"], "timestamp": change["timestamp_us"]}
    return {
        "before": {"id": change["prediction_id"]} if change["op"] in "ud" else None,
        "after": None if change["op"] == "d" else row,
        "op": change["op"],
        "ts_ms": moment,
        "ts_us": change["ts_us"],
    }


@pytest.fixture
async def filled(lake: Lake) -> Lake:
    """The change log of ``EVENTS``: older files lack a column, one is Avro, clusters differ."""
    await IcebergChangeLog(lake, columns=COLUMNS, topic=TOPIC).ensure_table()
    older, sink, newer = Sink(lake, OLD), Sink(lake, OLD), Sink(lake, NEW)
    (adopted,) = (change for change in EVENTS if change["op"] == "r")
    older.commit(an_event(adopted), at_offset=adopted["place"])
    with lake.load().update_schema() as evolving:
        for struct in ("before", "after"):
            evolving.add_column((struct, "model_version"), StringType())
    for change in EVENTS:
        if change["op"] == "r":
            continue
        into = newer if change["cluster"] == NEW else sink
        if change["op"] == "d" and change["prediction_id"] == 6:
            into._next = change["place"]
            into.commit_avro(an_event(change))
        else:
            into.commit(an_event(change), at_offset=change["place"])
    return lake


def results(files: FileSystem, folder: str) -> dict[str, list[dict[str, Any]]]:
    return {
        name: pq.read_table(f"{folder}/{table}.parquet", filesystem=files).to_pylist()
        for name, table in TABLES.items()
        if files.get_file_info(f"{folder}/{table}.parquet").is_file
    }


def assert_true(found: Mapping[str, Sequence[Mapping[str, Any]]], names: Sequence[str]) -> None:
    assert sorted(found) == sorted(names)
    for name, rows in found.items():
        expected = TRUTH[name]
        told = [tuple(row.values())[: len(expected[0])] for row in rows]
        assert len(told) == len(expected), name
        for one, other in zip(told, expected, strict=True):
            assert one == pytest.approx(other, abs=1e-12), name
        assert all("name" not in row for row in rows)


async def test_the_lake_gives_the_truth(
    run_on_lake: RunStroke, filled: Lake, tmp_path: Path
) -> None:
    done = run_on_lake("analytics", "run", *NAMES, "--output", "reports", *SMALL)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("17 analyses of 6 predictions (15 events read) in ")
    assert_true(results(LocalFileSystem(), str(tmp_path / "reports")), NAMES)
    record = json.loads((tmp_path / "reports" / "run.json").read_text())
    assert record["point"]["snapshot_id"] == filled.load().current_snapshot().snapshot_id  # type: ignore[union-attr]
    assert (record["events"], record["predictions"]) == (15, 6)
    assert record["rows"]["risk-by-gender"] == 4
    assert not list((tmp_path / "reports").glob(".*"))


async def test_what_has_a_row_per_patient_is_made_only_when_it_is_named(
    run_on_lake: RunStroke, filled: Lake, s3: ObjectStore
) -> None:
    bucket = s3.new_bucket()

    done = run_on_lake("analytics", "run", "--output", f"s3://{bucket}/reports", "--json", *SMALL)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["predictions"] == 6
    cohort = [each.name for each in analyses() if not each.patient_level]
    assert_true(results(s3.files, f"{bucket}/reports"), cohort)
    assert f"{bucket}/reports/run.json" in s3.paths(f"{bucket}/reports")


async def test_the_lake_can_be_read_as_it_was(run_on_lake: RunStroke, filled: Lake) -> None:
    first = filled.load().snapshots()[0]
    then = datetime.fromtimestamp(first.timestamp_ms / 1000, UTC)

    given = IcebergChanges(filled, as_of=then).read(with_name=False)

    assert [batch["prediction_id"].to_pylist() for batch in given.batches] == [[4]]
    assert given.point["snapshot_id"] == first.snapshot_id
    with pytest.raises(InvalidData, match="no snapshot at that time"):
        IcebergChanges(filled, as_of=then - timedelta(days=1)).read(with_name=False)
    done = run_on_lake("analytics", "run", "--output", "reports", "--as-of", "2020-01-01")
    assert done.returncode == 1
    assert done.stderr.startswith("stroke: stroke.predictions_changes had no snapshot at that time")


async def test_a_table_without_events_gives_empty_results(
    run_on_lake: RunStroke, lake: Lake, tmp_path: Path
) -> None:
    await IcebergChangeLog(lake, columns=COLUMNS, topic=TOPIC).ensure_table()

    done = run_on_lake("analytics", "run", "--output", "reports")

    assert done.returncode == 0, done.stderr
    assert results(LocalFileSystem(), str(tmp_path / "reports"))["operations"] == []


@pytest.mark.parametrize("database", ["sqlite", "mysql"])
async def test_the_service_s_own_table_gives_the_truth_but_for_the_events(
    run_on_lake: RunStroke, mysql: MySqlServer, tmp_path: Path, database: str
) -> None:
    url = f"sqlite:///{tmp_path / 'p.db'}" if database == "sqlite" else mysql.new_database()
    assert run_on_lake("db", "upgrade", STROKE_DATABASE_URL=url).returncode == 0
    driver = {"sqlite": "sqlite", "mysql": "mysql+pymysql"}[database]
    engine = create_engine(make_url(url).set(drivername=driver))
    with engine.begin() as connection:
        for number, change in latest_of(EVENTS).items():
            row = {c.name: change.get(c.name) for c in predictions.columns}
            stored = change["timestamp_us"]
            moment = None if stored is None else EPOCH + timedelta(microseconds=stored)
            factors = row["contributing_factors"]
            row |= {"id": number, "timestamp": moment, "prediction_data": None}
            row["contributing_factors"] = None if factors is None else json.loads(factors)
            connection.execute(insert(predictions), row)
    engine.dispose()

    arguments = ("analytics", "run", *NAMES, "--source", "db", "--output", "reports", *SMALL)
    done = run_on_lake(*arguments, STROKE_DATABASE_URL=url)

    assert done.returncode == 0, done.stderr
    assert done.stderr == "operations: left out, the database keeps no events\n"
    names = [name for name in NAMES if name != "operations"]
    assert_true(results(LocalFileSystem(), str(tmp_path / "reports")), names)


async def test_results_become_tables(
    run_on_lake: RunStroke, filled: Lake, postgresql: PostgreSqlServer
) -> None:
    url = postgresql.new_database()
    jdbc = "jdbc:" + url.replace("+asyncpg", "")

    for _ in range(2):  # the second run takes the place of the first
        done = run_on_lake("analytics", "run", *NAMES, "--output", jdbc, *SMALL)
        assert done.returncode == 0, done.stderr
        assert url.partition("@")[0].rpartition(":")[2] not in done.stdout + done.stderr

    for name in ("risk-by-province", "trend-per-day", "merits-review"):
        found = postgresql.rows(url, f"SELECT * FROM {TABLES[name]}")  # noqa: S608
        width = len(TRUTH[name][0])
        assert sorted(map(str, (tuple(row)[:1] for row in found))) == sorted(
            str(row[:1]) for row in TRUTH[name]
        )
        assert len(found) == len(TRUTH[name])
        assert all(len(row) >= width for row in found)
    runs = postgresql.rows(url, "SELECT run FROM stroke_analytics_runs ORDER BY began")
    assert [json.loads(row[0])["predictions"] for row in runs] == [6, 6]


def test_a_reader_sees_all_of_one_run_or_all_of_another(
    postgresql: PostgreSqlServer,
) -> None:
    url = postgresql.new_database()
    store = SqlResults(make_url(url))
    (analysis,) = (each for each in analyses() if each.name == "trend-per-day")
    analysis = replace(analysis, name="halves")
    tables = [pa.table({"run": [number] * 3_000}) for number in range(6)]
    store.write(analysis, tables[0])
    seen: set[tuple[int, int, int]] = set()

    def write() -> None:
        for one in tables[1:]:
            store.write(analysis, one)

    writing = threading.Thread(target=write)
    writing.start()
    while writing.is_alive():
        query = "SELECT COUNT(*), MIN(run), MAX(run) FROM stroke_analytics_halves"
        (row,) = postgresql.rows(url, query)
        seen.add(tuple(row))
    writing.join()

    assert len(seen) > 1
    assert {(count, low == high) for count, low, high in seen} == {(3_000, True)}


async def test_a_place_that_cannot_be_written_is_said_and_nothing_is_half_done(
    run_on_lake: RunStroke, filled: Lake, tmp_path: Path
) -> None:
    (tmp_path / "reports").write_text("a file")

    done = run_on_lake("analytics", "run", "--output", "reports")
    gone = run_on_lake("analytics", "run", "--output", "postgresql://me:s3cret@127.0.0.1:1/nowhere")

    assert (done.returncode, gone.returncode) == (1, 1)
    assert "cannot be written to" in done.stderr
    assert gone.stderr.startswith("stroke: the database for results cannot be reached")
    assert "s3cret" not in gone.stderr
    assert (tmp_path / "reports").read_text() == "a file"
