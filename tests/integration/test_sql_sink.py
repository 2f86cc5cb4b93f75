"""The SQL sink's table, made and read, on a real PostgreSQL (and SQL Server where there is one)."""

from __future__ import annotations

import os
import secrets
import tracemalloc
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    URL,
    BigInteger,
    Column,
    Connection,
    MetaData,
    Table,
    Unicode,
    column,
    delete,
    insert,
    make_url,
    table,
    text,
)

from builders.predictions import NOON
from components.containers import PostgreSqlServer, free_port
from contracts.copies import COLUMNS, DOCUMENT, NAME, CopyStage, ReplicaContract
from stroke.adapters.sql.tables import predictions
from stroke.adapters.sql_sink import schema
from stroke.adapters.sql_sink.database import SinkDatabase
from stroke.adapters.sql_sink.replica import SqlReplica
from stroke.application.pipeline.column_values import RowValue
from stroke.application.pipeline.consistency import row_digest
from stroke.application.pipeline.kafka_connect_model import TopicPartition
from stroke.domain.errors import ReplicaUnavailable

pytestmark = pytest.mark.anyio

AWKWARD = "Ünïcödé 山田 😀 O'Brien % \\ "
KINDS = {c.name: "json" if isinstance(c.type, JSON) else "any" for c in predictions.columns}
LETTER = 1 << 18
MICROS = (NOON - datetime(1970, 1, 1, tzinfo=UTC)) // NOON.resolution
PARTITION = TopicPartition("changes", 0)


async def _columns() -> Mapping[str, str]:
    return KINDS


async def _nothing_committed() -> Mapping[TopicPartition, int]:
    return {}


@pytest.fixture(params=["postgresql", "mssql"])
def url(request: pytest.FixtureRequest) -> URL:
    if request.param == "postgresql":
        server: PostgreSqlServer = request.getfixturevalue("postgresql")
        return make_url(server.new_database())
    there = os.environ.get("STROKE_TEST_SQLSERVER_URL")
    if not there:
        pytest.skip("needs a SQL Server: set STROKE_TEST_SQLSERVER_URL")
    return make_url(there).set(drivername="mssql+mssqlpython")


@pytest.fixture
async def database(url: URL) -> AsyncIterator[SinkDatabase]:
    database = SinkDatabase(url, timeout=30)
    yield database
    await database.close()


@pytest.fixture
async def name(database: SinkDatabase) -> AsyncIterator[str]:
    """A table's name of the test's own: the SQL Server is shared."""
    name = f"predictions_{secrets.token_hex(6)}"
    yield name
    await run(database, f"DROP TABLE IF EXISTS {name}")


def replica(url: URL, name: str, **changes: Any) -> SqlReplica:
    arguments: dict[str, Any] = {
        "committed": _nothing_committed,
        "columns": _columns,
        "timeout": 30,
    }
    return SqlReplica(url, name, **{**arguments, **changes})


async def run(database: SinkDatabase, *statements: str) -> None:
    def work(connection: Any) -> None:
        for statement in statements:
            connection.execute(text(statement))

    await database.call(work)


async def add(database: SinkDatabase, into: str, /, **values: object) -> None:
    target = table(into, *(column(each) for each in values))
    await database.call(lambda connection: connection.execute(insert(target).values(values)))


def a_row(**changes: Any) -> dict[str, Any]:
    return {
        "id": 2**62,
        "timestamp": NOON.replace(tzinfo=None),
        "age": 0.1 + 0.2,
        "probability": 5e-324,
        "hypertension": 1,
        "name": AWKWARD,
        **changes,
    }


def digest(**changes: RowValue) -> bytes:
    return row_digest({**a_row(), "timestamp": MICROS, **changes})


async def digests(copy: SqlReplica) -> dict[int, bytes]:
    try:
        return dict((await copy.chunk(-(2**63), 2**63 - 1)).digests)
    finally:
        await copy.close()


class SqlCopy(CopyStage):
    """A table as the JDBC sink writes it: the connector commits each record after its row."""

    partition = PARTITION

    def __init__(self, url: URL, name: str, database: SinkDatabase) -> None:
        self._records = 0
        self._database = database
        self._rows = Table(
            name,
            MetaData(),
            Column("id", BigInteger, primary_key=True, autoincrement=False),
            Column("name", Unicode(100)),
            Column("prediction_data", Unicode(100)),
        )
        self.replica: SqlReplica = replica(
            url, name, committed=self._committed, columns=self._kinds
        )

    async def launch(self) -> None:
        await self._database.call(self._rows.create)

    async def store(self, number: int, name: str = NAME) -> None:
        def write(connection: Connection) -> None:
            connection.execute(delete(self._rows).where(self._rows.c.id == number))
            row = {"id": number, "name": name, "prediction_data": DOCUMENT}
            connection.execute(insert(self._rows).values(row))

        await self._record(write)

    async def erase(self, number: int) -> None:
        gone = delete(self._rows).where(self._rows.c.id == number)
        await self._record(lambda connection: connection.execute(gone))

    async def _record(self, work: Callable[[Connection], object]) -> None:
        await self._database.call(work)
        self._records += 1

    async def _committed(self) -> Mapping[TopicPartition, int]:
        return {PARTITION: self._records} if self._records else {}

    async def _kinds(self) -> Mapping[str, str]:
        return COLUMNS


class TestSqlReplica(ReplicaContract):
    @pytest.fixture
    async def copied(self, url: URL, name: str, database: SinkDatabase) -> AsyncIterator[CopyStage]:
        copied = SqlCopy(url, name, database)
        await copied.launch()
        yield copied
        await copied.replica.close()

    @pytest.fixture
    async def away(self, url: URL) -> AsyncIterator[SqlReplica]:
        away = replica(url.set(host="127.0.0.1", port=free_port()), "predictions")
        yield away
        await away.close()


async def test_the_table_is_made_once_and_then_left_alone(
    url: URL, database: SinkDatabase, name: str
) -> None:
    assert await schema.create(url, predictions, name)
    await add(database, name, **a_row())
    assert not await schema.create(url, predictions, name)
    assert await digests(replica(url, name)) == {2**62: digest()}


async def test_the_printed_statement_may_run_twice(
    url: URL, database: SinkDatabase, name: str
) -> None:
    ddl = schema.ddl(predictions, name, database.dialect)

    await run(database, ddl, ddl)

    assert await digests(replica(url, name)) == {}


async def test_every_value_of_mysql_s_columns_fits(
    url: URL, database: SinkDatabase, name: str
) -> None:
    await schema.create(url, predictions, name)
    full = a_row(name="😀" * 100, gender="ü" * 10, idempotency_key="k" * 64)
    await add(database, name, **full)

    assert await digests(replica(url, name)) == {
        2**62: digest(name="😀" * 100, gender="ü" * 10, idempotency_key="k" * 64)
    }


async def test_bounds_and_chunks_follow_the_ids(
    url: URL, database: SinkDatabase, name: str
) -> None:
    await schema.create(url, predictions, name)
    copy = replica(url, name)
    nothing = await copy.bounds()
    for number in (3, 9, 2**62):
        await add(database, name, id=number)

    assert nothing is None
    assert await copy.bounds() == (3, 2**62)
    assert (await copy.chunk(4, 2**62 - 1)).digests == {9: row_digest({"id": 9})}
    await copy.close()


async def test_a_column_that_only_the_copy_has_does_not_count(
    url: URL, database: SinkDatabase, name: str
) -> None:
    await schema.create(url, predictions, name)
    await run(database, f"ALTER TABLE {name} ADD dropped INT")
    await add(database, name, **a_row(dropped=5))

    assert await digests(replica(url, name)) == {2**62: digest()}


async def test_a_column_of_the_source_that_the_copy_lacks_counts_as_null(
    url: URL, database: SinkDatabase, name: str
) -> None:
    await run(database, f"CREATE TABLE {name} (id BIGINT PRIMARY KEY)")
    await add(database, name, id=1)

    assert await digests(replica(url, name)) == {1: row_digest({"id": 1})}


async def test_text_that_is_no_document_differs_from_any(
    url: URL, database: SinkDatabase, name: str
) -> None:
    await run(database, f"CREATE TABLE {name} (id BIGINT PRIMARY KEY, prediction_data VARCHAR(20))")
    await add(database, name, id=1, prediction_data='{"cut')

    assert await digests(replica(url, name)) == {
        1: row_digest({"id": 1, "prediction_data": '{"cut'})
    }


@pytest.mark.parametrize(
    ("committed", "reached"),
    [({PARTITION: 42}, True), ({PARTITION: 41}, False), ({}, False)],
)
async def test_a_copy_has_reached_what_its_connector_committed(
    url: URL, name: str, committed: Mapping[TopicPartition, int], reached: bool
) -> None:
    async def offsets() -> Mapping[TopicPartition, int]:
        return committed

    copy = replica(url, name, committed=offsets)

    assert await copy.reached({PARTITION: 41}) is reached
    assert await copy.reached({})


async def test_a_table_that_is_not_there_is_said(url: URL) -> None:
    copy = replica(url, "nowhere")
    with pytest.raises(ReplicaUnavailable, match="sink-schema --apply"):
        await copy.bounds()
    await copy.close()


async def test_a_wrong_password_is_said_and_not_quoted(url: URL) -> None:
    copy = replica(url.set(password="wrong-canary"), "predictions")
    with pytest.raises(ReplicaUnavailable, match="user or the password") as refused:
        await copy.bounds()
    await copy.close()

    assert "canary" not in str(refused.value)


# -- what is PostgreSQL's alone


@pytest.mark.parametrize("kind", ["json", "jsonb", "text"])
async def test_documents_are_equal_in_columns_of_any_type(
    postgresql: PostgreSqlServer, kind: str
) -> None:
    url = postgresql.new_database()
    postgresql.rows(
        url, f"CREATE TABLE predictions (id bigint primary key, prediction_data {kind})"
    )
    postgresql.rows(url, """INSERT INTO predictions VALUES (1, '{"b": 1e20, "a": [1.50, null]}')""")

    assert await digests(replica(make_url(url), "predictions")) == {
        1: row_digest({"id": 1, "prediction_data": '{"a":[1.5,null],"b":100000000000000000000}'})
    }


@pytest.mark.parametrize("flag", ["smallint", "integer", "boolean", "numeric", "float8"])
@pytest.mark.parametrize("moment", ["timestamp(6)", "timestamptz(6)"])
async def test_flags_and_moments_are_equal_in_columns_of_any_type(
    postgresql: PostgreSqlServer, flag: str, moment: str
) -> None:
    url = postgresql.new_database()
    postgresql.rows(
        url,
        f"CREATE TABLE predictions (id bigint primary key, hypertension {flag},"
        f" timestamp {moment})",
    )
    postgresql.rows(
        url,
        "INSERT INTO predictions VALUES (1, '1', '2026-01-02 12:00:00.123456+00')",
    )

    assert await digests(replica(make_url(url), "predictions")) == {
        1: row_digest({"id": 1, "hypertension": 1, "timestamp": MICROS})
    }


async def test_what_the_jdbc_sink_binds_for_a_document_fits_the_column(
    postgresql: PostgreSqlServer,
) -> None:
    url = postgresql.new_database()
    await schema.create(make_url(url), predictions, "predictions")

    for text_of_a_document in ('{"a":1}', '{"a":2}'):  # its upsert, of an insert and an update
        postgresql.rows(
            url,
            "INSERT INTO predictions (id, prediction_data) VALUES ($1, cast($2 as json))"
            " ON CONFLICT (id) DO UPDATE SET prediction_data = EXCLUDED.prediction_data",
            1,
            text_of_a_document,
        )

    assert await digests(replica(make_url(url), "predictions")) == {
        1: row_digest({"id": 1, "prediction_data": '{"a":2}'})
    }


async def test_a_database_that_is_away_is_said() -> None:
    nobody = make_url(f"postgresql+asyncpg://u:p@127.0.0.1:{free_port()}/db")
    copy = replica(nobody, "predictions")
    with pytest.raises(ReplicaUnavailable, match="cannot be reached"):
        await copy.bounds()
    await copy.close()


async def test_a_database_that_does_not_answer_ends_in_an_error(
    postgresql: PostgreSqlServer,
) -> None:
    database = SinkDatabase(make_url(postgresql.new_database()), timeout=0.5)

    with pytest.raises(ReplicaUnavailable, match="in time"):
        await database.call(lambda connection: connection.execute(text("SELECT pg_sleep(60)")))

    await database.close()


async def test_a_table_that_the_sink_made_differs_and_is_made_anew(
    url: URL, name: str, database: SinkDatabase
) -> None:
    assert await schema.differences(url, predictions, name) == {}
    columns = ", ".join(f"{column.name} TEXT" for column in predictions.columns[1:])
    columns = columns.replace("timestamp TEXT", '"timestamp" TEXT')
    await run(database, f"CREATE TABLE {name} (id BIGINT PRIMARY KEY, {columns})")

    found = await schema.differences(url, predictions, name)
    assert {"timestamp", "name", "age", "prediction_data"} <= found.keys()
    assert "id" not in found
    assert "model_version" not in found, "the sink adds later columns by itself"

    await schema.rebuild(url, predictions, name)

    assert await schema.differences(url, predictions, name) == {}
    await add(database, name, **a_row())
    copy = replica(url, name)
    assert await copy.count() == 1
    await copy.close()


async def test_a_table_that_is_not_there_is_made_by_a_rebuild(url: URL, name: str) -> None:
    await schema.rebuild(url, predictions, name)

    assert await schema.differences(url, predictions, name) == {}


async def test_rows_of_many_kilobytes_are_not_in_memory_together(
    url: URL, database: SinkDatabase, name: str
) -> None:
    kind = {"postgresql": "TEXT", "mssql": "NVARCHAR(MAX)"}[database.dialect]
    await run(database, f"CREATE TABLE {name} (id BIGINT PRIMARY KEY, letter {kind})")
    for number in range(300):
        await add(database, name, id=number, letter="x" * LETTER)
    copy = replica(url, name)
    await copy.count()  # imports, and caches

    tracemalloc.start()
    try:
        found = await digests(copy)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert len(set(found.values())) == 300
    assert peak < 120 * LETTER  # of 300
