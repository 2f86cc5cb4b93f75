"""SqlAuditLog on the databases themselves, across processes that are killed."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from builders.audit import AT, audit_event
from components.containers import MySqlServer
from components.databases import migrated_engine, run_statements, without_file, without_server
from contracts.audit import AuditLogContract
from stroke.adapters.sql import schema
from stroke.adapters.sql.audit import SqlAuditLog
from stroke.adapters.sql.engine import create_engine
from stroke.application.audit.ports import AuditFilter
from stroke.application.audit.trail import AuditTrail, RefusalSampler
from stroke.domain.errors import StoreUnavailable

pytestmark = pytest.mark.anyio


class TestOnSqlite(AuditLogContract):
    @pytest.fixture
    async def log(self, sqlite_engine: AsyncEngine) -> SqlAuditLog:
        return SqlAuditLog(sqlite_engine, statement_timeout=30)

    @pytest.fixture
    async def away(self, sqlite_engine: AsyncEngine) -> SqlAuditLog:
        return SqlAuditLog(await without_file(sqlite_engine), statement_timeout=30)


class TestOnMySql(AuditLogContract):
    @pytest.fixture
    async def log(self, mysql_engine: AsyncEngine) -> SqlAuditLog:
        return SqlAuditLog(mysql_engine, statement_timeout=30)

    @pytest.fixture
    async def away(self, mysql: MySqlServer) -> AsyncIterator[SqlAuditLog]:
        url = without_server(make_url(mysql.url("stroke")))
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        yield SqlAuditLog(engine, statement_timeout=30)
        await engine.dispose()


def _trail(engine: AsyncEngine) -> AuditTrail:
    return AuditTrail(
        SqlAuditLog(engine, statement_timeout=60),
        now=lambda: AT,
        refusals=RefusalSampler(1, lambda: 0),
    )


async def test_entries_of_given_targets_are_found_by_the_index(engine: AsyncEngine) -> None:
    log = SqlAuditLog(engine, statement_timeout=30)
    await log.append([audit_event(target=str(n % 1_000)) for n in range(3_000)])
    asked: list[str] = []
    event.listen(
        engine.sync_engine, "before_cursor_execute", lambda *call: asked.append(_plain(*call[2:4]))
    )

    assert await log.latest(AuditFilter(action="prediction.read", targets=["7", "8"])) == AT

    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    [query] = [each for each in asked if "max" in each]
    async with engine.connect() as connection:
        plan = str((await connection.exec_driver_sql(explain + query)).all())
    assert "ix_audit_target" in plan
    assert "SCAN audit" not in plan


def _plain(statement: str, parameters: tuple[object, ...]) -> str:
    return statement.replace("?", "%s") % tuple(f"'{each}'" for each in parameters)


_WRITER = """
import asyncio, sys
from itertools import count
from sqlalchemy import make_url
from builders.audit import audit_event
from stroke.adapters.sql.audit import SqlAuditLog
from stroke.adapters.sql.engine import create_engine

async def main():
    engine = create_engine(make_url(sys.argv[1]), pool_size=4, connect_timeout=20)
    log = SqlAuditLog(engine, statement_timeout=60)

    async def write(writer):
        for number in count():
            await log.append([audit_event(target=f"{writer}.{number}")] * 2)
            print(f"{writer}.{number}", flush=True)

    await asyncio.gather(*(write(f"{sys.argv[2]}.{each}") for each in range(4)))

asyncio.run(main())
"""


async def test_the_chain_of_several_workers_holds_when_they_are_killed(
    engine: AsyncEngine,
) -> None:
    url = engine.url.render_as_string(hide_password=False)
    tests = str(Path(__file__).parents[1])
    workers = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _WRITER,
            url,
            str(each),
            env={"PYTHONPATH": tests, "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
        )
        for each in range(3)
    ]
    said: list[str] = []
    for worker in workers:
        assert worker.stdout is not None
        said += [(await worker.stdout.readline()).decode().strip() for _ in range(10)]
    for worker in workers:
        worker.send_signal(signal.SIGKILL)
    for worker in workers:
        assert worker.stdout is not None
        said += (await worker.stdout.read()).decode().split()
        await worker.wait()

    found = await _trail(engine).verify()

    assert found.holds, found.broken
    targets = [each.event.target async for each in _trail(engine).entries()]
    assert {*said} <= {*targets}  # whatever was acknowledged is there
    assert all(targets.count(each) == 2 for each in {*targets})


async def test_whoever_changes_rows_by_sql_is_found(engine: AsyncEngine) -> None:
    log = SqlAuditLog(engine, statement_timeout=30)
    await log.append([audit_event(target=str(n)) for n in range(10)])
    await engine.dispose()
    forged = (
        "INSERT INTO audit SELECT 11, at, actor, site, action, target, request_id, outcome, times,"
        " digest, digest FROM audit WHERE number = 10"
    )
    tampering = [
        "UPDATE audit SET actor = 'another' WHERE number = 3",
        "UPDATE audit SET action = 'unheard.of' WHERE number = 4",
        "DELETE FROM audit WHERE number = 7",
        forged,
    ]
    if engine.dialect.name == "sqlite":  # its owner can always take the triggers away
        for event in ("update", "delete"):
            tampering.insert(0, f"DROP TRIGGER audit_refuses_{event}")

    await asyncio.to_thread(run_statements, engine.url, *tampering)

    found = await _trail(engine).verify()
    assert [each.number for each in found.broken] == [3, 4, 8, 11]


async def test_a_text_that_would_be_made_to_fit_and_an_entry_below_the_first_are_found(
    engine: AsyncEngine,
) -> None:
    log = SqlAuditLog(engine, statement_timeout=30)
    await log.append([audit_event(actor="a\nb"), audit_event()])
    await engine.dispose()
    put_in = (
        "INSERT INTO audit SELECT -1, at, actor, site, action, target, request_id, outcome, times,"
        " previous, digest FROM audit WHERE number = 2"
    )
    tampering = [
        "UPDATE audit SET actor = 'a\nb' WHERE number = 1",
        put_in,
        "UPDATE audit_head SET digest = 'another'",
    ]
    if engine.dialect.name == "sqlite":
        tampering.insert(0, "DROP TRIGGER audit_refuses_update")

    await asyncio.to_thread(run_statements, engine.url, *tampering)

    found = await _trail(engine).verify()
    assert [each.number for each in found.broken] == [-1, 1, 2]


@pytest.mark.parametrize(
    "change",
    [
        "at = 'whenever'",
        "at = 5",
        # The same time for who reads it, and another one for who compares texts.
        "at = replace(at, ' ', 'T')",
        "at = replace(replace(at, '-', ''), ' ', 'T')",
        "at = at || '+09:00'",
        "at = at || char(0) || 'x'",
        "actor = x'00ff'",
        "times = 'many'",
        "times = 1.5",
        "digest = x'01'",
        "site = 7.5, target = x''",
        "request_id = CAST(x'ff' AS TEXT), previous = CAST(x'ff' AS TEXT)",
    ],
)
async def test_what_no_entry_can_hold_is_found_and_the_rest_is_read(
    sqlite_engine: AsyncEngine, change: str
) -> None:
    log = SqlAuditLog(sqlite_engine, statement_timeout=30)
    await log.append([audit_event(target=str(n)) for n in range(4)])
    await sqlite_engine.dispose()
    update = f"UPDATE audit SET {change} WHERE number = 2"  # noqa: S608 -- the test's own text
    tampering = ("DROP TRIGGER audit_refuses_update", update)
    await asyncio.to_thread(run_statements, sqlite_engine.url, *tampering)

    found = await _trail(sqlite_engine).verify()
    assert {each.number for each in found.broken} - {3} == {2}
    assert found.entries == 4
    shown = await log.entries(limit=10, newest_first=True)
    assert [each.number for each in shown] == [4, 3, 2, 1]


@pytest.mark.parametrize("entries", [0, 3])
async def test_a_log_that_has_lost_its_own_end_is_found_and_takes_no_more(
    engine: AsyncEngine, entries: int
) -> None:
    log = SqlAuditLog(engine, statement_timeout=30)
    await log.append([audit_event() for _ in range(entries)])
    await engine.dispose()
    await asyncio.to_thread(run_statements, engine.url, "DELETE FROM audit_head")

    found = await _trail(engine).verify()
    assert [each.reason for each in found.broken] == ["the log's own end is lost"]
    with pytest.raises(StoreUnavailable):
        await log.append([audit_event()])


async def test_sqlite_refuses_to_change_or_remove_an_entry(sqlite_engine: AsyncEngine) -> None:
    await SqlAuditLog(sqlite_engine, statement_timeout=30).append([audit_event()])
    await sqlite_engine.dispose()
    for statement in ("UPDATE audit SET times = 2", "DELETE FROM audit"):
        with pytest.raises(DBAPIError, match="only added to"):
            await asyncio.to_thread(run_statements, sqlite_engine.url, statement)


async def test_mysql_refuses_it_too_where_the_user_may_make_triggers(mysql: MySqlServer) -> None:
    url = make_url(mysql.new_database())
    mysql.execute(f"GRANT TRIGGER ON {url.database}.* TO '{url.username}'@'%%'")
    mysql.execute("SET GLOBAL log_bin_trust_function_creators = ON")
    await asyncio.to_thread(schema.upgrade, url)
    async with migrated_engine(url) as engine:
        await SqlAuditLog(engine, statement_timeout=30).append([audit_event()])
    for statement in ("UPDATE audit SET times = 2", "DELETE FROM audit"):
        with pytest.raises(DBAPIError, match="only added to"):
            await asyncio.to_thread(run_statements, url, statement)
