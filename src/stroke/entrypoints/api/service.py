"""Routes about the service itself: greeting, health, model."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response

from stroke.domain.access import Scope
from stroke.domain.errors import (
    SchemaForeign,
    SchemaNewer,
    SchemaOutdated,
    StoreRefusesWrites,
    StoreUnavailable,
    StrokeError,
)
from stroke.domain.risk import ModelVariant, RiskBands
from stroke.entrypoints.api.access import GuardedRoute, for_everybody, needs
from stroke.entrypoints.api.causes import log_of
from stroke.entrypoints.api.openapi import problems
from stroke.entrypoints.api.pages.shell import html
from stroke.entrypoints.api.problems import problem_response
from stroke.entrypoints.api.rendering import json_response
from stroke.entrypoints.api.schemas.models import (
    BandsOut,
    CompanionOut,
    FurtherOut,
    LackedOut,
    ModelOut,
)
from stroke.entrypoints.api.schemas.predictions import AccuracyOut
from stroke.entrypoints.api.schemas.service import HealthOut, MessageOut, ReadyOut
from stroke.entrypoints.api.state import api_state

router = APIRouter(tags=["service"], route_class=GuardedRoute)

# Longer than a slow answer, shorter than an orchestrator waits for one.
_CHECK_SECONDS: Final = 5


@router.get("/", response_model=MessageOut, summary="Greet the caller")
@for_everybody
async def greet(request: Request) -> Response:
    """Existing clients use it to check that they reached the right service. Browsers get a page."""
    if "text/html" in request.headers.get("accept", ""):
        return html(request, "welcome.html", "welcome")
    return json_response({"message": "Stroke Prediction API"})


@router.get("/health/live", summary="Check that the process answers")
@for_everybody
async def live() -> HealthOut:
    """Does not look at the database: restarting the process would not bring it back."""
    return HealthOut(status="live")


@router.get(
    "/health/ready",
    response_model=ReadyOut,
    responses=problems(503),
    summary="Check that predictions can be stored now",
)
@for_everybody
async def ready(request: Request) -> Response:
    """200 if model, database and schema are ready; otherwise 503 with the failing part.

    Looks at what a write needs, so that a read-only, locked or full database is not ready.
    `access` is `open` while there is no API key, so that everybody may call; then `keys`. Where
    tokens of an OpenID provider or of record systems are taken, it is `closed`, with and without
    keys.
    """
    checks = {"model": "ok", "database": "ok", "schema": "ok"}
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await api_state(request).predictions.check_store()
            callers = api_state(request).callers
            closed = "closed" if callers.takes_tokens else "keys"
            access = "open" if await callers.is_open() else closed
        return json_response({"status": "ready", "checks": checks, "access": access})
    except TimeoutError:
        cause: StrokeError = StoreUnavailable("the database did not answer in time")
    except StrokeError as error:
        cause = error
    log_of(request.app).answered(cause)
    match cause:
        case SchemaNewer():
            checks["schema"] = "that of a newer version"
        case SchemaForeign():
            checks["schema"] = "not one of stroke's"
        case SchemaOutdated():
            checks["schema"] = "not the one this version needs"
        case StoreRefusesWrites():
            checks["database"] = "does not store"
        case _:
            checks |= {"database": "away", "schema": "unknown"}
    failing = "schema" if checks["database"] == "ok" else "database"
    return problem_response(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Predictions cannot be stored now",
        name="not-ready",
        detail=f"The {failing} is not ready.",
        headers={"Retry-After": "5"},
        checks=checks,
    )


@router.get("/model_info", summary="Describe the served model")
@needs(Scope.MODELS)
async def model_info(request: Request) -> ModelOut:
    """The content of the model's manifest."""
    model = api_state(request).predictions.model
    return ModelOut(
        name=model.name,
        version=model.version,
        model_type=model.model_type,
        sha256=model.sha256,
        features=list(model.features),
        bands=_bands(model.bands),
        metrics=dict(model.metrics),
        training=dict(model.training),
        may_be_missing=list(model.may_be_missing),
        companions=[_companion(each) for each in model.companions],
        population=dict(model.population),
        further_features=[FurtherOut(**each.as_data()) for each in model.further],
    )


def _companion(variant: ModelVariant) -> CompanionOut:
    accuracy = variant.accuracy
    return CompanionOut(
        name=variant.name,
        missing=list(variant.missing),
        bands=_bands(variant.bands),
        metrics=dict(variant.metrics),
        accuracy=None if accuracy is None else AccuracyOut(**asdict(accuracy)),
        lacked=None if variant.lacked is None else LackedOut(**asdict(variant.lacked)),
    )


def _bands(bands: RiskBands) -> BandsOut:
    return BandsOut(medium=bands.medium, high=bands.high)
