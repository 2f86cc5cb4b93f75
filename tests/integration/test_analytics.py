"""`stroke analytics` as a user runs it: on a real S3 server, catalogs and databases."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow.fs import LocalFileSystem
from sqlalchemy import create_engine, insert, make_url

from builders.truth import EVENTS, TRUTH, latest_of
from builders.truth_in_lake import (
    COLUMNS,
    EPOCH,
    NAMES,
    SMALL,
    TABLES,
    assert_true,
    begin,
    begin_with_sites,
    fill,
    fill_with_sites,
    results,
)
from components.containers import MySqlServer, PostgreSqlServer
from components.lake_events import TOPIC
from components.object_store import ObjectStore
from components.processes import RunStroke
from contracts.analyses import PlacedResultsContract, ReadResults
from stroke.adapters.iceberg.catalog import Lake
from stroke.adapters.iceberg.change_log import IcebergChangeLog
from stroke.adapters.iceberg.changes import IcebergChanges
from stroke.adapters.sql.tables import predictions
from stroke.adapters.sql_sink.results import RUNS, SqlResults
from stroke.application.analyses.queries import Analysis, analyses
from stroke.domain.errors import InvalidData

pytestmark = pytest.mark.anyio


@pytest.fixture
async def filled(lake: Lake) -> Lake:
    await begin(lake)
    fill(lake)
    return lake


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

    assert [batch["prediction_id"].to_pylist() for batch in given.rows] == [[4]]
    assert given.position()["snapshot_id"] == first.snapshot_id
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


def test_a_site_is_shown_its_own_predictions_of_the_services_table(
    run_on_lake: RunStroke, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'p.db'}"
    assert run_on_lake("db", "upgrade", STROKE_DATABASE_URL=url).returncode == 0
    engine = create_engine(url)
    with engine.begin() as connection:
        for number, site in enumerate(["north", "south", None, "north"], start=1):
            connection.execute(insert(predictions), {"id": number, "site": site})
    engine.dispose()

    def run(*options: str) -> Any:
        arguments = ("analytics", "run", "--source", "db", "--output", "reports", "--json")
        done = run_on_lake(*arguments, *options, STROKE_DATABASE_URL=url)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert (run()["predictions"], run()["site"]) == (4, None)
    assert (run("--site", "north")["predictions"], run("--site", "east")["predictions"]) == (2, 0)
    page = run_on_lake(
        *("analytics", "report", "--html", "-", "--source", "db", "--site", "north"),
        STROKE_DATABASE_URL=url,
    )
    assert page.returncode == 0, page.stderr
    assert "<dt>Site</dt>" in page.stdout
    for refused in (
        ("run", "--output", "reports", "--source", "kafka"),
        ("run", "--output", "reports", "--source", "old"),
        ("run", "--output", "reports", "--checkpoint", "kept"),
        ("report", "--html", "-", "--results", "reports"),
    ):
        done = run_on_lake("analytics", *refused, "--site", "north")
        assert done.returncode == 1
        assert "--site" in done.stderr


async def test_a_site_is_shown_its_own_predictions_of_the_lake(
    run_on_lake: RunStroke, lake: Lake, tmp_path: Path
) -> None:
    await begin_with_sites(lake)
    fill_with_sites(lake)

    done = run_on_lake("analytics", "run", *NAMES, "--output", "reports", *SMALL, "--site", "north")

    assert done.returncode == 0, done.stderr
    assert_true(results(LocalFileSystem(), str(tmp_path / "reports")), NAMES)


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


class TestSqlResults(PlacedResultsContract):
    @pytest.fixture
    def url(self, postgresql: PostgreSqlServer) -> str:
        return postgresql.new_database()

    @pytest.fixture
    def store(self, url: str) -> SqlResults:
        return SqlResults(make_url(url))

    @pytest.fixture
    def read_results(self, postgresql: PostgreSqlServer, url: str) -> ReadResults:
        def read(analysis: Analysis) -> list[dict[str, Any]] | None:
            known = f"SELECT to_regclass('{analysis.table}')"
            if postgresql.rows(url, known)[0][0] is None:
                return None
            # In the order in which they were written, which a heap keeps.
            found = postgresql.rows(url, f"SELECT row_to_json(t)::text FROM {analysis.table} t")  # noqa: S608
            return [
                {k: date.fromisoformat(v) if k == "day" and v else v for k, v in row.items()}
                for row in (json.loads(text) for (text,) in found)
            ]

        return read

    @pytest.fixture
    def read_runs(
        self, postgresql: PostgreSqlServer, url: str
    ) -> Callable[[], list[dict[str, Any]]]:
        def read() -> list[dict[str, Any]]:
            found = postgresql.rows(url, f"SELECT run FROM {RUNS} ORDER BY began")  # noqa: S608
            return [json.loads(text) for (text,) in found]

        return read

    @pytest.fixture
    def blocked(self) -> SqlResults:
        return SqlResults(make_url("postgresql+asyncpg://me:secret@127.0.0.1:1/nowhere"))


def test_texts_that_a_result_table_cannot_hold_do_not_stop_a_run(
    postgresql: PostgreSqlServer,
) -> None:
    url = postgresql.new_database()
    analysis = replace(analyses()[0], name="texts")
    texts = ["Québec", "x" * 300, "a\0b", None]

    SqlResults(make_url(url)).write(analysis, pa.table({"country": texts}))

    found = postgresql.rows(url, "SELECT country FROM stroke_analytics_texts")
    assert [row[0] for row in found] == ["Québec", "x" * 254 + "\u2026", "a\ufffdb", None]


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
