"""FHIR R4, read-only: assessments of charts, and the model that made them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from stroke import __version__
from stroke.domain.access import Scope
from stroke.domain.audit import AuditAction
from stroke.domain.clinical.kept import AssessmentFilter
from stroke.domain.clinical.times import instant
from stroke.domain.errors import AssessmentErased, AssessmentNotFound
from stroke.domain.moments import LAST
from stroke.domain.prediction import LARGEST_ID
from stroke.entrypoints.api.access import (
    GuardedRoute,
    for_everybody,
    needs,
    site_of,
)
from stroke.entrypoints.api.auditing import written_down
from stroke.entrypoints.api.charts import named_patient
from stroke.entrypoints.api.fhir_format import base_of, fhir_answer
from stroke.entrypoints.api.fhir_resources import (
    ONLY_VERSION,
    capability,
    device,
    device_id,
    former_device,
    risk_assessment,
    searchset,
)
from stroke.entrypoints.api.state import api_state
from stroke.entrypoints.api.violations import of_parameter

router = APIRouter(route_class=GuardedRoute, include_in_schema=False)

_KNOWN: Final = {"_id", "patient", "subject", "date", "_count", "_cursor"} | {
    "_format",
    "_pretty",
    "_total",
}
_MOST: Final = 1000
_MOST_IDS: Final = 50
_PREFIXED: Final = re.compile(r"(eq|ge|gt|le|lt|sa|eb)?(\d{4}.*)")
_CURSOR: Final = re.compile(r"[0-9a-f]{1,16}")
_ZONE: Final = re.compile(r"\s*(Z|z|[+-]\d\d:?\d\d)$")
# How long a time lasts that is written with so many characters: a month has its own length.
_LENGTHS: Final = {10: timedelta(days=1), 16: timedelta(minutes=1)}


@router.get("/fhir/metadata")
@for_everybody
async def metadata(request: Request) -> Response:
    """What the FHIR side can do."""
    return fhir_answer(capability(__version__, base_of(request), datetime.now(UTC)))


@router.get("/fhir/Device/{version}")
@needs(Scope.READ)
async def read_device(request: Request, version: str) -> Response:
    """The served model, or a former one that assessments refer to."""
    state = api_state(request)
    served = state.predictions.model
    if version == device_id(served.version):
        return fhir_answer(device(served))
    for former in await state.hospital.models():
        if version == device_id(former):
            return fhir_answer(former_device(former))
    raise HTTPException(404)


@router.get("/fhir/RiskAssessment/{assessment_id}")
@needs(Scope.READ)
@written_down(AuditAction.PREDICTION_READ)
async def read(request: Request, assessment_id: str) -> Response:
    """One assessment; one that was erased is gone."""
    assessed = await api_state(request).hospital.find(assessment_id, site=site_of(request))
    return fhir_answer(risk_assessment(assessed, stored_here=True))


@router.get("/fhir/RiskAssessment/{assessment_id}/_history/{version}")
@needs(Scope.READ)
@written_down(AuditAction.PREDICTION_READ)
async def read_version(request: Request, assessment_id: str, version: str) -> Response:
    """One version of an assessment: clients ask for it where a resource names its version."""
    if version != ONLY_VERSION:
        raise AssessmentNotFound
    assessed = await api_state(request).hospital.find(assessment_id, site=site_of(request))
    return fhir_answer(risk_assessment(assessed, stored_here=True))


@router.get("/fhir/RiskAssessment")
@needs(Scope.READ)
@written_down(AuditAction.PREDICTION_LIST)
async def search(  # noqa: PLR0917 -- FastAPI passes them by name
    request: Request,
    patient: str | None = None,
    subject: str | None = None,
    date: Annotated[list[str] | None, Query()] = None,
    own: Annotated[str | None, Query(alias="_id")] = None,
    count: Annotated[int, Query(alias="_count", ge=1)] = 50,
    cursor: Annotated[str | None, Query(alias="_cursor")] = None,
) -> Response:
    """Newest first. A parameter that is not known is refused: it would narrow nothing.

    So is one without a value, and one that stands there twice: the rows would be of others, too.
    """
    _check(request.query_params)
    hospital, base = api_state(request).hospital, base_of(request)
    who = subject if patient is None else patient
    since, until = _between(date or ())
    narrowed = AssessmentFilter(
        None if who is None else named_patient(who),
        since,
        until,
        site_of(request),
    )
    assessed, following = [], None
    if own is not None:
        for each in _ids(own):
            try:
                named = await hospital.find(each, site=site_of(request))
            except (AssessmentNotFound, AssessmentErased):
                continue
            if narrowed.subject in (None, named.kept.subject):
                assessed.append(named)
    else:
        before = None if cursor is None else _place(cursor)
        assessed, following = await hospital.search(
            narrowed, limit=min(count, _MOST), before=before
        )
    asked = [
        (name, value) for name, value in request.query_params.multi_items() if name != "_cursor"
    ]
    here = _url(base, request.query_params.multi_items())
    after = None if following is None else _url(base, [*asked, ("_cursor", f"{following:x}")])
    resources = (risk_assessment(each, stored_here=True) for each in assessed)
    return fhir_answer(searchset(base, here, after, resources))


def _url(base: str, parameters: Sequence[tuple[str, str]]) -> str:
    asked = f"?{urlencode(parameters)}" if parameters else ""
    return f"{base}/RiskAssessment{asked}"


def _check(parameters: QueryParams) -> None:
    """Raise ``InvalidRequest`` for parameters of a search that are not known, or not clear."""
    for name in parameters:
        if name not in _KNOWN:
            raise of_parameter(name, "is no search parameter here", "unknown")
        if name != "date" and len(parameters.getlist(name)) > 1:
            raise of_parameter(name, "must be given once", "repeated")
    if "patient" in parameters and "subject" in parameters:
        raise of_parameter("subject", "must be left out where patient is given", "repeated")


def _ids(listed: str) -> list[str]:
    """Return the ids of a search, each once. Raises ``InvalidRequest`` for too many."""
    found = list(dict.fromkeys(listed.split(",")))
    if len(found) > _MOST_IDS:
        raise of_parameter("_id", f"must be at most {_MOST_IDS} ids", "invalid")
    return found


def _place(cursor: str) -> int:
    """Return before which prediction a page begins. Raises ``InvalidRequest``."""
    if not _CURSOR.fullmatch(cursor) or int(cursor, 16) > LARGEST_ID:
        raise of_parameter("_cursor", "is no cursor", "invalid")
    return int(cursor, 16)


def _between(dates: Sequence[str]) -> tuple[datetime | None, datetime | None]:
    """Return since when, and until before when, a search's dates narrow it."""
    since: datetime | None = None
    until: datetime | None = None
    for text in dates:
        match = _PREFIXED.fullmatch(text.strip().replace(" ", "+"))  # a + is a blank in a URL
        start = instant(match[2]) if match else None
        if match is None or start is None:
            raise of_parameter(
                "date", "must be a date or time of FHIR, perhaps with ge or lt", "invalid"
            )
        prefix, end = match[1] or "eq", _end(match[2], start)
        if prefix in ("eq", "ge", "gt", "sa"):
            first = start if prefix in ("eq", "ge") else end
            since = first if since is None else max(since, first)
        if prefix in ("eq", "le", "lt", "eb"):
            last = end if prefix in ("eq", "le") else start
            until = last if until is None else min(until, last)
    return since, until


def _end(text: str, start: datetime) -> datetime:
    """Return when the time that ``text`` writes is over: a year, a day, a thousandth of a second.

    The last one that there is is over at the last instant.
    """
    written = _ZONE.sub("", text) if "T" in text else text
    try:
        if len(written) == 4:  # noqa: PLR2004 -- a year
            return start.replace(year=start.year + 1)
        if len(written) == 7:  # noqa: PLR2004 -- a month
            return (start + timedelta(days=31)).replace(day=1)
        digits = len(written.partition(".")[2])
        return start + _LENGTHS.get(len(written), timedelta(microseconds=10 ** max(6 - digits, 0)))
    except (ValueError, OverflowError):
        return LAST
