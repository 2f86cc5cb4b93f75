"""The cards of models: the served one's, and those of the model store."""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import APIRouter, Request, Response

from stroke.application.models.applied_card import as_applied_card
from stroke.application.models.card import as_markdown
from stroke.container.cards import card_page
from stroke.domain.access import Scope
from stroke.entrypoints.api.access import GuardedRoute, needs
from stroke.entrypoints.api.negotiation import preferred
from stroke.entrypoints.api.openapi import problems
from stroke.entrypoints.api.rendering import rendered
from stroke.entrypoints.api.schemas.models import ModelCardOut
from stroke.entrypoints.api.state import api_state

router = APIRouter(tags=["service"], route_class=GuardedRoute)

_JSON: Final = "application/json"
_HTML: Final = "text/html"
_MARKDOWN: Final = "text/markdown"
_XML: Final = "application/xml"
_OFFERED: Final = (_JSON, _HTML, _MARKDOWN, _XML)
# The page brings its own styles, and nothing else.
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


@router.get(
    "/api/v1/models/{version}/card",
    response_model=ModelCardOut,
    responses={
        200: {"content": {kind: {"schema": {"type": "string"}} for kind in _OFFERED[1:]}},
        **problems(404, 422, 503),
    },
    summary="Show a model's card",
)
@needs(Scope.MODELS)
async def model_card(request: Request, version: str) -> Response:
    """What a model is, for whom it speaks, and what is open, made from its artefact.

    `Accept` chooses JSON (the default), an HTML page, Markdown, or XML in the form of CHAI's
    Applied Model Card. Versions are that of the served
    model and those in the model store. A card is no certification.
    """
    card = await asyncio.to_thread(api_state(request).cards.of, version)
    kind = preferred(request.headers.get("accept"), _OFFERED)
    headers = {"Vary": "Accept"}
    if kind == _HTML:
        headers["Content-Security-Policy"] = _POLICY
        page = await asyncio.to_thread(card_page, card)
        return Response(page, headers=headers, media_type=_HTML)
    if kind == _MARKDOWN:
        return Response(as_markdown(card), headers=headers, media_type=_MARKDOWN)
    if kind == _XML:
        return Response(as_applied_card(card), headers=headers, media_type=_XML)
    return Response(rendered(card), headers=headers, media_type=_JSON)
