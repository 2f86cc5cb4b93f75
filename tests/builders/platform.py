"""Reports of the platform for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from stroke.application.platform.reports import LineState, PlatformReport, ReportKind, ReportLine

AT: Final = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def platform_report(kind: ReportKind = ReportKind.CONNECTORS, **changed: Any) -> PlatformReport:
    """Return a report of one source that runs, with some fields changed."""
    fields: dict[str, Any] = {
        "made_at": AT,
        "lines": (ReportLine("mysql-source", LineState.OK, {"tasks": 1, "running": 1}),),
    }
    return PlatformReport(kind, **(fields | changed))
