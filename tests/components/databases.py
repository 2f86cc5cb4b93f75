"""SQL statements on the service's database, whichever it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine

from components.containers import free_port
from stroke.adapters.sql import schema
from stroke.adapters.sql.engine import create_engine


def run_statements(url: URL, *statements: str) -> list[Any]:
    """Run ``statements`` in one transaction; return the rows of the last."""

    async def connected() -> list[Any]:
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        try:
            async with engine.begin() as connection:
                for statement in statements:
                    result = await connection.execute(text(statement))
                rows = result.fetchall() if result.returns_rows else []
        finally:
            await engine.dispose()
        return [tuple(row) for row in rows]

    return asyncio.run(connected())


@asynccontextmanager
async def migrated_engine(url: URL) -> AsyncIterator[AsyncEngine]:
    """Bring the database to the newest schema, and give an engine for it within ``async with``."""
    await asyncio.to_thread(schema.upgrade, url)
    engine = create_engine(url, pool_size=8, connect_timeout=20)
    yield engine
    await engine.dispose()


def without_server(url: URL) -> URL:
    """Return ``url`` on a port where no server listens."""
    return url.set(port=free_port())


async def without_file(engine: AsyncEngine) -> AsyncEngine:
    """Return ``engine``, whose SQLite file was deleted while a connection to it was open."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT COUNT(*) FROM predictions"))
    path = Path(str(engine.url.database))
    for beside in path.parent.glob(f"{path.name}*"):
        beside.unlink()
    return engine
