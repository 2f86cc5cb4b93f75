"""The gauge of the pool, on real databases."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import URL, make_url, text

from components.containers import MySqlServer
from stroke.adapters.prometheus.connections import observe_connections
from stroke.adapters.sql.engine import create_engine


def connections(registry: CollectorRegistry) -> dict[str, float | None]:
    return {
        state: registry.get_sample_value("stroke_database_connections", {"state": state})
        for state in ("idle", "in_use")
    }


@pytest.fixture(params=["sqlite", "mysql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    if request.param == "sqlite":
        return URL.create("sqlite+aiosqlite", database=str(tmp_path / "stroke.db"))
    mysql: MySqlServer = request.getfixturevalue("mysql")
    return make_url(mysql.new_database())


def test_a_connection_is_idle_or_in_use_until_it_is_closed(database: URL) -> None:
    asyncio.run(_use(database))


async def _use(url: URL) -> None:
    engine = create_engine(url, pool_size=2, connect_timeout=5)
    registry = CollectorRegistry()
    observe_connections(engine.sync_engine, registry)
    assert connections(registry) == {"idle": 0, "in_use": 0}

    async with engine.connect() as one, engine.connect() as other:
        await one.execute(text("SELECT 1"))
        await other.execute(text("SELECT 1"))
        assert connections(registry) == {"idle": 0, "in_use": 2}
    assert connections(registry) == {"idle": 2, "in_use": 0}

    async with engine.connect() as lost:
        await lost.invalidate()
    assert connections(registry) == {"idle": 1, "in_use": 0}
    await engine.dispose()
    assert connections(registry) == {"idle": 0, "in_use": 0}


def test_a_connection_that_the_server_ended_is_not_counted_any_more(mysql: MySqlServer) -> None:
    asyncio.run(_lose(mysql))


async def _lose(mysql: MySqlServer) -> None:
    engine = create_engine(make_url(mysql.new_database()), pool_size=2, connect_timeout=5)
    registry = CollectorRegistry()
    observe_connections(engine.sync_engine, registry)
    async with engine.connect() as ended:
        number = (await ended.execute(text("SELECT CONNECTION_ID()"))).scalar_one()
    mysql.execute(f"KILL {number}")

    async with engine.connect() as another:
        assert (await another.execute(text("SELECT CONNECTION_ID()"))).scalar_one() != number
        assert connections(registry) == {"idle": 0, "in_use": 1}
    assert connections(registry) == {"idle": 1, "in_use": 0}
    await engine.dispose()
