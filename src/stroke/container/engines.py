"""Engines for the service's database, as the settings name it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.engine import create_engine
from stroke.config import DatabaseSettings


def engine_of(settings: DatabaseSettings, *, pool_size: int = 1) -> AsyncEngine:
    """Return an engine that asks for the current password with each connection.

    Nothing is connected yet. Raises ``InvalidSetting``.
    """
    return create_engine(
        settings.sqlalchemy_url,
        pool_size=pool_size,
        connect_timeout=settings.connect_timeout_seconds,
        password=settings.current_password,
    )


@asynccontextmanager
async def opened_engine(settings: DatabaseSettings) -> AsyncIterator[AsyncEngine]:
    """Give an engine of one connection, and close it at the end. Raises as above."""
    engine = engine_of(settings)
    try:
        yield engine
    finally:
        await engine.dispose()
