"""Erasures that are asked for over HTTP, on databases and services as they run."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3
from sqlalchemy import URL, create_engine, insert, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders.predictions import patient_json
from components.containers import MySqlServer
from components.databases import run_statements, without_file, without_server
from components.processes import Service, new_key, run_stroke, upgrade_schema
from contracts.erasure import ErasureJobsContract, OldRowsContract, PutRows, PutTimes
from stroke.adapters.sql import engine as engines
from stroke.adapters.sql.erasure import SqlOldRows
from stroke.adapters.sql.erasure_jobs import SqlErasureJobs
from stroke.adapters.sql.tables import predictions

pytestmark = pytest.mark.anyio
CANARY = "Canary-7341"


class JobsOnDatabase(ErasureJobsContract):
    @pytest.fixture
    def jobs(self, engine: AsyncEngine) -> SqlErasureJobs:
        return SqlErasureJobs(engine, statement_timeout=30)

    @pytest.fixture
    def put_rows(self, engine: AsyncEngine) -> PutRows:
        async def put(sites: dict[int, str | None]) -> None:
            rows = [{"id": number, "site": site} for number, site in sites.items()]
            async with engine.begin() as connection:
                await connection.execute(insert(predictions), rows)

        return put


class OldRowsOnDatabase(OldRowsContract):
    @pytest.fixture
    def rows(self, engine: AsyncEngine) -> SqlOldRows:
        return SqlOldRows(engine, statement_timeout=30)

    @pytest.fixture
    def put_times(self, engine: AsyncEngine) -> PutTimes:
        async def put(times: dict[int, datetime | None]) -> None:
            rows = [
                {"id": number, "timestamp": at and at.replace(tzinfo=None)}
                for number, at in times.items()
            ]
            async with engine.begin() as connection:
                await connection.execute(insert(predictions), rows)

        return put


class OnSqlite:
    """The contract's fixtures for a SQLite file: one with today's schema, and one that is gone."""

    @pytest.fixture
    def engine(self, sqlite_engine: AsyncEngine) -> AsyncEngine:
        return sqlite_engine

    @pytest.fixture
    async def engine_away(self, sqlite_engine: AsyncEngine) -> AsyncEngine:
        return await without_file(sqlite_engine)


class OnMySql:
    """The contract's fixtures for MySQL: a database with today's schema, and no server."""

    @pytest.fixture
    def engine(self, mysql_engine: AsyncEngine) -> AsyncEngine:
        return mysql_engine

    @pytest.fixture
    async def engine_away(self, mysql: MySqlServer) -> AsyncIterator[AsyncEngine]:
        url = without_server(make_url(mysql.url("stroke")))
        engine = engines.create_engine(url, pool_size=1, connect_timeout=5)
        yield engine
        await engine.dispose()


class TestOldRowsOnSqlite(OnSqlite, OldRowsOnDatabase):
    @pytest.fixture
    def away(self, engine_away: AsyncEngine) -> SqlOldRows:
        return SqlOldRows(engine_away, statement_timeout=30)


class TestOldRowsOnMySql(OnMySql, OldRowsOnDatabase):
    @pytest.fixture
    def away(self, engine_away: AsyncEngine) -> SqlOldRows:
        return SqlOldRows(engine_away, statement_timeout=30)


class TestOnSqlite(OnSqlite, JobsOnDatabase):
    @pytest.fixture
    def away(self, engine_away: AsyncEngine) -> SqlErasureJobs:
        return SqlErasureJobs(engine_away, statement_timeout=30)


class TestOnMySql(OnMySql, JobsOnDatabase):
    @pytest.fixture
    def away(self, engine_away: AsyncEngine) -> SqlErasureJobs:
        return SqlErasureJobs(engine_away, statement_timeout=30)


class Ward:
    """A service with two processes, and a caller of the site ``north``."""

    def __init__(self, folder: Path, url: URL, **settings: str) -> None:
        self.url, self.folder = url, folder
        database = url.render_as_string(hide_password=False)
        self.settings = {"STROKE_DATABASE_URL": database}
        upgrade_schema(database, folder)
        self.key = new_key(folder, database, "predict,erase,audit")
        self.service = Service(
            folder,
            **self.settings,
            STROKE_HTTP_WORKERS="2",
            STROKE_ERASURE_POLL_SECONDS="0.2",
            **settings,
        )

    def call(self, method: str, path: str, sent: object = None) -> Any:
        answer = urllib3.request(
            method, self.service.url + path, json=sent, headers={"X-API-Key": self.key}
        )
        assert answer.status < 300, answer.data
        return json.loads(answer.data)

    def predicted(self, name: str) -> int:
        return int(self.call("POST", "/predict", patient_json(name=name))["prediction_id"])

    def job(self, job_id: str, *, until: str, within: float = 30) -> Any:
        deadline = time.monotonic() + within
        while True:
            job = self.call("GET", f"/api/v1/erasures/{job_id}")
            if job["state"] == until:
                return job
            assert time.monotonic() < deadline, job
            time.sleep(0.1)


@pytest.fixture
def ward(tmp_path: Path, url: URL) -> Iterator[Ward]:
    ward = Ward(tmp_path, url)
    with ward.service:
        yield ward


def test_a_service_carries_out_what_it_was_asked_for(ward: Ward) -> None:
    first, second = ward.predicted(f"{CANARY} 1"), ward.predicted(f"{CANARY} 2")

    asked = ward.call("POST", "/api/v1/erasures", {"ids": [first, second + 100]})
    done = ward.job(asked["id"], until="done")

    assert (done["erased"], done["not_found"]) == ([first], [second + 100])
    assert done["removed"] == {"database": 1, "keys of batches": 0}
    assert run_statements(ward.url, "SELECT id FROM predictions") == [(second,)]
    if ward.url.get_backend_name() == "sqlite":
        files = [each for each in ward.folder.iterdir() if each.name.startswith("stroke.db")]
        assert files
        assert not any(f"{CANARY} 1".encode() in each.read_bytes() for each in files)
    trail = ward.call("GET", f"/api/v1/audit?target={first}")["items"]
    entries = [each for each in trail if each["action"] == "prediction.erase"]
    assert [each["outcome"] for each in entries] == ["done", "asked"]
    asker = (f"key:{ward.key.split('_')[1]}", "north")
    assert {(each["actor"], each["site"]) for each in entries} == {asker}
    assert CANARY not in ward.service.log


def test_what_a_process_that_was_killed_had_begun_another_one_ends(
    tmp_path: Path, mysql: MySqlServer
) -> None:
    ward = Ward(tmp_path, make_url(mysql.new_database()), STROKE_ERASURE_LEASE_SECONDS="1")
    with ward.service:
        number = ward.predicted(CANARY)
        blocker = create_engine(ward.url.set(drivername="mysql+pymysql"))
        with blocker.connect() as connection:
            connection.execute(
                text("SELECT id FROM predictions WHERE id = :id FOR UPDATE"), {"id": number}
            )
            asked = ward.call("POST", "/api/v1/erasures", {"ids": [number]})
            ward.job(asked["id"], until="running")
            [(worker,)] = run_statements(ward.url, "SELECT worker FROM erasure_jobs")
            os.kill(int(worker.rsplit("-", 2)[1]), signal.SIGKILL)
        blocker.dispose()

        done = ward.job(asked["id"], until="done")

        assert done["attempts"] > 1
        assert done["erased"] == [number]
        assert run_statements(ward.url, "SELECT COUNT(*) FROM predictions") == [(0,)]
        [(other,)] = run_statements(ward.url, "SELECT worker FROM erasure_jobs")
        assert other != worker


def test_where_a_pipeline_carries_erasures_out_the_service_leaves_them_to_it(
    tmp_path: Path,
) -> None:
    url = URL.create("sqlite+aiosqlite", database=str(tmp_path / "stroke.db"))
    ward = Ward(tmp_path, url, STROKE_ERASURE_WORKER="pipeline")
    with ward.service:
        asked = ward.call("POST", "/api/v1/erasures", {"ids": [ward.predicted(CANARY)]})
        time.sleep(1)
        assert ward.call("GET", f"/api/v1/erasures/{asked['id']}")["state"] == "queued"

        done = run_stroke(
            "erase", "work", "--once", "--json", folder=tmp_path, settings=ward.settings
        )

        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["state"] == "done"
        assert ward.job(asked["id"], until="done")["removed"]["database"] == 1


def test_an_erasure_whose_entry_could_not_be_written_is_told_of_by_the_next_attempt(
    tmp_path: Path,
) -> None:
    url = URL.create("sqlite+aiosqlite", database=str(tmp_path / "stroke.db"))
    ward = Ward(tmp_path, url, STROKE_ERASURE_WORKER="pipeline")
    with ward.service:
        number = ward.predicted(CANARY)
        asked = ward.call("POST", "/api/v1/erasures", {"ids": [number, number + 1]})
        run_statements(
            url,
            "CREATE TRIGGER disk_full BEFORE INSERT ON audit"
            " WHEN NEW.outcome = 'done' AND NEW.action = 'prediction.erase'"
            " BEGIN SELECT RAISE(ABORT, 'full'); END",
        )
        work = ("erase", "work", "--once", "--json")
        run_stroke(*work, folder=tmp_path, settings=ward.settings)
        assert run_statements(url, "SELECT COUNT(*) FROM predictions") == [(0,)]
        assert ward.job(asked["id"], until="queued")["erased"] == []

        run_statements(
            url, "DROP TRIGGER disk_full", "UPDATE erasure_jobs SET waits_from = asked_at"
        )
        again = run_stroke(*work, folder=tmp_path, settings=ward.settings)

        assert again.returncode == 0, again.stderr
        done = ward.job(asked["id"], until="done")
        assert (done["erased"], done["not_found"]) == ([number], [number + 1])
        trail = ward.call("GET", f"/api/v1/audit?target={number}")["items"]
        assert [each["outcome"] for each in trail if each["action"] == "prediction.erase"] == [
            "done",
            "asked",
        ]


def test_a_purge_erases_what_is_older_and_goes_on_with_what_was_begun(tmp_path: Path) -> None:
    url = URL.create("sqlite+aiosqlite", database=str(tmp_path / "stroke.db"))
    settings = {
        "STROKE_DATABASE_URL": url.render_as_string(hide_password=False),
        "STROKE_ERASURE_PURGE_ROWS": "2",
    }
    head = "id,timestamp,gender,age,hypertension,heart_disease,avg_glucose_level,bmi,smoking_status"
    old, new = "2001-01-01 12:00:00", "2126-01-01 12:00:00"
    made = {1: old, 2: old, 3: old, 4: new, 5: old}
    rows = [f"{n},{at},Male,61,0,1,228.7,36.6,never smoked" for n, at in made.items()]
    (tmp_path / "rows.csv").write_text("\n".join([head, *rows]))

    def stroke(*arguments: str, fails: int = 0) -> str:
        done = run_stroke(*arguments, folder=tmp_path, within=120, settings=settings)
        assert done.returncode == fails, done.stderr
        return done.stdout

    stroke("db", "upgrade")
    stroke("db", "import", "rows.csv")
    # What a purge leaves that is killed once it has stored what it is about to erase.
    run_statements(
        url,
        "INSERT INTO erasure_jobs"
        " (id, actor, ids, unknown_ids, attempts, state, worker, asked_at, waits_from) VALUES ('a',"
        " 'user:x', '[1, 2]', '[]', 1, 'running', 'w', '2026-01-02 12:00:00', '2026-01-02 12:00')",
    )

    assert (
        json.loads(stroke("db", "purge", "--older-than", "7y", "--dry-run", "--json"))[
            "predictions"
        ]
        == 4
    )
    stroke("db", "purge", "--older-than", "7y", fails=1)  # nobody answers the question
    stroke("db", "purge", "--older-than", "seven", "--yes", fails=2)
    done = json.loads(stroke("db", "purge", "--older-than", "7y", "--yes", "--json"))

    assert (done["predictions"], done["removed"]["database"]) == (2, 2)
    assert run_statements(url, "SELECT id FROM predictions") == [(4,)]
    assert run_statements(url, "SELECT state FROM erasure_jobs WHERE id = 'a'") == [("done",)]
    assert (
        json.loads(stroke("db", "purge", "--older-than", "7y", "--yes", "--json"))["predictions"]
        == 0
    )
    stroke("audit", "verify")
