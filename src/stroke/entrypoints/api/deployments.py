"""Routes over the served models: which there are, which are served, and changes of that."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response

from stroke.application.models.deployments import Asker, Wish
from stroke.domain.access import Scope
from stroke.domain.deployment import Deployment, DeploymentAction
from stroke.domain.errors import DeploymentRefused, InvalidModel
from stroke.domain.prediction import PredictionFilter
from stroke.entrypoints.api.access import GuardedRoute, caller_of, for_all_sites, needs, site_of
from stroke.entrypoints.api.body import parse, read_body
from stroke.entrypoints.api.openapi import json_body, problems
from stroke.entrypoints.api.parameters import given_once
from stroke.entrypoints.api.records import Instant
from stroke.entrypoints.api.rendering import json_response
from stroke.entrypoints.api.schemas.deployments import (
    AgreementsOut,
    DeploymentIn,
    DeploymentOut,
    DeploymentsOut,
    ModelsOut,
    PresentOut,
)
from stroke.entrypoints.api.schemas.fields import PRINTABLE
from stroke.entrypoints.api.state import api_state
from stroke.entrypoints.request_id import CURRENT

router = APIRouter(tags=["models"], route_class=GuardedRoute, dependencies=[Depends(given_once)])

Text = Annotated[str | None, Query(min_length=1, max_length=64, pattern=PRINTABLE)]

_PATH: Final = "/api/v1/models/deployment"


@router.get(
    "/api/v1/models",
    response_model=ModelsOut,
    responses=problems(503),
    summary="List the models of the store, and what each is served as",
)
@needs(Scope.MODELS)
async def models(request: Request) -> Response:
    """By name. A version that has no name any more is not listed, and can be deployed again."""
    state = api_state(request)
    present = await state.deployments.present()
    listed = await asyncio.to_thread(state.models)
    items = [asdict(each) | {"role": _role_of(present, each.version)} for each in listed]
    for item in items:
        del item["sha256"]
    return json_response({"items": items})


@router.get(
    _PATH,
    response_model=PresentOut,
    responses=problems(503),
    summary="Show which models are served, since when, by whom and why",
)
@needs(Scope.MODELS)
async def present(request: Request) -> Response:
    """`served_here` is what the worker that answers serves: it follows within seconds."""
    state = api_state(request)
    found = await state.deployments.present()
    here = state.predictions.deployed
    challenger = here.challenger
    served = {
        "number": here.number,
        "champion": here.champion.description.version,
        "challenger": None if challenger is None else challenger.description.version,
        "share": here.share,
        "shadows": [each.description.version for each in here.shadows],
        # The whole reason may name a path of the server's: the log has it.
        "trouble": dict.fromkeys(state.follower.trouble, "it cannot be loaded: see the log"),
    }
    return json_response(_shown(found) | {"served_here": served})


@router.get(
    "/api/v1/models/deployments",
    response_model=DeploymentsOut,
    responses=problems(422, 503),
    summary="List all changes of the served models",
)
@needs(Scope.MODELS)
async def history(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
) -> Response:
    """Newest first. Nothing is ever removed from it."""
    found = await api_state(request).deployments.history(limit=limit + 1, before=before)
    shown = found[:limit]
    following = shown[-1].number if len(found) > limit else None
    return json_response({"items": [_shown(each) for each in shown], "next_before": following})


@router.get(
    "/api/v1/models/agreement",
    response_model=AgreementsOut,
    responses=problems(404, 409, 422, 503),
    summary="Say how far shadows agree with what was answered",
)
@needs(Scope.MODELS)
async def agreement(
    request: Request,
    model: Text = None,
    since: Instant | None = None,
    until: Instant | None = None,
    site: Text = None,
) -> Response:
    """From the stored scores of shadows: of all, or of `model` (a version, or a name in the store).

    No patient is shown.

    A caller of one site sees that of its own site, whatever `site` says.
    """
    state, own = api_state(request), site_of(request)
    within = PredictionFilter(since, until, site=site if own is None else own)
    versions = await state.agreement.versions()
    if model is not None:  # one with scores need not be in the store any more
        versions = [model if model in versions else await state.deployments.version_of(model)]
    reports = [
        await state.agreement.report(version, within, most=state.shown) for version in versions
    ]
    return json_response({"items": [each.as_dict() for each in reports]})


@router.post(
    _PATH,
    response_model=DeploymentOut,
    responses=problems(400, 404, 409, 413, 415, 422, 503),
    openapi_extra=json_body(DeploymentIn),
    summary="Promote a model, roll back, or begin and end a canary or a shadow",
)
@needs(Scope.MODELS)
@for_all_sites
async def change(request: Request) -> Response:
    """All workers follow within seconds, without a request lost or answered by two models.

    Where `STROKE_MODEL_CHANGE_ALL_SITES` is true, this needs the scope `all-sites`, too: a model
    answers the patients of every site.
    The change is in the audit trail. 409 `urn:stroke:problem:deployment-refused` says what is in
    the way; 409 `urn:stroke:problem:deployment-changed`, that somebody else was faster.
    """
    state = api_state(request)
    async with state.admission.one(request) as slot:
        body = await read_body(request, slot, most_bytes=state.most_patient_bytes)
        asked = parse(DeploymentIn, body)
    caller = caller_of(request)
    wish = Wish(
        DeploymentAction(asked.action),
        asked.model,
        asked.share,
        asked.reason,
        asked.after,
        asked.asks_for_more,
    )
    asker = Asker(f"{caller.kind}:{caller.id}", caller.site, CURRENT.get())
    try:
        made = await state.deployments.change(wish, asker, dry_run=asked.dry_run)
    except InvalidModel:
        # Its text may name a path of the server's.
        raise DeploymentRefused(
            "the model breaks the contract of models, or has no signature that counts: "
            "`stroke model verify` says what is wrong"
        ) from None
    return json_response(_shown(made))


def _role_of(deployment: Deployment, version: str) -> str | None:
    if version == deployment.champion.version:
        return "champion"
    if deployment.challenger is not None and version == deployment.challenger.version:
        return "challenger"
    return "shadow" if version in deployment.versions else None


def _shown(deployment: Deployment) -> dict[str, Any]:
    return asdict(deployment)
