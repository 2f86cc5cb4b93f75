"""SqlKeyStore, SqlSessionStore, SqlTokenLedger and SqlReportBoard on the databases themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders.access import api_key, session
from builders.platform import AT, platform_report
from builders.predictions import NOON
from contracts.access import ONE, KeyStoreContract, SessionStoreContract, TokenLedgerContract
from contracts.platform import ReportBoardContract
from stroke.adapters.sql import schema
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.keys import SqlKeyStore
from stroke.adapters.sql.reports import SqlReportBoard
from stroke.adapters.sql.sessions import SqlSessionStore
from stroke.adapters.sql.used_tokens import SqlTokenLedger
from stroke.domain.access import Scope
from stroke.domain.errors import KeyNotFound, StoreUnavailable

pytestmark = pytest.mark.anyio


class TestSqlKeyStore(KeyStoreContract):
    @pytest.fixture
    async def store(self, engine: AsyncEngine) -> SqlKeyStore:
        return SqlKeyStore(engine, statement_timeout=30)


class TestSqlSessionStore(SessionStoreContract):
    @pytest.fixture
    async def sessions(self, engine: AsyncEngine) -> SqlSessionStore:
        return SqlSessionStore(engine, statement_timeout=30)


class TestSqlTokenLedger(TokenLedgerContract):
    @pytest.fixture
    async def ledger(self, engine: AsyncEngine) -> SqlTokenLedger:
        return SqlTokenLedger(engine, statement_timeout=30)

    @pytest.fixture
    async def again(
        self, ledger: SqlTokenLedger, engine: AsyncEngine
    ) -> AsyncIterator[SqlTokenLedger]:
        other = create_engine(engine.url, pool_size=8, connect_timeout=20)
        yield SqlTokenLedger(other, statement_timeout=30)
        await other.dispose()

    @pytest.fixture
    async def away(self, tmp_path: Path) -> AsyncIterator[SqlTokenLedger]:
        url = URL.create("sqlite+aiosqlite", database=str(tmp_path / "empty.db"))
        without_tables = create_engine(url, pool_size=1, connect_timeout=5)
        yield SqlTokenLedger(without_tables, statement_timeout=30)
        await without_tables.dispose()


class TestSqlReportBoard(ReportBoardContract):
    @pytest.fixture
    async def board(self, engine: AsyncEngine) -> SqlReportBoard:
        return SqlReportBoard(engine, statement_timeout=30)

    @pytest.fixture
    async def away(self, tmp_path: Path) -> AsyncIterator[SqlReportBoard]:
        url = URL.create("sqlite+aiosqlite", database=str(tmp_path / "empty.db"))
        without_tables = create_engine(url, pool_size=1, connect_timeout=5)
        yield SqlReportBoard(without_tables, statement_timeout=30)
        await without_tables.dispose()


@pytest.mark.parametrize(
    "row", ["'weather', '[]'", "'doctor', '[{\"state\": \"singing\"}]'", "'doctor', '{\"a\": 1}'"]
)
async def test_reports_of_a_later_version_are_left_out(engine: AsyncEngine, row: str) -> None:
    board = SqlReportBoard(engine, statement_timeout=30)
    await board.put(platform_report())
    async with engine.begin() as connection:
        later = f"INSERT INTO platform_reports (made_at, kind, content) VALUES ('{AT:%F}', {row})"  # noqa: S608
        await connection.exec_driver_sql(later)

    assert list(await board.last()) == [platform_report().kind]


async def test_tokens_that_have_ended_leave_no_row(engine: AsyncEngine) -> None:
    ledger = SqlTokenLedger(engine, statement_timeout=30)
    for number in range(3):
        await ledger.use(f"{number:064x}", until=NOON, now=NOON)
    later = NOON + timedelta(minutes=2)
    await ledger.use("f" * 64, until=later, now=later)

    async with engine.connect() as connection:
        rows = (await connection.execute(text("SELECT digest FROM used_tokens"))).scalars().all()

    assert rows == ["f" * 64]


async def test_many_browsers_may_sign_in_at_once(engine: AsyncEngine) -> None:
    store = SqlSessionStore(engine, statement_timeout=30)

    async def sign_in(number: int) -> None:
        await store.remove_ended(NOON)
        await store.add(session(f"{number:064x}", ends_at=NOON))

    await asyncio.gather(*(sign_in(number) for number in range(16)))
    await store.add(session(ONE))
    await store.remove_ended(NOON)

    assert [await store.get(f"{number:064x}") for number in range(16)] == [None] * 16
    assert await store.get(ONE) == session(ONE)


async def test_of_many_rotations_at_once_one_makes_a_key(engine: AsyncEngine) -> None:
    store = SqlKeyStore(engine, statement_timeout=30)
    await store.add(api_key("0" * 16))

    async def rotate(number: int) -> bool:
        try:
            await store.replace("0" * 16, api_key(f"{number:016x}"), until=NOON)
        except KeyNotFound:
            return False
        return True

    assert sum(await asyncio.gather(*(rotate(number) for number in range(1, 9)))) == 1
    assert len(await store.all()) == 2


async def test_a_scope_that_only_a_later_version_knows_allows_nothing(engine: AsyncEngine) -> None:
    store = SqlKeyStore(engine, statement_timeout=30)
    await store.add(api_key("0" * 16))
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE api_keys SET scopes = 'read,tomorrow'"))

    assert [key.scopes for key in await store.all()] == [{Scope.READ}]


async def test_a_schema_without_keys_says_what_to_do(url: URL) -> None:
    await asyncio.to_thread(schema.upgrade, url, target="0006")
    engine = create_engine(url, pool_size=1, connect_timeout=5)
    with pytest.raises(StoreUnavailable, match="stroke db upgrade"):
        await SqlKeyStore(engine, statement_timeout=30).all()
    await engine.dispose()
