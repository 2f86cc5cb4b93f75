"""Which tokens of record systems were used: the table ``used_tokens``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.engine import transaction
from stroke.adapters.sql.faults import again_after_deadlock
from stroke.adapters.sql.tables import used_tokens as table
from stroke.application.access.ports import TokenLedger

_SWEEP: Final = timedelta(minutes=1)


class SqlTokenLedger(TokenLedger):
    """One row for each token until it ends; a call each minute removes those that have ended.

    A call that takes longer than ``statement_timeout`` seconds raises ``StoreUnavailable``.
    """

    def __init__(self, engine: AsyncEngine, *, statement_timeout: float) -> None:
        self._transaction = partial(transaction, engine, seconds=statement_timeout)
        self._swept_at = datetime.min.replace(tzinfo=UTC)

    async def use(self, digest: str, *, until: datetime, now: datetime) -> bool:
        if now - self._swept_at >= _SWEEP:
            self._swept_at = now
            await self._remove_ended(now)
        return await self._add(digest, until)

    @again_after_deadlock
    async def _remove_ended(self, now: datetime) -> None:
        # A transaction of its own: no other call has to wait for a range of the index until an
        # insert is done.
        async with self._transaction(writes=True) as connection:
            await connection.execute(delete(table).where(table.c.ends_at < _naive(now)))

    @again_after_deadlock
    async def _add(self, digest: str, until: datetime) -> bool:
        # The primary key makes one of all calls the first: nothing is read before.
        first = (
            insert(table)
            .prefix_with("OR IGNORE", dialect="sqlite")
            .prefix_with("IGNORE", dialect="mysql")
            .values(digest=digest, ends_at=_naive(until))
        )
        async with self._transaction(writes=True) as connection:
            taken = await connection.execute(first)
        return taken.rowcount == 1


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
