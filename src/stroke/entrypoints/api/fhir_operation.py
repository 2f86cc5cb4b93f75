"""FHIR's operation $stroke-risk: a Bundle in, its patient's RiskAssessment out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from fastapi import APIRouter, Request, Response

from stroke.application.clinical.hospital import Call
from stroke.domain.access import Scope
from stroke.domain.clinical.chart import chart_of_bundle
from stroke.entrypoints.api.access import DirectRoute, GuardedRoute, for_everybody, needs, origin_of
from stroke.entrypoints.api.charts import (
    named_patient,
    not_sent,
    patient_id_of,
    read_document,
    wrong,
)
from stroke.entrypoints.api.fhir_format import base_of, fhir_answer
from stroke.entrypoints.api.fhir_resources import OPERATION, operation_definition, risk_assessment
from stroke.entrypoints.api.problems import problem_response
from stroke.entrypoints.api.state import api_state
from stroke.entrypoints.api.violations import of_parameter

router = APIRouter(route_class=GuardedRoute, include_in_schema=False)
operation = APIRouter(route_class=DirectRoute, include_in_schema=False)

_CHOICES: Final = ("patient", "conditions")


@router.get(f"/fhir/OperationDefinition/{OPERATION}")
@for_everybody
async def definition(request: Request) -> Response:
    """What goes into the operation, and what comes out of it."""
    return fhir_answer(operation_definition(base_of(request)))


@operation.post(f"/fhir/${OPERATION}")
@needs(Scope.PREDICT)
async def stroke_risk(request: Request) -> Response:
    """For clients without CDS Hooks.

    The Bundle comes as it is, or as the only resource of a Parameters, as FHIR's clients send it.
    ``patient`` chooses one of several patients; ``conditions=none`` says that a bundle without
    any Condition is one of a patient who has none. Both stand in the URL or in the Parameters.
    """
    asked = _asked(await read_document(request), request)
    who, known = asked.choices.get("patient"), asked.choices.get("conditions")
    if known not in (None, "none"):
        raise of_parameter("conditions", "must be none, or be left out", "invalid")
    chosen = None if who is None else named_patient(who)
    chart = await asyncio.to_thread(
        chart_of_bundle, asked.bundle, chosen, conditions_known=known is not None
    )
    patient_id_of(chart.identity.patient_id, "/entry")
    call = Call(None, None, card=False)
    viewed = await api_state(request).hospital.view(chart, call, origin_of(request))
    if viewed.mapped.not_sent or viewed.mapped.incomplete:
        return not_sent(viewed)
    if viewed.assessed is None:
        return problem_response(
            422, "The patient was not assessed", name="not-assessed", detail=viewed.why_not
        )
    return fhir_answer(risk_assessment(viewed.assessed, stored_here=True))


class _Asked(NamedTuple):
    bundle: Any
    choices: Mapping[str, str]


def _asked(document: Mapping[str, Any], request: Request) -> _Asked:
    """Return what an operation is asked for by its URL and its body.

    Raises ``InvalidRequest`` where a body holds not one resource, or something stands there twice.
    """
    given = [(name, request.query_params.getlist(name)) for name in _CHOICES]
    resource: Any = document
    if document.get("resourceType") == "Parameters":
        listed = document.get("parameter")
        parameters = [
            each
            for each in (listed if isinstance(listed, list) else ())
            if isinstance(each, Mapping)
        ]
        resources = [each["resource"] for each in parameters if "resource" in each]
        if len(resources) != 1:
            raise wrong("/parameter", "must hold one resource: a Bundle")
        [resource] = resources
        given += [(name, _values(parameters, name)) for name in _CHOICES]
    choices: dict[str, str] = {}
    for name, values in given:
        for value in values:
            if name in choices:
                raise of_parameter(name, "must be given once", "repeated")
            choices[name] = value
    return _Asked(resource, choices)


def _values(parameters: list[Mapping[str, Any]], name: str) -> list[str]:
    """Return the values of a parameter: a text of any kind, or a reference."""
    found = []
    for each in parameters:
        if each.get("name") != name:
            continue
        values = [value for field, value in each.items() if field.startswith("value")]
        value = values[0] if len(values) == 1 else None
        if isinstance(value, Mapping):
            value = value.get("reference")
        if not isinstance(value, str):
            raise wrong("/parameter", f"must hold a text or a reference as {name}")
        found.append(value)
    return found
