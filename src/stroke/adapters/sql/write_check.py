"""Whether a prediction could be stored now, tried on a connection of its own.

Asking whether the database answers says nothing of that: a read-only server answers, and so does a
full one. An INSERT of no row needs the table, its columns, the right and the locks that a real one
needs. What only a real write shows (a full disk, a file system that has become read-only) a row
shows that is written and removed in one transaction, in a table that nothing streams.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import delete, event, false, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from stroke.adapters.sql.engine import create_sibling, verify_file
from stroke.adapters.sql.faults import translated
from stroke.adapters.sql.rows import WRITTEN
from stroke.adapters.sql.schema import HEAD, current_revision
from stroke.adapters.sql.tables import batches, predictions
from stroke.domain.errors import StoreRefusesWrites, StoreUnavailable, wrong_schema

# Less than one commit of one row needs: SQLite appends whole pages to its journal.
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the column has no zone
_LEAST_FREE: Final = 64 * 1024
_WRITTEN: Final = [predictions.c[name] for name in WRITTEN]
_NO_ROW: Final = insert(predictions).from_select(
    list(WRITTEN), select(*_WRITTEN).where(false()), include_defaults=False
)


class WriteCheck:
    """What a write into the database of ``engine`` needs, looked at within ``seconds``.

    A row is written and removed unless a write is known to have succeeded in the last
    ``trial_seconds``. Whoever asks while another one waits for the answer gets the same one.
    """

    def __init__(self, engine: AsyncEngine, *, seconds: float, trial_seconds: float) -> None:
        self._watched = engine
        self._seconds = seconds
        self._trial_seconds = trial_seconds
        self._proved_at = -math.inf
        self._own: AsyncEngine | None = None
        self._running: asyncio.Task[None] | None = None

    def proved(self) -> None:
        """Note that a write succeeded."""
        self._proved_at = time.monotonic()

    def doubted(self) -> None:
        """Note that a write failed."""
        self._proved_at = -math.inf

    async def run(self) -> None:
        """Return if a prediction can be stored now.

        Raises ``SchemaOutdated``, ``StoreRefusesWrites`` when the database answers and does not
        store, and ``StoreUnavailable`` when it does not answer in time.
        """
        if self._running is None:
            self._running = asyncio.create_task(self._run())
            self._running.add_done_callback(self._ended)
        await asyncio.shield(self._running)

    def _ended(self, run: asyncio.Task[None]) -> None:
        self._running = None
        if not run.cancelled():
            run.exception()  # whoever asked has it, or has gone

    async def _run(self) -> None:
        verify_file(self._watched)
        answers = False
        try:
            with translated():
                async with (
                    asyncio.timeout(self._seconds),
                    self._engine().connect() as connection,
                ):
                    found = await current_revision(connection)
                    await connection.rollback()
                    answers = True
                    if found != HEAD:
                        raise wrong_schema(found, HEAD)
                    await self._try(connection)
        except StoreUnavailable as error:
            self.doubted()
            if answers and not isinstance(error.__cause__, TimeoutError):
                raise StoreRefusesWrites(str(error)) from error
            raise

    async def _try(self, connection: AsyncConnection) -> None:
        if connection.dialect.name == "sqlite":
            _check_space(self._watched.url.database)
            await connection.exec_driver_sql(
                "BEGIN IMMEDIATE"
            )  # as a write does: it takes the lock
        await connection.execute(_NO_ROW)
        if time.monotonic() - self._proved_at < self._trial_seconds:
            await connection.rollback()
            return
        # No client's key has a space in it.
        key = f"a trial {uuid.uuid4()}"
        trial = {"idempotency_key": key, "made_at": _EPOCH, "ids": []}
        await connection.execute(insert(batches).values(trial))
        await connection.execute(delete(batches).where(batches.c.idempotency_key == key))
        await connection.commit()
        self.proved()

    def _engine(self) -> AsyncEngine:
        if self._own is None:
            # SQLite's wait for a lock ends before ours does: it can say then what it waits for.
            self._own = create_sibling(
                self._watched, pool_size=1, connect_timeout=self._seconds / 2
            )
            if self._own.dialect.name == "mysql":
                event.listen(self._own.sync_engine, "connect", self._shorten_waits)
            event.listen(self._watched.sync_engine, "engine_disposed", self._dispose)
        return self._own

    def _shorten_waits(self, connection: Any, _record: object) -> None:
        # A wait that nobody waits for any more would stay in the server, one for each look.
        seconds = max(1, int(self._seconds / 2))
        cursor = connection.cursor()
        cursor.execute(
            f"SET SESSION lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}"
        )
        cursor.close()

    def _dispose(self, *_: object) -> None:
        own, self._own = self._own, None
        if own is not None:
            own.sync_engine.dispose()


def _check_space(database: str | None) -> None:
    if not database or database.startswith("file:"):
        return
    disk = os.statvfs(Path(database).absolute().parent)
    free = disk.f_bfree if os.geteuid() == 0 else disk.f_bavail
    # Some file systems in user space count no blocks.
    if disk.f_blocks and free * disk.f_frsize < _LEAST_FREE:
        raise StoreRefusesWrites("the disk under the SQLite file is full")
