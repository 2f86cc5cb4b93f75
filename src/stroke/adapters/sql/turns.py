"""Whose turn a task of all workers is: the table ``worker_turns``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.engine import transaction
from stroke.adapters.sql.faults import again_after_deadlock
from stroke.adapters.sql.tables import worker_turns as table
from stroke.application.models.ports import Turns


class SqlTurns(Turns):
    """A row for each task: when it was taken up last, by the clock of whoever did.

    A call that takes longer than ``statement_timeout`` seconds raises ``StoreUnavailable``.
    """

    def __init__(self, engine: AsyncEngine, *, statement_timeout: float) -> None:
        self._transaction = partial(transaction, engine, seconds=statement_timeout)

    @again_after_deadlock
    async def take(self, task: str, *, now: datetime, every: timedelta) -> bool:
        moment = now.astimezone(UTC).replace(tzinfo=None)
        # A row from the future is of a clock that was wrong: it must not stop the task for years.
        is_due = (table.c.taken_at <= moment - every) | (table.c.taken_at > moment + every)
        mine = update(table).where(table.c.task == task, is_due).values(taken_at=moment)
        first = (
            insert(table)
            .prefix_with("OR IGNORE", dialect="sqlite")
            .prefix_with("IGNORE", dialect="mysql")
            .values(task=task, taken_at=moment)
        )
        async with self._transaction(writes=True) as connection:
            if (await connection.execute(mine)).rowcount:
                return True
            return bool((await connection.execute(first)).rowcount)
