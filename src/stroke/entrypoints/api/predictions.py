"""Routes that predict: one patient, or a batch of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.types import Receive, Scope, Send

from stroke.application.predictions.stored_predictions import StoredPrediction
from stroke.domain import access
from stroke.domain.errors import InvalidPatient, OutsideSupport
from stroke.domain.patient import Patient
from stroke.entrypoints.api.access import DirectRoute, needs, origin_of
from stroke.entrypoints.api.admission import Budget
from stroke.entrypoints.api.body import parse, read_body
from stroke.entrypoints.api.idempotency_key import KEY_PARAMETER, idempotency_key
from stroke.entrypoints.api.openapi import json_body, problems
from stroke.entrypoints.api.rendering import json_response, rendered
from stroke.entrypoints.api.schemas.fields import BATCH_SIZE
from stroke.entrypoints.api.schemas.patients import BatchIn, PatientIn, wire_of
from stroke.entrypoints.api.schemas.predictions import BatchOut, PredictionOut
from stroke.entrypoints.api.state import api_state
from stroke.entrypoints.api.violations import (
    MOST_PROBLEMS,
    FieldProblem,
    InvalidRequest,
    OutsideRequest,
    of_body,
    of_domain,
    of_support,
)

# A patient is one object; text may have brackets. It has a dozen commas, text may have more.
_MOST_CONTAINERS: Final = 2 * BATCH_SIZE + 100
_MOST_VALUES: Final = 40 * BATCH_SIZE
# What is written at once of a long answer.
_PART: Final = 256 * 1024


router = APIRouter(tags=["predictions"], route_class=DirectRoute)

_KEY_PARAMETER: Final = {
    **KEY_PARAMETER,
    "description": "Makes a retry safe: a request with the same key is stored only once. "
    "The key belongs to the whole request. 409 `urn:stroke:problem:idempotency-key-reused` means "
    "that it belongs to another request; 409 `urn:stroke:problem:not-replayable` means that it "
    "belongs to a stored row that lacks its risk or explanation (an imported one, for example), or "
    "to a batch of which a prediction was erased. Use another key then. A key is new again after "
    "`STROKE_IDEMPOTENCY_HOURS` hours (24 by default).",
}


_PREDICTS: Final[dict[str, Any]] = {
    "response_model": PredictionOut,
    "responses": problems(400, 409, 413, 415, 422, 503),
    "openapi_extra": {**json_body(PatientIn), "parameters": [_KEY_PARAMETER]},
}


_ONE, _ONE_OLDER = "/api/v1/predict", "/predict"
PATHS_OF_ONE_PATIENT: Final = frozenset({_ONE, _ONE_OLDER})


@router.post(_ONE, summary="Assess one patient and store the prediction", **_PREDICTS)
@router.post(
    _ONE_OLDER,
    summary="Assess one patient and store the prediction (the older address)",
    **_PREDICTS,
)
@needs(access.Scope.PREDICT)
async def predict(request: Request) -> Response:
    """The answer comes after the commit, never before."""
    state = api_state(request)
    key = idempotency_key(request)
    async with state.admission.one(request) as slot:
        body = await read_body(request, slot, most_bytes=state.most_patient_bytes)
        deployed = state.predictions.deployed
        wire = wire_of(deployed.may_be_missing, deployed.champion.description.further)[0]
        patient = parse(wire, body).to_domain()
        try:
            stored = await state.predictions.predict(
                patient,
                idempotency_key=key,
                origin=origin_of(request),
                refuse_outside=state.refuse_outside,
                deployed=deployed,
            )
        except OutsideSupport as error:
            raise OutsideRequest(of_support(error.found[0][1], lambda _: "")) from None
    # A ready response: FastAPI would validate and render what is known to fit.
    return json_response(_answer(stored))


@router.post(
    "/api/v1/predictions:batch",
    response_model=BatchOut,
    responses=problems(400, 409, 413, 415, 422, 503),
    openapi_extra={**json_body(BatchIn), "parameters": [_KEY_PARAMETER]},
    summary="Assess up to 10,000 patients; all predictions are stored, or none",
)
@needs(access.Scope.PREDICT)
async def predict_batch(request: Request) -> Response:
    """One transaction for all. The predictions have the order of the patients."""
    state = api_state(request)
    key = idempotency_key(request)
    admission = state.admission
    async with admission.batch(request) as slot:
        body = await read_body(request, slot, most_bytes=state.most_bytes)
        # Ten thousand rows take a while: other requests are served between them.
        deployed = state.predictions.deployed
        wire = wire_of(deployed.may_be_missing, deployed.champion.description.further)[0]
        patients = await asyncio.to_thread(_parse_batch, wire, body)
        del body
        try:
            stored = await state.predictions.predict_many(
                patients,
                idempotency_key=key,
                origin=origin_of(request),
                refuse_outside=state.refuse_outside,
                deployed=deployed,
            )
        except OutsideSupport as error:
            raise _outside(error) from None
        del patients
        answer = await asyncio.to_thread(_render_batch, stored)
    return InParts(answer, admission.batch_bytes)


def _outside(error: OutsideSupport) -> OutsideRequest:
    return OutsideRequest(
        problem
        for place, support in error.found[:MOST_PROBLEMS]
        for problem in of_support(support, lambda _, at=place: f"/patients/{at}")  # type: ignore[misc]
    )


class InParts(Response):
    """A long answer that waits for its client to read, part by part, and counts until then."""

    media_type = "application/json"

    def __init__(
        self, content: bytes, budget: Budget, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(content, headers=headers)
        self._budget = budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send it."""
        size = len(self.body)
        self._budget.hold_anyway(size)
        try:
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            for begin in range(0, size, _PART):
                part = bytes(self.body[begin : begin + _PART])
                more = begin + _PART < size
                await send({"type": "http.response.body", "body": part, "more_body": more})
        finally:
            self._budget.release(size)


class _Envelope(BaseModel):
    """A batch whose rows are not looked at yet: ``BatchIn`` would keep the thread to itself."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    patients: Annotated[list[Any], Field(min_length=1, max_length=BATCH_SIZE)]


def _names_in(batch: _Envelope) -> int:
    return 1 + sum(len(row) for row in batch.patients if isinstance(row, dict))


def _check_values(body: bytes) -> None:
    """Refuse a body with more values than the largest batch has, before they are made.

    Eight megabytes of ``[],`` would become 400 MiB, and more where a field is checked.
    """
    containers = body.count(b"{") + body.count(b"[")
    if containers > _MOST_CONTAINERS or body.count(b",") > _MOST_VALUES:
        detail = f"must have at most {BATCH_SIZE} items, and no other arrays and objects"
        raise InvalidRequest([FieldProblem(pointer="/patients", detail=detail, code="too_long")])


def _parse_batch(wire: type[PatientIn], body: bytes) -> list[Patient]:
    _check_values(body)
    patients: list[Patient] = []
    wrong: list[FieldProblem] = []
    for index, row in enumerate(parse(_Envelope, body, _names_in).patients):
        within = f"/patients/{index}"
        try:
            patients.append(wire.model_validate(row).to_domain())
        except ValidationError as error:
            wrong += of_body(error.errors(include_url=False, include_input=False), within)
        except InvalidPatient as error:
            wrong += of_domain(error.violations, within)
        if len(wrong) >= MOST_PROBLEMS:
            break
    if wrong:
        raise InvalidRequest(wrong)
    return patients


def _render_batch(stored: list[StoredPrediction]) -> bytes:
    return rendered({"predictions": [_answer(each) for each in stored]})


def _answer(stored: StoredPrediction) -> dict[str, Any]:
    """Return ``PredictionOut`` as a dict, which orjson renders in a tenth of the time."""
    assessment = stored.assessment
    answer = {
        "probability": assessment.probability,
        "risk_category": assessment.category,
        "contributing_factors": assessment.factors,
        "prediction_id": stored.id,
        "explanation": [
            {
                "feature": c.feature,
                "value": c.value,
                "log_odds": c.log_odds,
                "direction": c.direction,
            }
            for c in assessment.contributions
        ],
        "model_version": stored.model_version,
        **assessment.context_data(),
    }
    if assessment.missing:
        answer["missing"] = assessment.missing
        answer["model_variant"] = assessment.variant
        if assessment.accuracy is not None:
            answer["accuracy"] = assessment.accuracy
    return answer
