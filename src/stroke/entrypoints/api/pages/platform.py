"""The platform: what the commands of the pipeline saw last, and what to do about it.

The service does not reach Kafka or the copies. The commands leave what they see in its database.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from stroke.application.platform.reports import LineState, PlatformReport, ReportKind, ReportLine
from stroke.domain.access import Scope
from stroke.entrypoints.api.access import needs
from stroke.entrypoints.api.pages.shell import PageRoute, html, language_of
from stroke.entrypoints.api.state import api_state
from stroke.entrypoints.ui.languages import Language

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_NAME: Final = "platform"
# The watch looks every 10 s and writes every 30 s; the comparison runs every 15 minutes, and may
# take some. Nobody runs the doctor by a clock: its report is never called old.
_OLD: Final = {
    ReportKind.CONNECTORS: timedelta(minutes=5),
    ReportKind.VERIFICATION: timedelta(hours=2),
}


@router.get("/ui/platform")
@needs(Scope.ADMIN)
async def platform(request: Request) -> Response:
    """Show the last reports. Where no pipeline is named, there is no such page."""
    if not request.app.state.shows_platform:
        raise HTTPException(404)
    language, now = language_of(request), datetime.now(UTC)
    last = await api_state(request).reports.last()
    return html(
        request,
        "platform.html",
        _NAME,
        connectors=_shown(last, ReportKind.CONNECTORS, language, now),
        verification=_shown(last, ReportKind.VERIFICATION, language, now),
        doctor=_shown(last, ReportKind.DOCTOR, language, now),
    )


def _shown(
    last: Mapping[ReportKind, PlatformReport], kind: ReportKind, language: Language, now: datetime
) -> dict[str, Any] | None:
    report = last.get(kind)
    if report is None:
        return None
    counts = dict.fromkeys(LineState, 0)
    for each in report.lines:
        counts[each.state] += 1
    return {
        "made": language.moment(report.made_at, UTC),
        "is_old": _is_old(kind, report.made_at, now),
        "is_well": report.is_well,
        "lines": [
            _line(each, language, is_old=_is_old(kind, each.seen_at, now))
            for each in _worst_first(report.lines)
        ],
        "failed": counts[LineState.FAILED] + counts[LineState.NOT_CHECKED],
        "ok": counts[LineState.OK],
        "all": len(report.lines),
    }


def _worst_first(lines: tuple[ReportLine, ...]) -> list[ReportLine]:
    order = (LineState.FAILED, LineState.NOT_CHECKED, LineState.PAUSED, LineState.OK)
    return sorted(
        lines, key=lambda each: order.index(each.state) if each.state in order else len(order)
    )


def _is_old(kind: ReportKind, seen_at: datetime | None, now: datetime) -> bool:
    return kind in _OLD and seen_at is not None and now - seen_at > _OLD[kind]


def _line(line: ReportLine, language: Language, *, is_old: bool) -> dict[str, Any]:
    say = language.say
    states = {
        LineState.OK: say("runs") if "tasks" in line.numbers else say("well"),
        LineState.FAILED: say("failed"),
        LineState.PAUSED: say("paused"),
        LineState.NOT_CHECKED: say("not checked"),
        LineState.NOT_CONFIGURED: say("not configured"),
    }
    return {
        "name": line.name,
        "state": line.state.value,
        "said": states[line.state],
        "is_bad": line.state in (LineState.FAILED, LineState.NOT_CHECKED),
        "numbers": {name: language.number(count) for name, count in line.numbers.items()},
        "detail": line.detail,
        "remedy": line.remedy,
        "seen": "" if line.seen_at is None else language.moment(line.seen_at, UTC),
        "is_old": is_old,
    }
