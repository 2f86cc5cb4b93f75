"""The gauge of the pool, on real databases."""

from __future__ import annotations

import asyncio
from pathlib import Path
from secrets import token_hex

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import URL, make_url, text

from components.containers import MySqlServer
from stroke.adapters.prometheus.connections import observe_connections
from stroke.adapters.sql.engine import create_engine, create_sibling


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


def test_new_connections_log_in_with_the_password_of_the_moment(mysql: MySqlServer) -> None:
    asyncio.run(_rotate(mysql))


async def _rotate(mysql: MySqlServer) -> None:
    url = make_url(mysql.new_database())
    name = f"rotated_{token_hex(4)}"
    mysql.execute(f"CREATE USER {name}@'%%' IDENTIFIED BY 'first'")
    mysql.execute(f"GRANT ALL ON `{url.database}`.* TO {name}@'%%'")
    current = ["first"]
    engine = create_engine(
        url.set(username=name, password="first"),
        pool_size=2,
        connect_timeout=5,
        password=lambda: current[0],
    )
    async with engine.connect() as kept:
        await kept.execute(text("SELECT 1"))
        mysql.execute(f"ALTER USER {name}@'%%' IDENTIFIED BY 'second' RETAIN CURRENT PASSWORD")
        async with engine.connect() as still_with_the_old_one:
            await still_with_the_old_one.execute(text("SELECT 1"))
            await still_with_the_old_one.invalidate()
        current[0] = "second"
        mysql.execute(f"ALTER USER {name}@'%%' DISCARD OLD PASSWORD")
        async with engine.connect() as new:
            await new.execute(text("SELECT 1"))
        sibling = create_sibling(engine, pool_size=1, connect_timeout=5)
        async with sibling.connect() as of_the_sibling:
            await of_the_sibling.execute(text("SELECT 1"))
        await sibling.dispose()
        await kept.execute(text("SELECT 1"))
    await engine.dispose()
