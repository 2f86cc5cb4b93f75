"""SqlKeyStore and SqlSessionStore on the databases themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders.access import api_key, session
from builders.predictions import NOON
from contracts.access import ONE, KeyStoreContract, SessionStoreContract
from stroke.adapters.sql import schema
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.keys import SqlKeyStore
from stroke.adapters.sql.sessions import SqlSessionStore
from stroke.domain.access import Scope
from stroke.domain.errors import KeyNotFound, StoreUnavailable

pytestmark = pytest.mark.anyio


@pytest.fixture
async def engine(url: URL) -> AsyncIterator[AsyncEngine]:
    await asyncio.to_thread(schema.upgrade, url)
    engine = create_engine(url, pool_size=8, connect_timeout=20)
    yield engine
    await engine.dispose()


class TestSqlKeyStore(KeyStoreContract):
    @pytest.fixture
    async def store(self, engine: AsyncEngine) -> SqlKeyStore:
        return SqlKeyStore(engine, statement_timeout=30)


class TestSqlSessionStore(SessionStoreContract):
    @pytest.fixture
    async def sessions(self, engine: AsyncEngine) -> SqlSessionStore:
        return SqlSessionStore(engine, statement_timeout=30)


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
