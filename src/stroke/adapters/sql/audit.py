"""The audit log in an SQL database: the tables ``audit`` and ``audit_head``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Row, String, func, insert, select, type_coerce, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from stroke.adapters.sql.engine import transaction
from stroke.adapters.sql.faults import again_after_deadlock
from stroke.adapters.sql.tables import audit, audit_head
from stroke.application.audit.ports import EVERYTHING, AuditFilter, AuditLog
from stroke.domain.audit import LOST, AuditEntry, AuditEvent, AuditHead, chained
from stroke.domain.errors import StoreUnavailable

_UNREADABLE: Final = "cannot be read"
_NO_TIME: Final = datetime.fromtimestamp(0, UTC)
_HEAD: Final = select(audit_head.c.number, audit_head.c.digest).where(audit_head.c.id == 1)


class SqlAuditLog(AuditLog):
    """Appends one transaction at a time: the row of ``audit_head`` is locked until the commit.

    A call that takes longer than ``statement_timeout`` seconds raises ``StoreUnavailable``.
    """

    def __init__(self, engine: AsyncEngine, *, statement_timeout: float) -> None:
        self._transaction = partial(transaction, engine, seconds=statement_timeout)

    @again_after_deadlock
    async def append(self, events: Sequence[AuditEvent]) -> AuditHead:
        async with self._transaction(writes=True) as connection:
            head = _head((await connection.execute(_HEAD.with_for_update())).first())
            if head is None:
                raise StoreUnavailable("the trail's own end is lost: run `stroke audit verify`")
            entries = list(chained(events, head))
            if not entries:
                return head
            await connection.execute(insert(audit), [_row(each) for each in entries])
            end = AuditHead(entries[-1].number, entries[-1].digest)
            await connection.execute(
                update(audit_head)
                .where(audit_head.c.id == 1)
                .values(number=end.number, digest=end.digest)
            )
        return end

    async def head(self) -> AuditHead:
        async with self._transaction() as connection:
            row = (await connection.execute(_HEAD)).first()
        return _head(row) or LOST

    async def entries(
        self,
        *,
        after: int = 0,
        limit: int,
        narrowed: AuditFilter = EVERYTHING,
        newest_first: bool = False,
    ) -> list[AuditEntry]:
        query = _SELECT.where(*_conditions(narrowed)).limit(limit)
        if newest_first:
            query = query.order_by(audit.c.number.desc())
            if after:
                query = query.where(audit.c.number < after)
        else:
            query = query.order_by(audit.c.number).where(audit.c.number > after)
        async with self._transaction() as connection:
            try:
                return [_entry(row) for row in await connection.execute(query)]
            except (DBAPIError, TypeError, ValueError):
                if connection.dialect.name != "sqlite":
                    raise
                # A column of SQLite holds anything: somebody has put in what no entry has.
                numbers = await connection.scalars(query.with_only_columns(audit.c.number))
                return [await _whatever(connection, number) for number in numbers.all()]

    async def latest(self, narrowed: AuditFilter) -> datetime | None:
        # Not the first of the entries in their order: MySQL may then walk along the numbers.
        query = select(func.max(audit.c.at)).where(*_conditions(narrowed))
        async with self._transaction() as connection:
            found: datetime | None = await connection.scalar(query)
        return None if found is None else found.replace(tzinfo=UTC)


_SELECT: Final = select(audit, type_coerce(audit.c.at, String).label("at_text"))
"""An entry; its time also as SQLite has it, which keeps it as a text."""


def _conditions(narrowed: AuditFilter) -> list[Any]:
    equal = {
        audit.c.actor: narrowed.actor,
        audit.c.action: narrowed.action,
        audit.c.site: narrowed.site,
        audit.c.target: narrowed.target,
        audit.c.outcome: narrowed.outcome,
    }
    conditions = [column == value for column, value in equal.items() if value is not None]
    if narrowed.targets is not None:
        conditions.append(audit.c.target.in_(narrowed.targets))
    if narrowed.since is not None:
        conditions.append(audit.c.at >= _naive(narrowed.since))
    if narrowed.until is not None:
        conditions.append(audit.c.at < _naive(narrowed.until))
    return conditions


def _row(entry: AuditEntry) -> dict[str, Any]:
    return {**entry.columns(), "at": _naive(entry.event.at)}


def _head(row: Row[Any, Any] | None) -> AuditHead | None:
    """Return the log's own end; None if somebody has removed it or made it something else."""
    if row is None or not (isinstance(row.number, int) and isinstance(row.digest, str)):
        return None
    return AuditHead(row.number, row.digest)


async def _whatever(connection: AsyncConnection, number: int) -> AuditEntry:
    """Return an entry, or, if it cannot be read, one in its place that breaks the chain."""
    alone = audit.c.number == number
    try:
        return _entry((await connection.execute(_SELECT.where(alone))).one())
    except (DBAPIError, TypeError, ValueError):
        event = AuditEvent(_NO_TIME, *(_UNREADABLE,) * 3)
    try:
        links = select(audit.c.previous, audit.c.digest).where(alone)
        previous, digest = map(str, (await connection.execute(links)).one())
    except DBAPIError:
        previous = digest = _UNREADABLE
    return AuditEntry(number, event, previous, digest)


def _entry(row: Row[Any]) -> AuditEntry:
    """Return the entry of a row. Raises ``TypeError`` if a column holds something else."""
    texts = (row.actor, row.action, row.outcome, row.previous, row.digest)
    or_none = (row.target, row.site, row.request_id)
    if not (
        isinstance(row.times, int)
        and all(isinstance(each, str) for each in texts)
        and all(isinstance(each, str | None) for each in or_none)
    ):
        raise TypeError("a column holds what no entry has")
    # SQLite compares times as texts, and another text of the same time may lie outside of a filter.
    written = row.at.replace(tzinfo=None).isoformat(" ", "microseconds")
    if isinstance(row.at_text, str) and row.at_text != written:
        raise TypeError("the time is not written as the log writes it")
    event = AuditEvent(
        at=row.at.replace(tzinfo=UTC),
        actor=row.actor,
        action=row.action,
        outcome=row.outcome,
        target=row.target,
        site=row.site,
        request_id=row.request_id,
        times=row.times,
        kept=True,
    )
    return AuditEntry(row.number, event, row.previous, row.digest)


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)
