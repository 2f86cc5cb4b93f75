"""The platform's reports: made of what commands found, kept in the service's database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from stroke.adapters.sql.reports import SqlReportBoard
from stroke.application.pipeline.consistency import Comparison, Discrepancy
from stroke.application.platform.reports import LineState, PlatformReport, ReportKind, ReportLine
from stroke.config import DatabaseSettings
from stroke.container.engines import is_there, opened_engine

if TYPE_CHECKING:
    from stroke.application.doctor.findings import Finding
    from stroke.application.pipeline.connector_watch import Watched, WatchEvent

_APPLY: Final = "stroke connectors apply"
_LOOK: Final = "stroke connectors status"
_REPAIR: Final = "stroke pipeline repair --dry-run"
_VERIFY: Final = "stroke pipeline verify"


async def keep_report(database: DatabaseSettings, report: PlatformReport) -> None:
    """Keep ``report`` where the service finds it. Raises ``StoreUnavailable``.

    A file of SQLite that is not there is not made: then no service shows the report.
    """
    if not is_there(database):
        return
    async with opened_engine(database) as engine:
        board = SqlReportBoard(engine, statement_timeout=database.statement_timeout_seconds)
        await board.put(report)


def connectors_report(
    seen: Sequence[Watched], events: Sequence[WatchEvent], at: datetime
) -> PlatformReport:
    """Return what one look of the watch saw; an event without a connector is of Connect itself."""
    said: dict[str, list[str]] = {}
    for event in events:
        said.setdefault(event.connector, []).append(event.detail)
    lines = [_connector(each, "; ".join(said.pop(each.name, []))) for each in seen]
    lines += [
        ReportLine(name or "Kafka Connect", LineState.FAILED, detail="; ".join(each), remedy=_LOOK)
        for name, each in said.items()
    ]
    return PlatformReport(ReportKind.CONNECTORS, at, tuple(lines))


def _connector(seen: Watched, said: str) -> ReportLine:
    status = seen.status
    if status is None:
        return ReportLine(seen.name, LineState.FAILED, detail="missing", remedy=_APPLY)
    numbers = {
        "tasks": len(status.tasks),
        "running": sum(each.state == "RUNNING" for each in status.tasks),
    }
    if seen.lag is not None:
        numbers["lag"] = seen.lag
    if status.state in ("PAUSED", "STOPPED"):
        resume = f"stroke connectors resume {seen.name}"
        return ReportLine(seen.name, LineState.PAUSED, numbers, status.summary, resume)
    if status.is_running and not seen.stalled:
        return ReportLine(seen.name, LineState.OK, numbers, said)
    remedy = "; ".join(cause.advice for cause in status.causes) or _LOOK
    return ReportLine(seen.name, LineState.FAILED, numbers, said or status.summary, remedy)


def verification_report(comparisons: Sequence[Comparison], at: datetime) -> PlatformReport:
    """Return what a comparison of the copies with MySQL found."""
    return PlatformReport(
        ReportKind.VERIFICATION,
        at,
        tuple(
            ReportLine(
                each.replica,
                LineState.OK if each.is_equal else LineState.FAILED,
                {
                    "rows": each.rows,
                    **{kind.value: each.count(kind) for kind in Discrepancy},
                    "duplicates": each.duplicates,
                },
                remedy="" if each.is_equal else _REPAIR,
            )
            for each in comparisons
        ),
    )


def failed_verification(why: str, at: datetime, copies: Sequence[str]) -> PlatformReport:
    """Return that a comparison of these copies did not come to an end."""
    lines = [ReportLine(each, LineState.FAILED, detail=why, remedy=_VERIFY) for each in copies]
    return PlatformReport(ReportKind.VERIFICATION, at, tuple(lines))


def doctor_report(findings: Sequence[Finding], at: datetime) -> PlatformReport:
    """Return what the doctor found."""
    return PlatformReport(
        ReportKind.DOCTOR,
        at,
        tuple(
            ReportLine(
                each.check, LineState(each.state.value), detail=each.detail, remedy=each.remedy
            )
            for each in findings
        ),
    )
