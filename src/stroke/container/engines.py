"""Engines for the service's database, as the settings name it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.engine import create_engine
from stroke.config import DatabaseSettings
from stroke.domain.errors import InvalidSetting


def is_there(settings: DatabaseSettings) -> bool:
    """Return False where to connect would make an SQLite file."""
    file = _sqlite_file(settings.sqlalchemy_url)
    return file is None or file.is_file()


def existing_database(settings: DatabaseSettings) -> URL:
    """Return the URL of the database, but refuse to make an SQLite file.

    To connect makes one, and whoever mistyped the file's name would work on an empty database
    without a word. Only `stroke serve`, `stroke db upgrade` and `stroke keys create` make one.
    Raises ``InvalidSetting``.
    """
    url = settings.sqlalchemy_url
    file = _sqlite_file(url)
    # What is there and no file is refused by the engine, which knows what is wrong with it.
    if file is not None and not file.exists():
        named = "URL" if settings.url is not None else "SQLITE_PATH"
        raise InvalidSetting(
            f"there is no database {file.absolute()}: correct STROKE_DATABASE_{named}, or make it "
            "with `stroke db upgrade`"
        )
    return url


def _sqlite_file(url: URL) -> Path | None:
    """Return the file of an SQLite database; None for MySQL, and where none is named."""
    named = url.database
    if url.get_backend_name() != "sqlite" or not named or named == ":memory:":
        return None
    if not named.startswith("file:"):
        return Path(named)
    path = unquote(urlsplit(named).path)  # SQLite's own way to write it
    return Path(path) if path and url.query.get("mode") != "memory" else None


def engine_of(settings: DatabaseSettings, *, pool_size: int = 1) -> AsyncEngine:
    """Return an engine that asks for the current password with each connection.

    Nothing is connected yet. Raises ``InvalidSetting``, also where there is no such SQLite file.
    """
    return create_engine(
        existing_database(settings),
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
