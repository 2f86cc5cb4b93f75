"""The last reports of the platform: the table ``platform_reports``, one row for each kind."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Row, select, update
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
        row = {"kind": report.kind.value, **_row(report)}
        # It locks the row that is there. MySQL's IGNORE would warn of it each time.
        first: Any = (
            mysql.insert(table).values(row).on_duplicate_key_update(kind=table.c.kind)
            if self._is_mysql
            else sqlite.insert(table).values(row).on_conflict_do_nothing()
        )
        same_kind = table.c.kind == report.kind
        async with self._transaction(writes=True) as connection:
            await connection.execute(first)
            known = (
                await connection.execute(select(table).where(same_kind).with_for_update())
            ).one()
            kept = report.after(_report(known))
            await connection.execute(update(table).where(same_kind).values(_row(kept)))

    async def last(self) -> dict[ReportKind, PlatformReport]:
        async with self._transaction() as connection:
            rows = (await connection.execute(select(table))).all()
        return {each.kind: each for each in map(_report, rows) if each is not None}


def _row(report: PlatformReport) -> dict[str, Any]:
    made_at = report.made_at.astimezone(UTC).replace(tzinfo=None)
    return {"made_at": made_at, "content": [_stored(each) for each in report.lines]}


def _report(row: Row[Any]) -> PlatformReport | None:
    """Return the report of a row, or nothing where a later version has written it."""
    try:
        lines = tuple(_read(each) for each in row.content)
        return PlatformReport(ReportKind(row.kind), row.made_at.replace(tzinfo=UTC), lines)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _stored(line: ReportLine) -> dict[str, Any]:
    return {
        "name": line.name,
        "state": line.state.value,
        "numbers": dict(line.numbers),
        "detail": line.detail,
        "remedy": line.remedy,
        **({} if line.seen_at is None else {"seen_at": line.seen_at.isoformat()}),
    }


def _read(stored: Mapping[str, Any]) -> ReportLine:
    return ReportLine(
        str(stored["name"]),
        LineState(stored["state"]),
        {str(name): int(count) for name, count in stored["numbers"].items()},
        str(stored["detail"]),
        str(stored["remedy"]),
        datetime.fromisoformat(stored["seen_at"]) if "seen_at" in stored else None,
    )
