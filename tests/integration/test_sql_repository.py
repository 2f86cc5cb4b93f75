"""SqlPredictionRepository on the databases themselves."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, event, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders.predictions import prediction, prediction_with_words
from components.containers import MySqlServer
from components.databases import without_file, without_server
from contracts.predictions import AWKWARD_NAMES, PredictionRepositoryContract
from runner import workers
from stroke.adapters.sql import schema
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.repository import SqlPredictionRepository
from stroke.domain.errors import PredictionRejected, SchemaOutdated, StoreUnavailable
from stroke.domain.prediction import PredictionFilter, prediction_data

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", autouse=True)
def platform_meanwhile(request: pytest.FixtureRequest) -> None:
    """Begin to start what this worker's next modules run on."""
    if any(map(workers.wants_platform, request.session.items)):
        with suppress(Exception):  # those modules will say what is wrong
            request.getfixturevalue("platform_begun")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> URL:
    return URL.create("sqlite+aiosqlite", database=str(tmp_path / "stroke.db"))


@pytest.fixture
def mysql_url(mysql: MySqlServer) -> URL:
    return make_url(mysql.new_database())


async def _engine(url: URL) -> AsyncIterator[AsyncEngine]:
    await asyncio.to_thread(schema.upgrade, url)
    engine = create_engine(url, pool_size=4, connect_timeout=5)
    yield engine
    await engine.dispose()


@pytest.fixture
async def sqlite_engine(sqlite_url: URL) -> AsyncIterator[AsyncEngine]:
    async for engine in _engine(sqlite_url):
        yield engine


@pytest.fixture
async def mysql_engine(mysql_url: URL) -> AsyncIterator[AsyncEngine]:
    async for engine in _engine(mysql_url):
        yield engine


def _repository(engine: AsyncEngine, timeout: float = 30) -> SqlPredictionRepository:
    return SqlPredictionRepository(engine, statement_timeout=timeout)


class TestOnSqlite(PredictionRepositoryContract):
    @pytest.fixture
    async def repository(self, sqlite_engine: AsyncEngine) -> SqlPredictionRepository:
        return _repository(sqlite_engine)

    @pytest.fixture
    async def away(self, sqlite_engine: AsyncEngine) -> SqlPredictionRepository:
        return _repository(await without_file(sqlite_engine))


class TestOnMySql(PredictionRepositoryContract):
    @pytest.fixture
    async def repository(self, mysql_engine: AsyncEngine) -> SqlPredictionRepository:
        return _repository(mysql_engine)

    @pytest.fixture
    async def away(self, mysql_url: URL) -> AsyncIterator[SqlPredictionRepository]:
        engine = create_engine(without_server(mysql_url), pool_size=1, connect_timeout=5)
        yield _repository(engine)
        await engine.dispose()


async def _execute(engine: AsyncEngine, statement: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(statement))


async def test_a_row_without_anything_but_an_id_stays_readable(mysql_engine: AsyncEngine) -> None:
    await _execute(mysql_engine, "INSERT INTO predictions (id, timestamp) VALUES (7, NULL)")

    [record] = await _repository(mysql_engine).page(PredictionFilter(), limit=1)

    assert record.id == 7
    assert {getattr(record, field) for field in record.__slots__ if field != "id"} == {None}


@pytest.mark.parametrize("word", AWKWARD_NAMES)
async def test_words_come_back_from_a_server_to_which_a_backslash_means_nothing(
    mysql_engine: AsyncEngine, word: str
) -> None:
    @event.listens_for(mysql_engine.sync_engine, "connect")
    def without_escapes(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')")
        cursor.close()

    made, repository = prediction_with_words(word), _repository(mysql_engine)

    [stored] = await repository.add([made])

    async with mysql_engine.connect() as connection:
        mode = await connection.scalar(text("SELECT @@sql_mode"))
    assert "NO_BACKSLASH_ESCAPES" in str(mode)
    record = await repository.get(stored)
    assert record.prediction_data == prediction_data(made)
    assert record.contributing_factors == [word]


async def test_text_that_is_not_json_is_given_as_it_is(sqlite_engine: AsyncEngine) -> None:
    await _execute(
        sqlite_engine,
        "INSERT INTO predictions (id, timestamp, contributing_factors, prediction_data)"
        " VALUES (7, 'yesterday', 'age, bmi', '{\"age\": 1')",
    )

    record = await _repository(sqlite_engine).get(7)

    assert record.contributing_factors == "age, bmi"
    assert record.prediction_data == '{"age": 1'
    assert record.timestamp is None


async def test_rows_that_sqlite_dated_itself_are_found_by_time(sqlite_engine: AsyncEngine) -> None:
    await _execute(
        sqlite_engine, "INSERT INTO predictions (id, timestamp) VALUES (7, '2026-01-02 12:00:00')"
    )
    repository = _repository(sqlite_engine)
    record = await repository.get(7)

    assert record.timestamp is not None
    since = PredictionFilter(since=record.timestamp)
    until = PredictionFilter(until=record.timestamp)
    assert [r.id for r in await repository.page(since, limit=5)] == [7]
    assert await repository.page(until, limit=5) == []


async def test_ids_follow_the_servers_increment(mysql: MySqlServer, mysql_url: URL) -> None:
    await asyncio.to_thread(schema.upgrade, mysql_url)
    mysql.execute("SET GLOBAL auto_increment_increment = 5")
    engine = create_engine(mysql_url, pool_size=1, connect_timeout=5)
    try:
        repository = _repository(engine)
        small = await repository.add([prediction(name="a"), prediction(name="b")])
        large = await repository.add([prediction(name=str(i)) for i in range(1001)])

        assert small[1] - small[0] == 5
        assert [(await repository.get(i)).name for i in (*small, large[0], large[-1])] == [
            *("a", "b"),
            *("0", "1000"),
        ]
    finally:
        mysql.execute("SET GLOBAL auto_increment_increment = 1")
        await engine.dispose()


async def test_a_value_that_no_column_holds_rejects_the_batch_and_the_store_goes_on(
    mysql_engine: AsyncEngine,
) -> None:
    repository = _repository(mysql_engine)
    too_long = prediction(name="sensitive", model_version="v" * 65)

    with pytest.raises(PredictionRejected) as refusal:
        await repository.add([prediction(), too_long])

    assert "sensitive" not in f"{refusal.value}{refusal.value.__cause__}"
    assert await repository.page(PredictionFilter(), limit=5) == []
    assert await repository.add([prediction()])


async def test_a_store_without_its_schema_fails_its_check(sqlite_url: URL) -> None:
    engine = create_engine(sqlite_url, pool_size=1, connect_timeout=5)
    with pytest.raises(SchemaOutdated, match="stroke db upgrade"):
        await _repository(engine).check()
    with pytest.raises(StoreUnavailable, match="stroke db upgrade"):
        await _repository(engine).add([prediction()])
    await engine.dispose()


async def test_a_locked_table_is_a_store_that_does_not_answer(mysql_engine: AsyncEngine) -> None:
    repository, impatient = _repository(mysql_engine), _repository(mysql_engine, timeout=0.5)
    await repository.add([prediction()])

    async with mysql_engine.connect() as other:
        await other.execute(text("SELECT COUNT(*) FROM predictions FOR UPDATE"))
        with pytest.raises(StoreUnavailable, match="in time"):
            await impatient.add([prediction()])
        with pytest.raises(StoreUnavailable, match="in time"):
            await impatient.remove(1)
        await other.rollback()

    assert await repository.add([prediction()])


async def test_a_locked_file_is_a_store_that_does_not_answer(sqlite_engine: AsyncEngine) -> None:
    repository, impatient = _repository(sqlite_engine), _repository(sqlite_engine, timeout=0.5)
    await repository.add([prediction()])

    async with sqlite_engine.connect() as other:
        await other.execute(text("BEGIN IMMEDIATE"))
        with pytest.raises(StoreUnavailable, match="in time"):
            await impatient.add([prediction()])
        await other.rollback()

    assert await repository.add([prediction()])


async def test_a_full_disk_is_a_store_that_is_away(sqlite_engine: AsyncEngine) -> None:
    async with sqlite_engine.connect() as connection:
        pages = (await connection.execute(text("PRAGMA page_count"))).scalar_one()
    engine = create_engine(sqlite_engine.url, pool_size=1, connect_timeout=5)
    repository = _repository(engine)
    await repository.check()
    async with engine.connect() as connection:
        await connection.execute(text(f"PRAGMA max_page_count = {pages + 1}"))

    with pytest.raises(StoreUnavailable, match="disk is full"):
        await repository.add([prediction()] * 1001)
    await engine.dispose()


@pytest.mark.parametrize(
    "anyio_backend",  # the service runs on uvloop, which says other things of closed sockets
    ["asyncio", pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop")],
)
async def test_every_call_says_that_mysql_is_away_and_works_once_it_is_back(
    own_mysql: Callable[[], MySqlServer],
) -> None:
    server = own_mysql()
    url = make_url(server.new_database())
    await asyncio.to_thread(schema.upgrade, url)
    engine = create_engine(url, pool_size=2, connect_timeout=2)
    repository = _repository(engine, timeout=10)
    [stored] = await repository.add([prediction()])

    server.kill()
    for call in (
        repository.add([prediction()]),
        repository.add([prediction()]),
        repository.add([prediction()] * 1001),
        repository.get(stored),
        repository.find_by_key("k"),
        repository.page(PredictionFilter(), limit=1),
        repository.remove(stored),
        repository.check(),
    ):
        with pytest.raises(StoreUnavailable) as away:
            await call
        assert away.value.__cause__ is not None
    server.start()

    assert await repository.add([prediction()])
    assert (await repository.get(stored)).id == stored
    server.stop()
    server.start()  # what is pooled and kept is now closed by the server
    assert await repository.add([prediction()])
    assert (await repository.get(stored)).id == stored
    await engine.dispose()


async def test_a_wrong_password_is_said_without_it(mysql: MySqlServer, mysql_url: URL) -> None:
    engine = create_engine(mysql_url.set(password="wrong-one"), pool_size=1, connect_timeout=5)

    with pytest.raises(StoreUnavailable, match="MYSQL_PASSWORD") as refusal:
        await _repository(engine).check()

    assert "wrong-one" not in str(refusal.value)
    await engine.dispose()


_WRITER = """
import asyncio, sys
from builders.predictions import prediction
from sqlalchemy import make_url
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.repository import SqlPredictionRepository

async def main(url, writer):
    engine = create_engine(make_url(url), pool_size=1, connect_timeout=20)
    repository = SqlPredictionRepository(engine, statement_timeout=60)
    for size in (1, 3, 50, 7, 1200) * 4:
        names = [f"{writer}/{size}/{i}" for i in range(size)]
        ids = await repository.add([prediction(name=name) for name in names])
        for id, name in zip(ids, names, strict=True):
            print(id, name)
    await engine.dispose()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("database", ["sqlite_url", "mysql_url"])
async def test_ids_are_right_while_other_processes_write(
    request: pytest.FixtureRequest, database: str
) -> None:
    url: URL = request.getfixturevalue(database)
    await asyncio.to_thread(schema.upgrade, url)
    written = url.render_as_string(hide_password=False)
    writers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _WRITER, written, str(writer)),
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[1],
        )
        for writer in range(3)
    ]
    outputs = await asyncio.gather(*(writer.communicate() for writer in writers))
    claimed = [line for output, _ in outputs for line in output.decode().splitlines()]

    engine = create_engine(url, pool_size=1, connect_timeout=5)
    records = await _repository(engine).page(PredictionFilter(), limit=100_000)
    await engine.dispose()

    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert len(claimed) == 3 * 4 * 1261
    assert sorted(claimed) == sorted(f"{record.id} {record.name}" for record in records)
