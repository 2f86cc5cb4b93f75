"""The Open Inference Protocol V2: the served model for programs that know only tensors.

See docs/decisions/0099-open-inference-protocol.md, and 0120 for what OpenAPI says of it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from stroke import __version__
from stroke.application.predictions.deployed import Deployed
from stroke.domain import access
from stroke.domain.errors import OutsideSupport
from stroke.domain.patient import Patient
from stroke.domain.risk import ModelDescription, RiskAssessment
from stroke.entrypoints.api import service
from stroke.entrypoints.api.access import DirectRoute, for_everybody, needs, origin_of
from stroke.entrypoints.api.body import read_body
from stroke.entrypoints.api.idempotency_key import KEY_PARAMETER, idempotency_key
from stroke.entrypoints.api.inference_tensors import (
    BYTES,
    FP64,
    INT64,
    SHORTEST_ROW,
    TEXTS,
    InferIn,
    Output,
    RequestedIn,
    datatypes_of,
    read_patients,
    read_request,
    refuse_parameters,
    render,
    wrong,
)
from stroke.entrypoints.api.openapi import json_body, problems
from stroke.entrypoints.api.predictions import InParts
from stroke.entrypoints.api.rendering import json_response
from stroke.entrypoints.api.schemas.inference import (
    InferOut,
    LiveOut,
    ModelMetadataOut,
    ModelReadyOut,
    ServerOut,
    ServerReadyOut,
)
from stroke.entrypoints.api.state import api_state
from stroke.entrypoints.api.violations import MOST_PROBLEMS, OutsideRequest, of_support

router = APIRouter(tags=["inference"], route_class=DirectRoute)

BASE: Final = "/v2"
LENGTH_HEADER: Final = "Inference-Header-Content-Length"
_MODEL: Final = f"{BASE}/models/{{model_name}}"
_VERSION: Final = f"{_MODEL}/versions/{{model_version}}"
_LENGTH: Final = LENGTH_HEADER.lower().encode()
# The protocol's clients send no media type, or that of bytes.
_UNNAMED: Final = b""
_BYTES_TYPE: Final = "application/octet-stream"
_KINDS: Final = (b"application/json", _BYTES_TYPE.encode(), _UNNAMED)
# An error is one text for people: a hundred problems would hide the first.
_MOST_SAID: Final = 10

_TEXT: Final = {"type": "string", "minLength": 1}
_LENGTH_HEADER: Final = {
    "name": LENGTH_HEADER,
    "in": "header",
    "required": False,
    "description": "The length of the body's JSON in bytes, where binary data follow it.",
    "schema": {"type": "integer", "minimum": 0},
}
_KEY: Final = {
    **KEY_PARAMETER,
    "description": "Makes a retry safe where rows are stored, as on `/api/v1/predictions:batch`.",
}
_NOT_SERVED: Final = {404: "No such model, or no such version of it, is served"}
_MEANINGS: Final = {
    **_NOT_SERVED,
    400: "The body is not JSON, or its JSON is not as long as the header says",
    415: "The body is neither JSON nor JSON with binary data, or is not named and to be stored",
    422: "The request is not valid: the error names the first ten wrong places",
}
_BINARY: Final = {"type": "string", "format": "binary"}
_MODEL_PARAMETER: Final = {"name": "model_name", "in": "path", "required": True, "schema": _TEXT}
_VERSION_PARAMETER: Final = {**_MODEL_PARAMETER, "name": "model_version"}
_SCORES: Final[dict[str, Any]] = {
    "response_model": InferOut,
    "responses": {
        200: {
            "content": {_BYTES_TYPE: {"schema": _BINARY}},
            "headers": {
                LENGTH_HEADER: {
                    "description": "the length of the JSON, where binary data follow it",
                    "schema": {"type": "integer"},
                }
            },
        },
        **problems(400, 404, 409, 413, 415, 422, 503, meanings=_MEANINGS),
    },
}


def _of_model(*parameters: Mapping[str, Any], version: bool, body: bool = False) -> dict[str, Any]:
    """Return the members of an operation on a model, or on one of its versions."""
    named = [_MODEL_PARAMETER, *([_VERSION_PARAMETER] if version else [])]
    members: dict[str, Any] = {"parameters": [*named, *parameters]}
    if body:
        members |= json_body(InferIn)
        members["requestBody"]["content"][_BYTES_TYPE] = {"schema": _BINARY}
    return {"openapi_extra": members}


_NAMED: Final = _of_model(version=False)
_VERSIONED: Final = _of_model(version=True)
_ASKED: Final = _of_model(_LENGTH_HEADER, _KEY, version=False, body=True)
_VERSION_ASKED: Final = _of_model(_LENGTH_HEADER, _KEY, version=True, body=True)
_DESCRIBES: Final[dict[str, Any]] = {
    "response_model": ModelMetadataOut,
    "responses": problems(404, meanings=_NOT_SERVED),
}
_IS_READY: Final[dict[str, Any]] = {
    "response_model": ModelReadyOut,
    "responses": problems(404, meanings=_NOT_SERVED),
}

_PROBABILITY, _CATEGORY = "probability", "risk_category"
_BASELINE, _PREDICTION_ID = "baseline_log_odds", "prediction_id"
_CONTRIBUTION: Final = "contribution."


@router.get(BASE, response_model=ServerOut, summary="Describe the server")
@for_everybody
async def server(_: Request) -> Response:
    """What serves, and which extensions it knows."""
    return json_response(
        {"name": "stroke", "version": __version__, "extensions": ["binary_tensor_data"]}
    )


@router.get(f"{BASE}/health/live", response_model=LiveOut, summary="Check that the process answers")
@for_everybody
async def live(_: Request) -> Response:
    """Whether the process answers."""
    return json_response({"live": True})


@router.get(
    f"{BASE}/health/ready",
    response_model=ServerReadyOut,
    responses=problems(503),
    summary="Check that the model is loaded, and that predictions can be stored",
)
@for_everybody
async def ready(request: Request) -> Response:
    """What /health/ready says: the model is loaded, and predictions can be stored."""
    answer = await service.ready(request)
    return json_response({"ready": True}) if answer.status_code == HTTPStatus.OK else answer


@router.get(_MODEL, summary="List the inputs and outputs of the model", **_DESCRIBES, **_NAMED)
@router.get(
    _VERSION,
    summary="List the inputs and outputs of a version of the model",
    **_DESCRIBES,
    **_VERSIONED,
)
@needs(access.Scope.MODELS)
async def model(request: Request) -> Response:
    """The inputs and outputs of the served model."""
    described = _served(request).champion.description
    return json_response(
        {
            "name": described.name,
            "versions": [described.version],
            "platform": "onnx",
            "inputs": [
                {"name": name, "datatype": datatype, "shape": [-1]}
                for name, datatype in datatypes_of(described.further).items()
            ],
            "outputs": [
                {"name": name, "datatype": datatype, "shape": [-1]}
                for name, datatype in _outputs_of(described).items()
            ],
        }
    )


@router.get(f"{_MODEL}/ready", summary="Check that the model can be asked", **_IS_READY, **_NAMED)
@router.get(
    f"{_VERSION}/ready",
    summary="Check that a version of the model can be asked",
    **_IS_READY,
    **_VERSIONED,
)
@needs(access.Scope.PREDICT)
async def model_ready(request: Request) -> Response:
    """Whether the model can be asked: one that is served is loaded."""
    return json_response({"name": _served(request).champion.description.name, "ready": True})


@router.post(f"{_MODEL}/infer", summary="Score rows of tensors", **_SCORES, **_ASKED)
@router.post(
    f"{_VERSION}/infer",
    summary="Score rows of tensors by a version of the model",
    **_SCORES,
    **_VERSION_ASKED,
)
@needs(access.Scope.PREDICT)
async def infer(request: Request) -> Response:
    """The outputs of the model, all of them unless the request names some."""
    return await _answer(request, _outputs_of)


@router.post(f"{_MODEL}/explain", summary="Explain rows of tensors", **_SCORES, **_ASKED)
@router.post(
    f"{_VERSION}/explain",
    summary="Explain rows of tensors by a version of the model",
    **_SCORES,
    **_VERSION_ASKED,
)
@needs(access.Scope.PREDICT)
async def explain(request: Request) -> Response:
    """What each feature adds to the baseline's log-odds, unless the request names outputs."""
    return await _answer(request, _explanation_of)


def error_of(problem: Mapping[str, Any]) -> dict[str, str]:
    """Return the protocol's error, in which a problem document becomes one text."""
    texts = [str(each) for each in (problem.get("title"), problem.get("detail")) if each]
    errors = problem.get("errors") or ()
    for error in errors[:_MOST_SAID]:
        place = error.get("pointer") or error.get("parameter") or ""
        texts.append(f"{place.strip('/')}: {error['detail']}" if place else error["detail"])
    if len(errors) > _MOST_SAID:
        texts.append("There are more problems")
    return {"error": ". ".join(each.rstrip(".") for each in texts) + "."}


async def _answer(
    request: Request, default: Callable[[ModelDescription], Mapping[str, str]]
) -> Response:
    """Score the rows of a request, store them if it wants that, and return what it asks for."""
    state = api_state(request)
    deployed = _served(request)
    described = deployed.champion.description
    key = idempotency_key(request)
    headers = dict(request.scope["headers"])
    async with state.admission.batch(request, shortest_row=SHORTEST_ROW) as slot:
        body = await read_body(request, slot, most_bytes=state.most_bytes, kinds=_KINDS)
        # Ten thousand rows take a while: other requests are served between them.
        asked, binary = await asyncio.to_thread(read_request, body, headers.get(_LENGTH))
        del body
        store = _store(asked, headers)
        wanted = _wanted(asked, default(described), _available(described, store=store))
        patients = await asyncio.to_thread(
            read_patients,
            asked.inputs,
            binary,
            described.may_be_missing,
            TEXTS if store else (),
            described.further,
        )
        del binary
        asked.inputs.clear()
        ids, version, assessments = await _scored(
            request, deployed, patients, key=key if store else None, store=store
        )
        del patients
        head: dict[str, Any] = {"model_name": described.name, "model_version": version}
        if asked.id is not None:
            head["id"] = asked.id
        answer, length = await asyncio.to_thread(_render, head, wanted, assessments, ids)
    if length is None:
        return InParts(answer, state.admission.batch_bytes)
    named = {"Content-Type": _BYTES_TYPE, LENGTH_HEADER: str(length)}
    return InParts(answer, state.admission.batch_bytes, named)


async def _scored(
    request: Request,
    deployed: Deployed,
    patients: Sequence[Patient],
    *,
    key: str | None,
    store: bool,
) -> tuple[list[int], str, list[RiskAssessment]]:
    """Return the ids of stored predictions, the version that made them, and the assessments."""
    state = api_state(request)
    predictions, strict = state.predictions, state.refuse_outside
    try:
        if not store:
            assessed = await predictions.assess(patients, refuse_outside=strict, deployed=deployed)
            return [], deployed.champion.description.version, assessed
        # The path names the model: no canary answers here.
        stored = await predictions.predict_many(
            patients,
            idempotency_key=key,
            origin=origin_of(request),
            refuse_outside=strict,
            deployed=deployed,
            by_champion=True,
        )
    except OutsideSupport as error:
        raise OutsideRequest(
            problem
            for row, support in error.found[:MOST_PROBLEMS]
            for problem in of_support(support, lambda _, at=row: f"/inputs/{at}")  # type: ignore[misc]
        ) from None
    return (
        [each.id for each in stored],
        stored[0].model_version,
        [each.assessment for each in stored],
    )


def _served(request: Request) -> Deployed:
    """Return what is served, if its champion is what the path names; else ``HTTPException`` 404."""
    deployed = api_state(request).predictions.deployed
    found = deployed.champion.description
    named = request.path_params
    if named["model_name"] != found.name or (
        named.get("model_version", found.version) != found.version
    ):
        raise HTTPException(
            HTTPStatus.NOT_FOUND, "No such model, or no such version of it, is served here."
        )
    return deployed


def _store(asked: InferIn, headers: Mapping[bytes, bytes]) -> bool:
    """Return whether the rows are to be stored."""
    store = (asked.parameters or {}).get("store", False)
    if not isinstance(store, bool):
        raise wrong("/parameters/store", "must be true or false")
    # A page of another site may send a body without a media type, and no other one of these.
    if store and _LENGTH not in headers and not headers.get(b"content-type"):
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "Send Content-Type: application/json to have predictions stored.",
        )
    return store


def _outputs_of(described: ModelDescription) -> dict[str, str]:
    return {_PROBABILITY: FP64, _CATEGORY: BYTES, **_explanation_of(described)}


def _explanation_of(described: ModelDescription) -> dict[str, str]:
    return {_BASELINE: FP64, **{f"{_CONTRIBUTION}{each}": FP64 for each in described.features}}


def _available(described: ModelDescription, *, store: bool) -> dict[str, str]:
    return _outputs_of(described) | ({_PREDICTION_ID: INT64} if store else {})


def _wanted(
    asked: InferIn, default: Mapping[str, str], available: Mapping[str, str]
) -> list[tuple[str, str, bool]]:
    """Return name, datatype and form (binary or not) of each output of the answer."""
    refuse_parameters(asked.parameters or {}, "")
    all_binary = _flag(asked.parameters or {}, "binary_data_output", "", default=False)
    listed = asked.outputs
    if not listed:
        stored = {_PREDICTION_ID} & available.keys()
        listed = [RequestedIn(name=each) for each in (*default, *stored)]
    wanted: list[tuple[str, str, bool]] = []
    for at, output in enumerate(listed):
        where = f"/outputs/{at}"
        if output.name not in available:
            raise wrong(f"{where}/name", f"must be one of {', '.join(available)}")
        if any(output.name == name for name, _, _ in wanted):
            raise wrong(where, "comes twice")
        parameters = output.parameters or {}
        refuse_parameters(parameters, where)
        binary = _flag(parameters, "binary_data", where, default=all_binary)
        wanted.append((output.name, available[output.name], binary))
    return wanted


def _flag(parameters: Mapping[str, Any], name: str, where: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise wrong(f"{where}/parameters/{name}", "must be true or false")
    return value


def _render(
    head: Mapping[str, Any],
    wanted: Sequence[tuple[str, str, bool]],
    assessments: Sequence[RiskAssessment],
    ids: Sequence[int],
) -> tuple[bytes, int | None]:
    columns: dict[str, Sequence[Any]] = {
        _PROBABILITY: [each.probability for each in assessments],
        _CATEGORY: [each.category for each in assessments],
        _BASELINE: [each.baseline_log_odds for each in assessments],
        _PREDICTION_ID: ids,
    }
    added = [{c.feature: c.log_odds for c in each.contributions} for each in assessments]
    outputs = []
    for name, datatype, binary in wanted:
        values = columns.get(name)
        if values is None:
            # A stored answer of a former model may lack a feature of this one.
            feature = name.removeprefix(_CONTRIBUTION)
            values = [each.get(feature, math.nan) for each in added]
        outputs.append(Output(name, datatype, values, binary))
    return render(head, outputs)
