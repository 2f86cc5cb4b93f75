"""FHIR R4, read-only: assessments of charts, and the model that made them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from starlette.exceptions import HTTPException

from stroke import __version__
from stroke.application.clinical.hospital import AssessedChart, HospitalService
from stroke.domain.access import Scope
from stroke.domain.audit import AuditAction
from stroke.domain.errors import AssessmentNotFound
from stroke.entrypoints.api.access import (
    GuardedRoute,
    for_everybody,
    needs,
    site_of,
)
from stroke.entrypoints.api.auditing import written_down
from stroke.entrypoints.api.charts import read_form
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
from stroke.entrypoints.api.fhir_search import CURSOR, Search, is_lenient, search_of
from stroke.entrypoints.api.state import api_state

router = APIRouter(route_class=GuardedRoute, include_in_schema=False)


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
async def search(
    request: Request,
    # Declared for the audit trail, which writes down what a search was narrowed by.
    _patient: Annotated[str | None, Query(alias="patient")] = None,
    _subject: Annotated[str | None, Query(alias="subject")] = None,
    _date: Annotated[str | None, Query(alias="date")] = None,
    _own: Annotated[str | None, Query(alias="_id")] = None,
    _count: Annotated[str | None, Query(alias="_count")] = None,
    _cursor: Annotated[str | None, Query(alias="_cursor")] = None,
) -> Response:
    """Newest first. A parameter that is not known is refused: it would narrow nothing.

    So is one without a value, and one that stands there twice: the rows would be of others, too.
    """
    return await _searched(request, request.query_params.multi_items())


@router.post("/fhir/RiskAssessment/_search")
@needs(Scope.READ)
@written_down(AuditAction.PREDICTION_LIST)
async def search_by_form(request: Request) -> Response:
    """The same as a GET, with parameters in a form: no proxy writes a patient's id into its log."""
    form = await read_form(request)
    return await _searched(request, [*request.query_params.multi_items(), *form])


async def _searched(request: Request, parameters: Sequence[tuple[str, str]]) -> Response:
    base, hospital = base_of(request), api_state(request).hospital
    lenient = is_lenient(request.headers.getlist("prefer"))
    asked = search_of(parameters, site=site_of(request), lenient=lenient)
    total = await hospital.count(asked.narrowed) if asked.counts else None
    assessed, following = await _page(hospital, asked) if asked.limit else ([], None)
    others = [(name, value) for name, value in asked.taken if name != CURSOR]
    after = None if following is None else _url(base, [*others, (CURSOR, f"{following:x}")])
    resources = (risk_assessment(each, stored_here=True) for each in assessed)
    return fhir_answer(searchset(base, _url(base, asked.taken), after, resources, total))


async def _page(hospital: HospitalService, asked: Search) -> tuple[list[AssessedChart], int | None]:
    """Return a page of a search, and the cursor of the next one; ids keep their order."""
    if not asked.ids:
        return await hospital.search(asked.narrowed, limit=asked.limit, before=asked.cursor)
    found, _ = await hospital.search(asked.narrowed, limit=len(asked.ids))
    by_id = {each.kept.id: each for each in found}
    places = range(asked.cursor or 0, len(asked.ids))
    left = [place for place in places if asked.ids[place] in by_id]
    page = left[: asked.limit]
    following = page[-1] + 1 if len(left) > len(page) else None
    return [by_id[asked.ids[place]] for place in page], following


def _url(base: str, parameters: Sequence[tuple[str, str]]) -> str:
    asked = f"?{urlencode(parameters)}" if parameters else ""
    return f"{base}/RiskAssessment{asked}"
