"""The audit log in an SQL database: the tables ``audit`` and ``audit_head``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.engine import transaction
from stroke.adapters.sql.faults import again_after_deadlock
from stroke.adapters.sql.tables import audit, audit_head
from stroke.application.audit.ports import EVERYTHING, AuditFilter, AuditLog
from stroke.domain.audit import AuditEntry, AuditEvent, AuditHead, chained

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
            row = (await connection.execute(_HEAD.with_for_update())).one()
            entries = list(chained(events, AuditHead(row.number, row.digest)))
            if not entries:
                return AuditHead(row.number, row.digest)
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
            row = (await connection.execute(_HEAD)).one()
        return AuditHead(row.number, row.digest)

    async def entries(
        self,
        *,
        after: int = 0,
        limit: int,
        narrowed: AuditFilter = EVERYTHING,
        newest_first: bool = False,
    ) -> list[AuditEntry]:
        query = select(audit).where(*_conditions(narrowed)).limit(limit)
        if newest_first:
            query = query.order_by(audit.c.number.desc())
            if after:
                query = query.where(audit.c.number < after)
        else:
            query = query.order_by(audit.c.number).where(audit.c.number > after)
        async with self._transaction() as connection:
            return [_entry(row) for row in await connection.execute(query)]

    async def latest(self, narrowed: AuditFilter) -> datetime | None:
        # Not the first of the entries in their order: MySQL may then walk along the numbers.
        query = select(func.max(audit.c.at)).where(*_conditions(narrowed))
        async with self._transaction() as connection:
            found: datetime | None = await connection.scalar(query)
        return None if found is None else found.replace(tzinfo=UTC)


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


def _entry(row: Row[Any]) -> AuditEntry:
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
