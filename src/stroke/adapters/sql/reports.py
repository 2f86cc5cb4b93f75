"""The last reports of the platform: the table ``platform_reports``, one row for each kind."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from functools import partial
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.engine import transaction
from stroke.adapters.sql.faults import again_after_deadlock
from stroke.adapters.sql.tables import platform_reports as table
from stroke.application.platform.ports import ReportBoard
from stroke.application.platform.reports import LineState, PlatformReport, ReportKind, ReportLine


class SqlReportBoard(ReportBoard):
    """Each call is one transaction on one connection of ``engine``.

    A call that takes longer than ``statement_timeout`` seconds raises ``StoreUnavailable``.
    """

    def __init__(self, engine: AsyncEngine, *, statement_timeout: float) -> None:
        self._transaction = partial(transaction, engine, seconds=statement_timeout)
        self._is_mysql = engine.dialect.name == "mysql"

    @again_after_deadlock
    async def put(self, report: PlatformReport) -> None:
        made_at = report.made_at.astimezone(UTC).replace(tzinfo=None)
        row = {"made_at": made_at, "content": [_stored(each) for each in report.lines]}
        newer = (
            update(table).where(table.c.kind == report.kind, table.c.made_at <= made_at).values(row)
        )
        row = {"kind": report.kind.value, **row}
        # The row of an older report was replaced above; that of a newer one stays. MySQL's IGNORE
        # would warn of it each time.
        first: Any = (
            mysql.insert(table).values(row).on_duplicate_key_update(kind=table.c.kind)
            if self._is_mysql
            else sqlite.insert(table).values(row).on_conflict_do_nothing()
        )
        async with self._transaction(writes=True) as connection:
            await connection.execute(newer)
            await connection.execute(first)

    async def last(self) -> dict[ReportKind, PlatformReport]:
        async with self._transaction() as connection:
            rows = (await connection.execute(select(table))).all()
        found = {}
        for row in rows:
            with suppress(ValueError, KeyError, TypeError, AttributeError):  # a later version's
                kind = ReportKind(row.kind)
                lines = tuple(_read(each) for each in row.content)
                found[kind] = PlatformReport(kind, row.made_at.replace(tzinfo=UTC), lines)
        return found


def _stored(line: ReportLine) -> dict[str, Any]:
    return {
        "name": line.name,
        "state": line.state.value,
        "numbers": dict(line.numbers),
        "detail": line.detail,
        "remedy": line.remedy,
    }


def _read(stored: Mapping[str, Any]) -> ReportLine:
    return ReportLine(
        str(stored["name"]),
        LineState(stored["state"]),
        {str(name): int(count) for name, count in stored["numbers"].items()},
        str(stored["detail"]),
        str(stored["remedy"]),
    )
