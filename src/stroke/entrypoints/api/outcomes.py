"""Routes over the outcome of a stored prediction: record, read, take back."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response

from stroke.domain.access import Scope
from stroke.domain.audit import AuditAction
from stroke.entrypoints.api.access import GuardedRoute, needs, site_of
from stroke.entrypoints.api.auditing import written_down
from stroke.entrypoints.api.body import parse, read_body
from stroke.entrypoints.api.openapi import json_body, problems
from stroke.entrypoints.api.records import PredictionId
from stroke.entrypoints.api.rendering import json_response
from stroke.entrypoints.api.schemas.outcomes import OutcomeIn, OutcomeOut
from stroke.entrypoints.api.state import api_state

router = APIRouter(tags=["outcomes"], route_class=GuardedRoute)

_PATH = "/api/v1/predictions/{prediction_id}/outcome"
_CREATED: dict[int | str, dict[str, Any]] = {
    201: {"model": OutcomeOut, "description": "The prediction had no outcome before"}
}


@router.put(
    _PATH,
    response_model=OutcomeOut,
    responses=_CREATED | problems(400, 404, 413, 415, 422, 503),
    openapi_extra=json_body(OutcomeIn),
    summary="Record the outcome of a prediction",
)
@needs(Scope.OUTCOMES)
@written_down(AuditAction.OUTCOME_WRITE, changes=True)
async def record(request: Request, prediction_id: PredictionId) -> Response:
    """Safe to repeat: the same outcome changes nothing, a different one replaces it."""
    state = api_state(request)
    async with state.admission.one(request) as slot:
        body = await read_body(request, slot, most_bytes=state.most_patient_bytes)
        outcome = parse(OutcomeIn, body).to_domain(prediction_id)
        stored, new = await state.outcomes.record(outcome, site=site_of(request))
    return json_response(stored, HTTPStatus.CREATED if new else HTTPStatus.OK)


@router.get(
    _PATH,
    response_model=OutcomeOut,
    responses=problems(404, 422, 503),
    summary="Read the outcome of a prediction",
)
@needs(Scope.OUTCOMES)
@written_down(AuditAction.OUTCOME_READ)
async def find(request: Request, prediction_id: PredictionId) -> Response:
    """The outcome that was recorded last."""
    return json_response(
        await api_state(request).outcomes.find(prediction_id, site=site_of(request))
    )


@router.delete(
    _PATH,
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems(404, 422, 503),
    summary="Delete a mistaken outcome",
)
@needs(Scope.OUTCOMES)
@written_down(AuditAction.OUTCOME_ERASE, changes=True)
async def withdraw(request: Request, prediction_id: PredictionId) -> Response:
    """The prediction stays. Erasing the prediction erases its outcome too."""
    await api_state(request).outcomes.withdraw(prediction_id, site=site_of(request))
    return Response(status_code=HTTPStatus.NO_CONTENT)
