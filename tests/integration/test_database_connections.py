"""The gauge of the pool, on a real database."""

from __future__ import annotations

import asyncio
from pathlib import Path

from prometheus_client import CollectorRegistry
from sqlalchemy import URL, text

from stroke.adapters.prometheus.connections import observe_connections
from stroke.adapters.sql.engine import create_engine


def connections(registry: CollectorRegistry) -> dict[str, float | None]:
    return {
        state: registry.get_sample_value("stroke_database_connections", {"state": state})
        for state in ("idle", "in_use")
    }


def test_a_connection_is_idle_or_in_use_until_it_is_closed(tmp_path: Path) -> None:
    asyncio.run(_use(tmp_path))


async def _use(tmp_path: Path) -> None:
    url = URL.create("sqlite+aiosqlite", database=str(tmp_path / "stroke.db"))
    engine = create_engine(url, pool_size=2, connect_timeout=1)
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
