"""`stroke db copy`: everything of one database in another, proved at the end."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Table, make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from builders.access import api_key, session
from builders.assessments import feedback, kept
from builders.audit import audit_event
from builders.predictions import NOON, outcome, prediction
from components.containers import MySqlServer
from components.databases import run_statements
from components.processes import run_stroke
from contracts.erasure import a_job
from contracts.models import score
from contracts.predictions import AWKWARD_NAMES, AWKWARD_NUMBERS
from stroke.adapters.sql import copying, schema, tables
from stroke.adapters.sql.assessments import SqlAssessmentStore
from stroke.adapters.sql.audit import SqlAuditLog
from stroke.adapters.sql.deployments import SqlDeploymentStore
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.erasure_jobs import SqlErasureJobs
from stroke.adapters.sql.keys import SqlKeyStore
from stroke.adapters.sql.outcomes import SqlOutcomeRepository
from stroke.adapters.sql.repository import SqlPredictionRepository
from stroke.adapters.sql.sessions import SqlSessionStore
from stroke.adapters.sql.shadow_scores import SqlShadowScores
from stroke.adapters.sql.used_tokens import SqlTokenLedger
from stroke.domain.access import ApiKey
from stroke.domain.clinical.kept import AssessmentFilter
from stroke.domain.deployment import Change, Deployment
from stroke.domain.prediction import PredictionFilter, PredictionRecord, StoredBatch

ROWS = 1200


@pytest.fixture
def source(tmp_path: Path) -> URL:
    """Return a database of 1,200 predictions with odd values, and rows in all other tables."""
    url = URL.create("sqlite+aiosqlite", database=str(tmp_path / "old.db"))
    schema.upgrade(url)

    async def fill() -> None:
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        store = SqlPredictionRepository(engine, statement_timeout=30)
        await store.add([prediction(name=name) for name in AWKWARD_NAMES])
        await store.add([prediction(p, age=p) for p in AWKWARD_NUMBERS])
        await store.add([prediction(idempotency_key="one")])
        await store.add([prediction(), prediction()], batch_key="many")
        left = ROWS - len(AWKWARD_NAMES) - len(AWKWARD_NUMBERS) - 3
        ids = await store.add(
            [prediction(i / ROWS, made_at=NOON + timedelta(seconds=i)) for i in range(left)]
        )
        outcomes = SqlOutcomeRepository(engine, statement_timeout=30)
        await outcomes.put([outcome(each, source="Ünïcödé 山田") for each in ids[::3]])
        erased = await store.add([prediction()] * 5)
        for each in (*erased, ids[7]):
            await store.remove(each)
        keys = SqlKeyStore(engine, statement_timeout=30)
        await keys.add(api_key("1" * 16, name="Ünïcödé 山田", site="north-1"))
        ended = {"expires_at": NOON, "revoked_at": NOON + timedelta(microseconds=7)}
        await keys.add(api_key("2" * 16, replaced_by="1" * 16, **ended))
        charts = SqlAssessmentStore(engine, statement_timeout=30)
        for number in ids[:3]:
            await charts.keep(kept(number, subject="Ünïcödé 山田"))
        await charts.put_feedback([feedback(ids[0], comment="said 'no' to \\ and \n")])
        said = [score(ids[0], probability=1 / 3), score(ids[1])]
        await SqlShadowScores(engine, statement_timeout=30).add(said)
        deployed = Deployment.of_setting("fake-1").begun(Change(NOON, "user:ops", "山田's"))
        await SqlDeploymentStore(engine, statement_timeout=30).append([deployed])
        await SqlErasureJobs(engine, statement_timeout=30).add(a_job(), key="of the job")
        used = SqlTokenLedger(engine, statement_timeout=30)
        await used.use("ab" * 32, until=NOON + timedelta(minutes=5), now=NOON)
        await SqlSessionStore(engine, statement_timeout=30).add(session("cd" * 32))
        await add_entries(engine, 700)
        await engine.dispose()

    asyncio.run(fill())
    run_statements(
        url, "INSERT INTO predictions (id, timestamp) VALUES (5000, '2026-01-02 12:00:00')"
    )
    return url


async def add_entries(engine: AsyncEngine, count: int) -> None:
    log = SqlAuditLog(engine, statement_timeout=30)
    await log.append([audit_event(target=str(each)) for each in range(count)])


@pytest.fixture(params=["sqlite", "mysql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    if request.param == "sqlite":
        url = URL.create("sqlite+aiosqlite", database=str(tmp_path / "new.db"))
    else:
        server: MySqlServer = request.getfixturevalue("mysql")
        url = make_url(server.new_database())
    schema.upgrade(url)
    return url


def copy(source: URL, target: URL, *options: str) -> subprocess.CompletedProcess[str]:
    settings = {"STROKE_DATABASE_URL": target.render_as_string(hide_password=False)}
    assert source.database is not None
    folder = Path(source.database).parent
    return run_stroke("db", "copy", source.database, *options, folder=folder, settings=settings)


def everything(url: URL) -> tuple[list[PredictionRecord], list[Any], Any, Any]:
    async def read() -> tuple[list[PredictionRecord], list[Any], Any, Any]:
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        store = SqlPredictionRepository(engine, statement_timeout=30)
        records = await store.page(PredictionFilter(), limit=10_000)
        outcomes = SqlOutcomeRepository(engine, statement_timeout=30)
        known = await outcomes.known([record.id for record in records[:900]])
        keys = await store.find_by_key("one"), await store.find_by_key("many")
        await engine.dispose()
        return records, sorted(known.items()), *keys

    return asyncio.run(read())


async def charts_and_jobs(url: URL) -> tuple[Any, ...]:
    engine = create_engine(url, pool_size=1, connect_timeout=5)
    store = SqlAssessmentStore(engine, statement_timeout=30)
    charts = await store.page(AssessmentFilter(), limit=100)
    jobs = SqlErasureJobs(engine, statement_timeout=30)
    again = await jobs.add(a_job(), key="of the job")
    found = (charts, await store.tally(AssessmentFilter()), await jobs.find(a_job().id), again)
    await engine.dispose()
    return found


def add_keys(url: URL, *keys: ApiKey) -> None:
    async def added() -> None:
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        for key in keys:
            await SqlKeyStore(engine, statement_timeout=30).add(key)
        await engine.dispose()

    asyncio.run(added())


def api_keys(url: URL) -> Sequence[ApiKey]:
    async def read() -> Sequence[ApiKey]:
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        found = await SqlKeyStore(engine, statement_timeout=30).all()
        await engine.dispose()
        return found

    return asyncio.run(read())


def test_keys_that_the_target_has_already_are_no_difference(source: URL, target: URL) -> None:
    own = api_key("a" * 16, name="of the target")
    add_keys(target, own)

    assert copy(source, target).returncode == 0
    assert {key.id for key in api_keys(target)} == {own.id, *(k.id for k in api_keys(source))}
    assert copy(source, target).returncode == 0

    run_statements(target, "UPDATE api_keys SET site = 'elsewhere' WHERE site = 'north-1'")
    assert "not equal: api_keys" in copy(source, target).stderr


def test_a_copy_holds_every_row_as_it_was_and_says_so(source: URL, target: URL) -> None:
    tried = copy(source, target, "--dry-run", "--json")
    assert (tried.returncode, json.loads(tried.stdout)["copied"]["predictions"]) == (1, ROWS)
    assert run_statements(target, "SELECT * FROM predictions") == []

    done = copy(source, target, "--json")

    assert done.returncode == 0, done.stderr + done.stdout
    report = json.loads(done.stdout)
    assert report["equal"] is True
    assert report["copied"].pop("outcomes") > 300
    assert report["copied"] == {
        "predictions": ROWS,
        "shadow_scores": 2,
        "batches_by_idempotency_key": 1,
        "assessments": 3,
        "feedback": 1,
        "erasure_jobs": 1,
        "api_keys": 2,
        "used_tokens": 1,
        "deployments": 1,
        "audit": 700,
    }
    assert {each["table"] for each in report["ranges"]} == {"outcomes", *report["copied"]}
    assert report["left"] == {"browser_sessions": 1, "platform_reports": 0, "worker_turns": 0}
    assert asyncio.run(charts_and_jobs(target)) == asyncio.run(charts_and_jobs(source))
    assert api_keys(target) == api_keys(source)
    assert everything(target) == everything(source)
    single, batch = everything(target)[2:]
    assert isinstance(single, PredictionRecord)
    assert isinstance(batch, StoredBatch)


def test_a_copy_that_was_ended_half_way_goes_on_and_a_second_one_has_nothing_to_do(
    source: URL, target: URL
) -> None:
    assert copy(source, target).returncode == 0
    run_statements(
        target, "DELETE FROM outcomes", "DELETE FROM predictions WHERE id > 300 AND id < 900"
    )

    again = json.loads(copy(source, target, "--json").stdout)
    third = json.loads(copy(source, target, "--json").stdout)

    assert again["equal"] is True
    assert again["copied"]["predictions"] == 599
    assert set(third["copied"].values()) == {0}
    assert third["unchanged"]["predictions"] == ROWS
    assert everything(target) == everything(source)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE predictions SET name = 'someone' WHERE id = 40",
        "UPDATE predictions SET age = age + 0.0000001 WHERE id = 40",
        "UPDATE predictions SET prediction_data = '{\"age\": 1}' WHERE id = 40",
        "UPDATE outcomes SET stroke = 1 - stroke",
        "UPDATE shadow_scores SET probability = 0.5",
        "UPDATE assessments SET subject = 'p2'",
        "UPDATE feedback SET comment = 'someone'",
        "UPDATE erasure_jobs SET attempts = 3",
        "UPDATE used_tokens SET ends_at = '2026-01-02 12:00:00'",
        "UPDATE batches_by_idempotency_key SET ids = '[[1, 2, 1]]'",
        "INSERT INTO predictions (id, name) VALUES (9999, 'new')",
    ],
)
def test_a_target_that_holds_anything_else_is_not_equal_and_is_left_alone(
    source: URL, target: URL, change: str
) -> None:
    assert copy(source, target).returncode == 0
    run_statements(target, change)
    changed = everything(target)

    again = copy(source, target)

    assert again.returncode == 1
    assert "not equal" in again.stderr
    assert "someone" not in again.stdout + again.stderr
    assert everything(target) == changed


def test_the_target_gives_no_id_that_the_source_has_given(source: URL, target: URL) -> None:
    run_statements(source, "DELETE FROM predictions WHERE id = 5000")
    assert copy(source, target).returncode == 0
    run_statements(target, "INSERT INTO predictions (name) VALUES ('next')")
    assert run_statements(target, "SELECT MAX(id) FROM predictions") == [(5001,)]


def test_a_row_that_the_target_cannot_hold_is_counted_and_the_others_are_copied(
    source: URL, target: URL
) -> None:
    run_statements(source, "UPDATE predictions SET prediction_data = 'no JSON' WHERE id = 40")
    done = copy(source, target, "--json")
    report = json.loads(done.stdout)
    refused = int(target.get_backend_name() == "mysql")
    assert report["rejected"]["predictions"] == refused
    assert report["equal"] is not bool(refused)
    assert done.returncode == refused


def test_every_table_is_copied_or_named_as_one_that_stays() -> None:
    all_of_them = {each for each in vars(tables).values() if isinstance(each, Table)}
    assert all_of_them == copying.COPIED | copying.NOT_COPIED
    assert not copying.COPIED & copying.NOT_COPIED


def test_the_audit_trail_goes_on_in_the_target(source: URL, target: URL) -> None:
    settings = {"STROKE_DATABASE_URL": target.render_as_string(hide_password=False)}
    folder = Path(str(source.database)).parent
    for entries in (701, 702):
        assert copy(source, target).returncode == 0
        verified = run_stroke("audit", "verify", "--json", folder=folder, settings=settings)
        assert verified.returncode == 0
        assert json.loads(verified.stdout)["entries"] == entries


def test_an_audit_trail_stays_behind_where_the_target_has_its_own(source: URL, target: URL) -> None:
    async def begin() -> None:
        engine = create_engine(target, pool_size=1, connect_timeout=5)
        await add_entries(engine, 2)
        await engine.dispose()

    asyncio.run(begin())
    done = copy(source, target)
    assert done.returncode == 0
    assert "audit: 700 not copied" in done.stderr
    assert "stroke audit export" in done.stderr
    assert run_statements(target, "SELECT MAX(number) FROM audit") == [(3,)]


def test_a_database_without_rows_is_copied_too(tmp_path: Path, target: URL) -> None:
    empty = URL.create("sqlite+aiosqlite", database=str(tmp_path / "empty.db"))
    schema.upgrade(empty)

    done = copy(empty, target)

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\n0 of 0 ranges are equal\n")


def test_a_source_with_a_password_comes_from_a_file_and_not_the_command_line(
    tmp_path: Path,
) -> None:
    urls = {name: f"sqlite+aiosqlite:///{tmp_path / name}.db" for name in ("old", "new")}
    for url in urls.values():
        schema.upgrade(make_url(url))
    file = tmp_path / "source.url"
    file.write_text(f"{urls['old']}\n")
    named = {"STROKE_DATABASE_COPY_SOURCE_FILE": str(file), "STROKE_DATABASE_URL": urls["new"]}

    copied = run_stroke("db", "copy", folder=tmp_path, settings=named)
    file.write_text("mysql://stroke:Canary-1@127.0.0.1:1/stroke")
    away = run_stroke("db", "copy", folder=tmp_path, settings=named)
    other = run_stroke("db", "copy", "nowhere.db", folder=tmp_path, settings=named)
    unnamed = run_stroke(
        "db", "copy", folder=tmp_path, settings={"STROKE_DATABASE_URL": urls["new"]}
    )

    assert copied.returncode == 0, copied.stderr
    assert "ranges are equal" in copied.stdout
    assert [done.returncode for done in (away, other, unnamed)] == [1, 1, 1]
    assert "Canary-1" not in away.stdout + away.stderr
    assert "nowhere.db" in other.stderr
    assert "STROKE_DATABASE_COPY_SOURCE" in unnamed.stderr


def test_a_source_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    for source, said in (("nowhere.db", "no file"), ("postgresql://x/y", "mysql://")):
        done = run_stroke("db", "copy", source, folder=tmp_path)
        assert done.returncode == 1
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
