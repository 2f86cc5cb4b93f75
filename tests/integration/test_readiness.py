"""The check behind /health/ready on real databases: what keeps a row from being stored fails it."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest
import urllib3
from sqlalchemy import URL, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders.predictions import patient_json, prediction
from components.containers import MySqlServer, mysql_image
from components.processes import Service, upgrade_schema, wait_for
from stroke.adapters.sql import schema
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.repository import SqlPredictionRepository
from stroke.domain.errors import StoreRefusesWrites, StoreUnavailable

pytestmark = pytest.mark.anyio

SECONDS = 6
"""How long a check may take. A write may wait for half of it for a lock, and says so after it."""

_WAITS = "SELECT id FROM processlist WHERE state = 'Waiting for table metadata lock'"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "stroke.db"


@pytest.fixture
def mysql_url(mysql: MySqlServer) -> URL:
    return make_url(mysql.new_database())


@asynccontextmanager
async def migrated(url: URL) -> AsyncIterator[AsyncEngine]:
    await asyncio.to_thread(schema.upgrade, url)
    engine = create_engine(url, pool_size=2, connect_timeout=5)
    yield engine
    await engine.dispose()


@pytest.fixture
async def on_sqlite(file: Path) -> AsyncIterator[AsyncEngine]:
    async with migrated(URL.create("sqlite+aiosqlite", database=str(file))) as engine:
        yield engine


@pytest.fixture
async def on_mysql(mysql_url: URL) -> AsyncIterator[AsyncEngine]:
    async with migrated(mysql_url) as engine:
        yield engine


def repository(engine: AsyncEngine, trial_interval: float = 10) -> SqlPredictionRepository:
    return SqlPredictionRepository(
        engine, statement_timeout=30, check_timeout=SECONDS, trial_interval=trial_interval
    )


async def refused(store: SqlPredictionRepository, why: str) -> None:
    """Check that ``store`` fails its check in time, and says why."""
    started = time.monotonic()
    with pytest.raises(StoreRefusesWrites, match=why):
        await store.check()
    assert time.monotonic() - started < SECONDS + 4


@contextmanager
def full_disk(written: Path) -> Iterator[None]:
    """Let no file of this process grow beyond the size of ``written``, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (written.stat().st_size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(params=["sqlite", "mysql"])
def url(request: pytest.FixtureRequest, file: Path) -> URL:
    if request.param == "sqlite":
        return URL.create("sqlite+aiosqlite", database=str(file))
    mysql_url: URL = request.getfixturevalue("mysql_url")
    return mysql_url


async def test_a_check_leaves_nothing_behind_and_takes_no_id(url: URL) -> None:
    async with migrated(url) as engine:
        store = repository(engine, trial_interval=0)
        [first] = await store.add([prediction()])

        for _ in range(3):
            await store.check()
        await asyncio.gather(*(store.check() for _ in range(20)))

        [second] = await store.add([prediction()])
        assert second == first + 1
        async with engine.connect() as connection:
            for table, rows in (("predictions", 2), ("batches_by_idempotency_key", 0)):
                counted = await connection.scalar(text(f"SELECT COUNT(*) FROM {table}"))  # noqa: S608
                assert counted == rows


async def test_a_locked_file_fails_the_check_until_it_is_unlocked(
    on_sqlite: AsyncEngine, file: Path
) -> None:
    store = repository(on_sqlite)
    await store.check()
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        await refused(store, "locked")
    await store.check()


@pytest.mark.parametrize("table", ["predictions", "batches_by_idempotency_key"])
async def test_a_missing_table_fails_the_check(url: URL, table: str) -> None:
    async with migrated(url) as engine:
        store = repository(engine, trial_interval=0)
        await store.check()
        async with engine.begin() as connection:
            first = ("shadow_scores", "outcomes") if table == "predictions" else ()
            for each in (*first, table):  # those whose foreign keys hold it go before it
                await connection.execute(text(f"DROP TABLE {each}"))
        await refused(store, "db upgrade")


async def test_a_missing_column_fails_the_check(on_sqlite: AsyncEngine) -> None:
    async with on_sqlite.begin() as connection:
        await connection.execute(text("ALTER TABLE predictions DROP COLUMN bmi"))
    await refused(repository(on_sqlite), "db upgrade")


async def test_a_full_disk_fails_the_check_until_there_is_room(
    on_sqlite: AsyncEngine, file: Path
) -> None:
    store = repository(on_sqlite, trial_interval=0)
    await store.check()
    with full_disk(file.with_name("stroke.db-wal")):
        await refused(store, "SQLite")
        with pytest.raises(StoreUnavailable):
            await store.add([prediction()])
    await store.check()
    assert await store.add([prediction()])


async def test_a_write_that_failed_is_not_forgotten_for_the_one_before(
    on_sqlite: AsyncEngine, file: Path
) -> None:
    store = repository(on_sqlite, trial_interval=3600)
    await store.add([prediction()])
    await store.check()
    with full_disk(file.with_name("stroke.db-wal")):
        with pytest.raises(StoreUnavailable):
            await store.add([prediction()])
        await refused(store, "SQLite")


@pytest.mark.parametrize("mode", ["read_only", "super_read_only"])
async def test_a_read_only_server_fails_the_check_until_it_is_not(
    mysql: MySqlServer, on_mysql: AsyncEngine, mode: str
) -> None:
    store = repository(on_mysql)
    await store.add([prediction()])
    await store.check()
    mysql.execute(f"SET GLOBAL {mode} = ON")
    try:
        await refused(store, "read-only")
    finally:
        mysql.execute("SET GLOBAL super_read_only = OFF")
        mysql.execute("SET GLOBAL read_only = OFF")
    await store.check()


async def test_an_account_without_the_right_to_insert_fails_the_check(
    mysql: MySqlServer, on_mysql: AsyncEngine
) -> None:
    url = on_mysql.url
    mysql.execute(f"REVOKE INSERT ON {url.database}.* FROM '{url.username}'@'%%'")
    await refused(repository(on_mysql), "grant")


async def test_a_server_that_lets_nobody_write_for_a_while_fails_the_check_in_time(
    mysql: MySqlServer, on_mysql: AsyncEngine
) -> None:
    store = repository(on_mysql)
    await store.check()
    async with on_mysql.connect() as reader, on_mysql.connect() as writer:
        await reader.execute(text("SELECT COUNT(*) FROM predictions"))
        # It waits for the reader, and whatever comes after it waits for both.
        alter = asyncio.create_task(
            writer.execute(text("ALTER TABLE predictions ADD COLUMN ward VARCHAR(20)"))
        )
        async with asyncio.timeout(60):
            while not mysql.rows("performance_schema", _WAITS):  # noqa: ASYNC110 - it sets no event
                await asyncio.sleep(0.05)
        for _ in range(3):
            await refused(store, "lock")
        await reader.rollback()
        await alter
    await store.check()


async def test_the_check_needs_no_connection_of_the_pool(on_mysql: AsyncEngine) -> None:
    store = repository(on_mysql)
    taken = [await on_mysql.connect() for _ in range(3)]
    await store.check()
    for each in taken:
        await each.close()


async def test_a_server_that_is_away_is_said_to_be_away(on_mysql: AsyncEngine) -> None:
    nobody = create_engine(on_mysql.url.set(port=9), pool_size=1, connect_timeout=5)
    with pytest.raises(StoreUnavailable) as away:
        await repository(nobody).check()
    assert not isinstance(away.value, StoreRefusesWrites)
    await nobody.dispose()


def _asked(url: str) -> int:
    """Return the status, over a new connection: after a 503 the old one is paused for a second."""
    with urllib3.PoolManager(retries=False, timeout=30) as new:
        return new.request("GET", url).status


@pytest.mark.soak("MySQL looks only once a minute whether its full disk has room again")
def test_the_service_is_not_ready_while_the_disk_of_mysql_is_full(
    docker_engine: None, tmp_path: Path
) -> None:
    server = MySqlServer(mysql_image(), disk_mib=512)
    server.launch()
    try:
        database = server.new_database()
        upgrade_schema(database, tmp_path)
        with Service(
            tmp_path,
            STROKE_DATABASE_URL=database,
            STROKE_DATABASE_TRIAL_SECONDS="0",
            STROKE_DATABASE_STATEMENT_TIMEOUT_SECONDS="5",
        ) as service:
            predict = f"{service.url}/predict"
            answers = [urllib3.request("POST", predict, json=patient_json()) for _ in range(3)]
            server.fill_disk()
            # What fits into the last block of MySQL's log is stored still.
            deadline = time.monotonic() + 60
            while _asked(f"{service.url}/health/ready") == 200:
                assert time.monotonic() < deadline
            for _ in range(3):
                started = time.monotonic()
                assert _asked(f"{service.url}/health/ready") == 503
                assert time.monotonic() - started < 3  # the service gives a check 2
            assert _asked(f"{service.url}/health/live") == 200
            answers.append(urllib3.request("POST", predict, json=patient_json(), timeout=60))
            server.free_disk()
            wait_for(f"{service.url}/health/ready", within=150)
            answers.append(urllib3.request("POST", predict, json=patient_json()))
        assert [each.status for each in answers] == [200, 200, 200, 503, 200]
        acknowledged = {each.json()["prediction_id"] for each in answers if each.status == 200}
        stored = {row[0] for row in server.rows(database, "SELECT id FROM predictions")}
        assert acknowledged <= stored
    finally:
        server.remove()
