"""A connection that is kept from one INSERT to the next.

A pooled transaction is four round trips (ping, INSERT, COMMIT, ROLLBACK) and the bookkeeping around
them, which together take more of the processor than a batch of 32 rows does. Here a batch is one
statement that commits itself: one round trip, and as durable as any commit.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from sqlalchemy import PoolProxiedConnection, event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util.concurrency import greenlet_spawn

from stroke.adapters.sql.engine import verify_file
from stroke.adapters.sql.faults import fact
from stroke.domain.errors import StoreUnavailable

# After a longer pause the server may have gone: ask before a prediction depends on it.
_TRUSTED_SECONDS: Final = 1.0


class InsertConnection:
    """One connection of ``engine`` in autocommit mode, for one statement at a time.

    It is opened on first use, replaced after a failure, and closed with the engine.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._driver_error = engine.dialect.loaded_dbapi.Error
        self._kept: PoolProxiedConnection | None = None
        self._used_at = 0.0
        self._on_sqlite = engine.dialect.name == "sqlite"
        self._closing: set[asyncio.Future[None]] = set()
        self.busy = False
        event.listen(engine.sync_engine, "engine_disposed", self._drop)

    async def insert(self, statement: str, parameters: tuple[Any, ...]) -> tuple[int, int]:
        """Run one INSERT; return its ``lastrowid`` and the step of ids once it is committed.

        Raises ``StrokeError``s for what the database refuses, and what the network raises as is.
        """
        self.busy = True
        cursor = None
        try:
            kept = await self._connection()
            verify_file(self._engine)
            cursor = await kept.driver_connection.cursor()  # type: ignore[union-attr]
            await cursor.execute(statement, parameters)
            verify_file(self._engine)
            self._used_at = time.monotonic()
            return cursor.lastrowid, kept.info.get("id_step", 1)
        except self._driver_error as error:
            explained = fact(error)
            self._let_go(cursor)
            if isinstance(explained, StoreUnavailable):
                self._distrust()
            raise explained from error
        except BaseException:  # a timeout or a cancellation leaves half a conversation behind
            self._let_go(cursor)
            self._distrust()
            raise
        finally:
            self.busy = False

    async def _connection(self) -> PoolProxiedConnection:
        if self._kept is not None and time.monotonic() - self._used_at > _TRUSTED_SECONDS:
            await self._renew_if_gone(self._kept)
        if self._kept is None:
            self._kept = await self._engine.raw_connection()
            await greenlet_spawn(
                self._engine.dialect.set_isolation_level,
                self._kept.dbapi_connection,
                "AUTOCOMMIT",
            )
        return self._kept

    async def _renew_if_gone(self, kept: PoolProxiedConnection) -> None:
        try:
            await greenlet_spawn(self._engine.dialect.do_ping, kept.dbapi_connection)
        except (self._driver_error, OSError, EOFError):
            self._distrust()

    def _let_go(self, cursor: Any) -> None:
        """Have SQLite's own thread close ``cursor``, after the statement if that still runs.

        The exception holds the cursor. Whoever frees it resets its statement, and waits for
        whatever the connection does then: Python's collector would stop the event loop for it.
        """
        if cursor is not None and self._on_sqlite:
            closing = asyncio.ensure_future(cursor.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closed)

    def _closed(self, closing: asyncio.Future[None]) -> None:
        self._closing.discard(closing)
        if not closing.cancelled():
            closing.exception()  # the connection may have been closed before it

    def _distrust(self) -> None:
        # A file does not go away, and an SQLite connection takes one statement after the other:
        # what was given up ends before the next begins.
        if not self._on_sqlite:
            self._drop()

    def _drop(self, *_: object) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.invalidate()
