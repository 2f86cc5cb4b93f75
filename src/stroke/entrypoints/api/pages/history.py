"""History: what was saved, as it was saved; its outcome; erasing it; a file of all of it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from stroke.application.predictions.cells import neutral
from stroke.domain.access import ANYBODY, Scope
from stroke.domain.audit import AuditAction
from stroke.domain.errors import InvalidOutcome, OutcomeNotFound, PredictionNotFound
from stroke.domain.outcome import SOURCE_LENGTH, Outcome, OutcomeRecord
from stroke.domain.patient import holds_controls
from stroke.domain.prediction import (
    LARGEST_ID,
    KnownOutcome,
    PredictionFilter,
    PredictionRecord,
)
from stroke.domain.risk import RiskBands, RiskCategory
from stroke.entrypoints.api.access import caller_of, needs, site_of
from stroke.entrypoints.api.auditing import Written, keeping_record, written_down
from stroke.entrypoints.api.erasures import asker_of
from stroke.entrypoints.api.pages.shell import Page, PageRoute, fields_of, html, language_of
from stroke.entrypoints.api.state import api_state
from stroke.entrypoints.ui import charts
from stroke.entrypoints.ui.records import Stored

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_PATH: Final = "/ui/history"
_NAME: Final = "history"
_ROWS: Final = 25
_EXPORTED: Final = 10_000
_COUNTED: Final = 10_000
# A list is not worth waiting for its count.
_COUNTING: Final = 0.5
_PAGE: Final = 1_000
_COLUMNS: Final = (
    *("id", "timestamp", "name", "gender", "age", "hypertension", "heart_disease"),
    *("avg_glucose_level", "bmi", "smoking_status", "country", "province"),
    *("probability", "risk_category", "model_version", "site", "created_by"),
)
_CURSOR: Final = re.compile(r"[0-9a-f]{1,16}")
Typed = Annotated[str, Query(max_length=100)]


class Filters:
    """What the list is narrowed to, as it was typed; what cannot be read narrows nothing."""

    def __init__(  # noqa: PLR0917 - FastAPI passes them by name
        self,
        since: Typed = "",
        until: Typed = "",
        band: Typed = "",
        country: Typed = "",
        province: Typed = "",
        model: Typed = "",
        outcome: Typed = "",
    ) -> None:
        self.typed = {
            "since": since.strip(),
            "until": until.strip(),
            "band": band.strip(),
            "country": country.strip(),
            "province": province.strip(),
            "model": model.strip(),
            "outcome": outcome.strip(),
        }

    @property
    def given(self) -> dict[str, str]:
        """Those that narrow something."""
        return {name: value for name, value in self.typed.items() if value}

    def narrowed(self, page: Page) -> PredictionFilter:
        """Return the filter for the caller of ``page``; days are whole, in UTC.

        A caller who may not see outcomes cannot filter by them.
        """
        until = _day(self.typed["until"])
        band, outcome = self.typed["band"], self.typed["outcome"]
        sees_outcomes = page.may(Scope.OUTCOMES)
        return PredictionFilter(
            since=_midnight(_day(self.typed["since"])),
            # The last day of the calendar has no next one: nothing is later.
            until=None if until in (None, date.max) else _midnight(until + timedelta(days=1)),
            risk_category=band if band in set(RiskCategory) else None,
            country=self.typed["country"] or None,
            province=self.typed["province"] or None,
            model_version=self.typed["model"] or None,
            site=site_of(page.request),
            outcome=KnownOutcome(outcome)
            if sees_outcomes and outcome in set(KnownOutcome)
            else None,
        )


ByFilters = Annotated[Filters, Depends()]


@router.get(_PATH)
@needs(Scope.READ)
@written_down(AuditAction.PREDICTION_LIST)
async def history(
    request: Request, filters: ByFilters, cursor: Typed = "", erased: Typed = ""
) -> Response:
    """A page of saved estimates, newest first."""
    predictions, language = api_state(request).predictions, language_of(request)
    page = Page(request, language, _NAME)
    narrowed = filters.narrowed(page)
    found = await predictions.page(narrowed, limit=_ROWS, before=_place(cursor))
    rows = [Stored(record, language) for record in found.records]
    older = None
    if found.next_before is not None:
        older = urlencode({**filters.given, "cursor": f"{found.next_before:x}"})
    may_see_outcomes = page.may(Scope.OUTCOMES)
    return html(
        request,
        "history.html",
        _NAME,
        rows=rows,
        filters=filters.typed,
        is_narrowed=bool(filters.given),
        query=urlencode(filters.given),
        older=older,
        is_first=not cursor,
        erased=erased if erased.isdecimal() else "",
        bands=predictions.model.bands,
        end=charts.scale_end(row.record.probability for row in rows),
        exported=_EXPORTED,
        may_see_outcomes=may_see_outcomes,
        outcomes=await _outcomes(request, rows) if may_see_outcomes else {},
        total=await predictions.count(narrowed, most=_COUNTED + 1, seconds=_COUNTING),
        most_counted=_COUNTED,
    )


@router.get("/ui/history.csv")
@needs(Scope.READ)
@written_down(AuditAction.DATA_EXPORT)
async def export(request: Request, filters: ByFilters) -> Response:
    """The newest of what the list shows, as a file for spreadsheets: no cell is a formula."""
    narrowed = filters.narrowed(Page(request, language_of(request), _NAME))
    predictions = api_state(request).predictions
    first = await predictions.page(narrowed, limit=_PAGE)

    async def lines() -> AsyncIterator[bytes]:
        # Spreadsheets take a file for UTF-8 by this mark.
        yield "\ufeff".encode() + _line(_COLUMNS)
        page, left = first, _EXPORTED
        while True:
            yield b"".join(
                _line([_cell(getattr(record, name)) for name in _COLUMNS])
                for record in page.records
            )
            left -= len(page.records)
            if page.next_before is None or left <= 0:
                return
            page = await predictions.page(narrowed, limit=min(_PAGE, left), before=page.next_before)

    headers = {"Content-Disposition": 'attachment; filename="estimates.csv"'}
    return StreamingResponse(lines(), 200, headers, "text/csv; charset=utf-8")


@router.get("/ui/history/{prediction_id}")
@needs(Scope.READ)
@written_down(AuditAction.PREDICTION_READ)
async def detail(request: Request, prediction_id: str, saved: Typed = "") -> Response:
    """One saved estimate, as it was saved, and what became of the patient."""
    return await _detail(request, _number(prediction_id), saved=saved)


@router.post("/ui/history/{prediction_id}/outcome")
@needs(Scope.OUTCOMES)
@written_down(AuditAction.OUTCOME_WRITE, changes=True)
async def record_outcome(request: Request, prediction_id: str) -> Response:
    """Keep what became of the patient, or take it back."""
    number, typed = _number(prediction_id), await fields_of(request)
    state, site = api_state(request), site_of(request)
    language = language_of(request)
    wrong: dict[str, str] = {}
    happened, day = typed.get("stroke", ""), _day(typed.get("date", ""))
    if happened == "unknown":
        with suppress(OutcomeNotFound):  # there is none, as was wanted
            await state.outcomes.withdraw(number, site=site)
        return _to_detail(request, number, "withdrawn")
    source = " ".join(typed.get("source", "").split())
    if happened not in ("yes", "no"):
        wrong["stroke"] = language.say("Choose one of these.")
    if day is None:
        wrong["date"] = language.say("Type a day, such as 2026-11-03.")
    if not 0 < len(source) <= SOURCE_LENGTH or holds_controls(source):
        wrong["source"] = language.say("Say where this is known from, without a name.")
    if not wrong and day is not None:
        try:
            outcome = Outcome(number, happened == "yes", day, source)
            await state.outcomes.record(outcome, site=site)
        except InvalidOutcome:
            wrong["date"] = language.say(
                "The day lies in the future, or before the day of the estimate."
            )
        else:
            return _to_detail(request, number, "outcome")
    return await _detail(request, number, typed=typed, wrong=wrong)


@router.post("/ui/history/{prediction_id}/erase")
@needs(Scope.ERASE)
@written_down(AuditAction.PREDICTION_ERASE, changes=True)
async def erase(request: Request, prediction_id: str) -> Response:
    """Erase a saved estimate, once its number was typed."""
    number, typed = _number(prediction_id), await fields_of(request)
    if typed.get("confirmed", "").strip() != str(number):
        said = language_of(request).say("Type %(id)s to confirm.", id=number)
        return await _detail(request, number, wrong={"confirmed": said})
    state, site = api_state(request), site_of(request)
    await state.predictions.find(number, site=site)
    # Whose row it is can be seen while it is there.
    await state.erasures.ask_for_copies(number, of=asker_of(request))
    with suppress(PredictionNotFound):  # a worker was faster
        await state.predictions.erase(number, site=site)
    path = Page(request, language_of(request), "").path(f"{_PATH}?erased={number}")
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)


async def _detail(
    request: Request,
    number: int,
    *,
    saved: str = "",
    typed: Mapping[str, str] | None = None,
    wrong: Mapping[str, str] | None = None,
) -> Response:
    state, language = api_state(request), language_of(request)
    record = await state.predictions.find(number, site=site_of(request))
    page = Page(request, language, _NAME)
    outcome = await _outcome(request, number) if page.may(Scope.OUTCOMES) else None
    model = state.predictions.model
    # Nobody knows here the units of a model that is not served any more.
    further = model.further if record.model_version == model.version else ()
    stored = Stored(record, language, further)
    return html(
        request,
        "detail.html",
        _NAME,
        code=422 if wrong else 200,
        stored=stored,
        bands=_bands(request, record),
        end=charts.scale_end([record.probability, stored.interval_high]),
        outcome=outcome,
        outcome_typed=_as_typed(outcome, typed),
        wrong=wrong or {},
        said={
            "outcome": language.say("The outcome is saved."),
            "withdrawn": language.say("The outcome is not known any more."),
        }.get(saved, ""),
        may_keep_outcomes=page.may(Scope.OUTCOMES),
        may_erase=page.may(Scope.ERASE),
        today=datetime.now(UTC).date().isoformat(),
    )


async def _outcome(request: Request, number: int) -> OutcomeRecord | None:
    """Return the outcome, if there is one."""
    found = None

    async def look(_: Request) -> Response:
        nonlocal found
        found = await api_state(request).outcomes.find(number, site=site_of(request))
        return Response()

    with suppress(OutcomeNotFound):
        await _written_down(request, look)
    return found


async def _outcomes(request: Request, rows: Sequence[Stored]) -> dict[int, OutcomeRecord]:
    """Return the outcomes of the rows of a list, by the number of the row."""
    found: dict[int, OutcomeRecord] = {}

    async def look(_: Request) -> Response:
        found.update(await api_state(request).outcomes.of([row.record.id for row in rows]))
        return Response()

    if rows:
        await _written_down(request, look)
    return found


async def _written_down(request: Request, look: Callable[[Request], Awaitable[Response]]) -> None:
    """Look at outcomes: an entry of the trail of its own, beside the one of the page."""
    caller = caller_of(request)
    if caller is ANYBODY:
        await look(request)
    else:
        written = Written(AuditAction.OUTCOME_READ, changes=False)
        await keeping_record(api_state(request).audit, caller, written, request, look)


def _as_typed(outcome: OutcomeRecord | None, typed: Mapping[str, str] | None) -> dict[str, str]:
    if typed is not None:
        return {name: typed.get(name, "") for name in ("stroke", "date", "source")}
    if outcome is None:
        return {"stroke": "unknown", "date": "", "source": ""}
    return {
        "stroke": "yes" if outcome.stroke else "no",
        "date": outcome.date.isoformat(),
        "source": outcome.source,
    }


def _bands(request: Request, record: PredictionRecord) -> RiskBands | None:
    """Return the bands of the model that made the estimate; None where it is not served."""
    model = api_state(request).predictions.model
    return model.bands if record.model_version == model.version else None


def _to_detail(request: Request, number: int, saved: str) -> Response:
    path = Page(request, language_of(request), "").path(f"{_PATH}/{number}?saved={saved}")
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)


def _number(text: str) -> int:
    """Return the number in an address. Raises ``PredictionNotFound`` for none that can be."""
    if text.isascii() and text.isdecimal() and 0 < len(text) < 20:  # noqa: PLR2004
        number = int(text)
        if 1 <= number <= LARGEST_ID:
            return number
    raise PredictionNotFound(0)


def _place(cursor: str) -> int | None:
    return min(int(cursor, 16), LARGEST_ID) if _CURSOR.fullmatch(cursor) else None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == len("2026-11-29") else None
    except ValueError:
        return None


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time.min, UTC)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    return neutral(value) if isinstance(value, str) else str(value)


def _line(cells: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().encode("utf-8", "replace")
