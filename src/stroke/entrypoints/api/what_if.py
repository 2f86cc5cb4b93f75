"""The route that asks what the risk would be with other values; nothing is stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from stroke.domain.access import Scope
from stroke.domain.comparison import UNCHANGEABLE
from stroke.domain.errors import InvalidPatient, OutsideSupport
from stroke.domain.patient import Patient
from stroke.domain.risk import RiskAssessment
from stroke.domain.what_if import CHANGEABLE, NOTE
from stroke.entrypoints.api.access import DirectRoute, needs
from stroke.entrypoints.api.body import parse, read_body
from stroke.entrypoints.api.openapi import json_body, problems
from stroke.entrypoints.api.rendering import json_response
from stroke.entrypoints.api.schemas.patients import PatientIn, WhatIfIn, what_if_wire_of
from stroke.entrypoints.api.schemas.predictions import WhatIfOut
from stroke.entrypoints.api.state import api_state
from stroke.entrypoints.api.violations import (
    FieldProblem,
    InvalidRequest,
    OutsideRequest,
    of_domain,
    of_support,
)

router = APIRouter(tags=["predictions"], route_class=DirectRoute)

_UNKNOWN: Final = "must be of " + ", ".join(CHANGEABLE)


@router.post(
    "/api/v1/what-if",
    response_model=WhatIfOut,
    responses=problems(400, 413, 415, 422, 503),
    openapi_extra=json_body(WhatIfIn),
    summary="Assess one patient as they are and with other values; nothing is stored",
)
@needs(Scope.PREDICT)
async def what_if(request: Request) -> Response:
    """Age and gender cannot be changed. An association is not an effect: see `note`."""
    state = api_state(request)
    async with state.admission.one(request) as slot:
        body = await read_body(request, slot, most_bytes=state.most_patient_bytes)
        deployed = state.predictions.deployed
        wire = what_if_wire_of(deployed.may_be_missing, deployed.champion.description.further)
        asked = _parse(wire, body)
        before = _patient(asked.patient)
        changes = asked.changes.model_dump(exclude_unset=True)
        after = replace(before, **changes)
        try:
            found = state.predictions.what_if(
                before, after, refuse_outside=state.refuse_outside, deployed=deployed
            )
        except OutsideSupport as error:
            place, support = error.found[0]
            within = changes if place else ()
            raise OutsideRequest(
                of_support(support, lambda name: "/changes" if name in within else "/patient")
            ) from None
    return json_response(
        {
            "before": _assessed(found.before),
            "after": _assessed(found.after),
            "difference": found.after.probability - found.before.probability,
            "differences": found.differences,
            "model_version": deployed.champion.description.version,
            "note": NOTE,
        }
    )


def _parse(wire: type[WhatIfIn], body: bytes) -> WhatIfIn:
    """Return what was asked. Raises ``InvalidRequest``, which repeats no name of a client's."""
    try:
        return parse(wire, body)
    except InvalidRequest as error:
        raise InvalidRequest(map(_without_names, error.problems)) from None


def _without_names(problem: FieldProblem) -> FieldProblem:
    if problem.code != "extra_forbidden":
        return problem
    unchangeable = (problem.pointer or "").removeprefix("/changes/") in UNCHANGEABLE
    return FieldProblem(
        pointer=problem.pointer if unchangeable else "/changes",
        detail="must not be changed" if unchangeable else _UNKNOWN,
        code="unchangeable",
    )


def _patient(wire: PatientIn) -> Patient:
    try:
        return wire.to_domain()
    except InvalidPatient as error:
        raise InvalidRequest(of_domain(error.violations, "/patient")) from None


def _assessed(assessment: RiskAssessment) -> dict[str, Any]:
    """Return ``AssessedOut`` as a dict."""
    return {
        "probability": assessment.probability,
        "risk_category": assessment.category,
        "model_variant": assessment.variant,
        "baseline_log_odds": assessment.baseline_log_odds,
        **assessment.context_data(),
    }
