"""Values searched for in databases, row by row; files and logs have unit tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import pyarrow as pa
import pytest
from sqlalchemy import URL, Connection, insert, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders.predictions import NOON
from components.containers import PostgreSqlServer
from contracts.erasure import ValueSearchContract, values_in
from stroke.adapters.sql.engine import transaction
from stroke.adapters.sql.tables import batches, predictions
from stroke.adapters.sql_sink.database import SinkDatabase
from stroke.adapters.sql_sink.results import SqlResults
from stroke.adapters.value_search.sql import SqlValueSearch
from stroke.application.analyses.queries import analyses, chosen
from stroke.application.erasure.values import SoughtValues

pytestmark = pytest.mark.anyio
CANARY = "Canary-7341"
T = TypeVar("T")


class InDatabase:
    """A row of a prediction for each."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.search = SqlValueSearch("database", self.call, page=2)

    async def call(self, work: Callable[[Connection], T]) -> T:
        async with transaction(self.engine, seconds=30) as connection:
            return await connection.run_sync(work)

    async def put(self, *texts: str) -> None:
        rows = [{"country": each} for each in texts]
        async with self.engine.begin() as connection:
            await connection.execute(insert(predictions), rows)


class TestDatabase(ValueSearchContract):
    @pytest.fixture
    def stage(self, engine: AsyncEngine) -> InDatabase:
        return InDatabase(engine)


async def test_a_key_that_may_be_a_patients_is_not_said(engine: AsyncEngine) -> None:
    row = {"idempotency_key": f"visit of {CANARY}", "made_at": NOON.replace(tzinfo=None), "ids": []}
    async with engine.begin() as connection:
        await connection.execute(insert(batches), [row])

    [trace] = await InDatabase(engine).search.find_values(SoughtValues([CANARY]))

    assert trace.where == f"table {batches.name}"


COLUMN_TYPES = {
    "mysql": ["TEXT", "JSON", "BLOB", "VARBINARY(200)", "VARCHAR(200) COLLATE latin1_german1_ci"],
    "sqlite": ["TEXT", "JSON", "BLOB", "whatever"],
}


async def test_columns_that_others_add_are_searched_and_each_row_is_named(
    engine: AsyncEngine,
) -> None:
    stage = InDatabase(engine)
    types = COLUMN_TYPES[engine.dialect.name]
    async with engine.begin() as connection:
        for number, of_type in enumerate(types):
            await connection.execute(
                text(f"ALTER TABLE predictions ADD COLUMN added_{number} {of_type}")
            )
            await connection.execute(
                text(f"INSERT INTO predictions (id, added_{number}) VALUES (:id, :value)"),  # noqa: S608 -- no stranger's
                {"id": 10 + number, "value": f'["M\u00fcller {number}"]'},
            )

    found = await stage.search.find_values(SoughtValues(["m\u00dcLLER", "Canary"]))

    assert [(trace.value, trace.where) for trace in found] == [
        (1, f"table predictions, row {10 + number}") for number in range(len(types))
    ]


async def test_a_table_is_read_to_its_end_whatever_its_key_is(engine: AsyncEngine) -> None:
    stage = InDatabase(engine)
    async with engine.begin() as connection:
        for name, key in (("one", "a"), ("two", "a, b"), ("Odd Name", "b, a")):
            quoted = connection.dialect.identifier_preparer.quote_identifier(name)
            columns = f"a INT, b VARCHAR(9), c VARCHAR(9), PRIMARY KEY ({key})"
            await connection.execute(text(f"CREATE TABLE {quoted} ({columns})"))
            rows = [{"a": n, "b": f"b{n % 3}", "c": f"name-{n}-"} for n in range(7)]
            into = text(f"INSERT INTO {quoted} VALUES (:a, :b, :c)")  # noqa: S608 -- no stranger's
            await connection.execute(into, rows)

    sought = SoughtValues([f"name-{n}-" for n in range(8)])
    found = await stage.search.find_values(sought)

    assert len(found) == 3 * 7
    assert {trace.value for trace in found} == set(range(1, 8))


async def test_what_sqlite_alone_takes_is_searched(sqlite_engine: AsyncEngine) -> None:
    async with sqlite_engine.begin() as connection:
        for statement in (
            "CREATE TABLE texts (name TEXT)",
            # Neither is UTF-8 ...
            "INSERT INTO texts VALUES (CAST(x'ff' || 'Canary-1' AS TEXT))",
            "INSERT INTO texts VALUES (CAST(x'4dfc6c6c6572' AS TEXT))",
            "CREATE TABLE keys (a TEXT, b TEXT, name TEXT, PRIMARY KEY (a, b))",
            # ... and several rows may have no key.
            "INSERT INTO keys VALUES (NULL, NULL, ''), (NULL, 'x', ''), (NULL, 'x', 'Canary-2')",
            "INSERT INTO keys VALUES ('a', 1, ''), ('a', 2, ''), ('b', x'00', 'Canary-3')",
            "CREATE TABLE bare (a PRIMARY KEY, name) WITHOUT ROWID",
            "INSERT INTO bare VALUES (1, ''), ('1', ''), (x'01', 'Canary-4')",
        ):
            await connection.execute(text(statement))

    texts = [*(f"Canary-{number}" for number in range(1, 6)), "Müller"]
    assert await values_in(InDatabase(sqlite_engine).search, *texts) == {*texts} - {"Canary-5"}


class InCopy:
    """A table of results without a primary key, in the database of a copy."""

    def __init__(self, url: URL, database: SinkDatabase) -> None:
        self.url = url
        tables = [each.table for each in analyses()]
        self.search = SqlValueSearch("analyses", database.call, tables=tables)

    async def put(self, *texts: str) -> None:
        [gender] = chosen(["risk-by-gender"], analyses())
        results = SqlResults(self.url)
        await asyncio.to_thread(results.write, gender, pa.table({"gender": list(texts)}))


class TestCopy(ValueSearchContract):
    @pytest.fixture
    async def stage(self, postgresql: PostgreSqlServer) -> AsyncIterator[InCopy]:
        url = make_url(postgresql.new_database())
        database = SinkDatabase(url, timeout=30)
        yield InCopy(url, database)
        await database.close()


async def test_tables_that_were_not_named_are_not_read(postgresql: PostgreSqlServer) -> None:
    database = SinkDatabase(make_url(postgresql.new_database()), timeout=30)

    def fill(connection: Connection) -> None:
        for name in ("mine", "others"):
            connection.execute(text(f"CREATE TABLE {name} (name TEXT)"))
            connection.execute(text(f"INSERT INTO {name} VALUES ('{CANARY}')"))  # noqa: S608 -- no stranger's

    await database.call(fill)
    search = SqlValueSearch("copy", database.call, tables=["mine", "not there"])
    found = await search.find_values(SoughtValues([CANARY]))
    await database.close()
    assert [trace.where for trace in found] == ["table mine"]
