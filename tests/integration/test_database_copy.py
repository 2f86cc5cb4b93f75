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
from sqlalchemy import URL, make_url

from builders.access import api_key
from builders.predictions import NOON, outcome, prediction
from components.containers import MySqlServer
from components.databases import run_statements
from components.processes import run_stroke
from contracts.predictions import AWKWARD_NAMES, AWKWARD_NUMBERS
from stroke.adapters.sql import schema
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.keys import SqlKeyStore
from stroke.adapters.sql.outcomes import SqlOutcomeRepository
from stroke.adapters.sql.repository import SqlPredictionRepository
from stroke.domain.access import ApiKey
from stroke.domain.prediction import PredictionFilter, PredictionRecord, StoredBatch

ROWS = 1200


@pytest.fixture
def source(tmp_path: Path) -> URL:
    """Return a database of 1,200 rows with outcomes, keys, a batch, erased ids and odd values."""
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
        await engine.dispose()

    asyncio.run(fill())
    run_statements(
        url, "INSERT INTO predictions (id, timestamp) VALUES (5000, '2026-01-02 12:00:00')"
    )
    return url


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
    told = json.loads(done.stdout)
    assert told["equal"] is True
    assert told["copied"]["predictions"] == ROWS
    assert told["copied"]["batches_by_idempotency_key"] == 1
    assert told["copied"]["api_keys"] == 2
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
    told = json.loads(done.stdout)
    refused = int(target.get_backend_name() == "mysql")
    assert told["rejected"]["predictions"] == refused
    assert told["equal"] is not bool(refused)
    assert done.returncode == refused


def test_a_source_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    for source, said in (("nowhere.db", "no file"), ("postgresql://x/y", "mysql://")):
        done = run_stroke("db", "copy", source, folder=tmp_path)
        assert done.returncode == 1
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
