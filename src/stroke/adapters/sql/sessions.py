"""Sessions of browsers in the service's database."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.engine import transaction
from stroke.adapters.sql.faults import again_after_deadlock
from stroke.adapters.sql.tables import sessions as table
from stroke.application.access.ports import SessionStore
from stroke.domain.access import Principal, Scope, Session


class SqlSessionStore(SessionStore):
    """The table ``browser_sessions``. Each call is one transaction on one connection of ``engine``.

    A call that takes longer than ``statement_timeout`` seconds raises ``StoreUnavailable``. A scope
    of a later version of stroke, which this one does not know, is left out of what is read.
    """

    def __init__(self, engine: AsyncEngine, *, statement_timeout: float) -> None:
        self._transaction = partial(transaction, engine, seconds=statement_timeout)

    async def add(self, session: Session) -> None:
        caller = session.caller
        row = {
            "id_hash": session.id_hash,
            "kind": caller.kind,
            "caller": caller.id,
            "site": caller.site,
            "scopes": ",".join(sorted(caller.scopes)),
            "begun_at": _naive(session.begun_at),
            "used_at": _naive(session.used_at),
            "ends_at": _naive(session.ends_at),
            "sealed": session.sealed,
        }
        async with self._transaction(writes=True) as connection:
            await connection.execute(insert(table).values(row))

    async def get(self, id_hash: str) -> Session | None:
        query = select(table).where(table.c.id_hash == id_hash)
        async with self._transaction() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None or row.id_hash != id_hash:  # MySQL finds it with blanks at its end, too
            return None
        known = {scope.value for scope in Scope}
        scopes = frozenset(Scope(each) for each in row.scopes.split(",") if each in known)
        return Session(
            row.id_hash,
            Principal(row.kind, row.caller, row.site, scopes),
            row.begun_at.replace(tzinfo=UTC),
            row.used_at.replace(tzinfo=UTC),
            row.ends_at.replace(tzinfo=UTC),
            row.sealed,
        )

    async def note_use(self, id_hash: str, at: datetime) -> None:
        noted = (
            update(table)
            .where(table.c.id_hash == id_hash, table.c.used_at < _naive(at))
            .values(used_at=_naive(at))
        )
        async with self._transaction(writes=True) as connection:
            await connection.execute(noted)

    async def remove(self, id_hash: str) -> None:
        async with self._transaction(writes=True) as connection:
            await connection.execute(delete(table).where(table.c.id_hash == id_hash))

    @again_after_deadlock
    async def remove_ended(self, now: datetime) -> None:
        async with self._transaction(writes=True) as connection:
            await connection.execute(delete(table).where(table.c.ends_at <= _naive(now)))


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)
