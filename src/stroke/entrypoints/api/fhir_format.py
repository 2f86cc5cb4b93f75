"""What format the FHIR side answers in: JSON, or a refusal (FHIR R4, section 3.1.0.1.11)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from stroke.entrypoints.api.negotiation import wants_any
from stroke.entrypoints.api.operation_outcomes import FHIR_JSON
from stroke.entrypoints.api.paths import FHIR, is_under
from stroke.entrypoints.api.problems import problem_response
from stroke.entrypoints.api.rendering import rendered
from stroke.entrypoints.api.state import api_state

_JSON: Final = (FHIR_JSON, "application/json", "application/json+fhir", "text/json")
_FORMATS: Final = frozenset({"json", *_JSON})
_ASKS: Final = frozenset({"GET", "HEAD", "POST"})


class JsonOnly:
    """Refuses requests under /fhir for another format than JSON (406).

    The parameter ``_format`` goes before the header ``Accept``, as FHIR says.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asks = scope["type"] == "http" and scope["method"] in _ASKS and is_under(scope, FHIR)
        if not asks or _takes_json(scope):
            await self._app(scope, receive, send)
            return
        refusal = problem_response(
            HTTPStatus.NOT_ACCEPTABLE,
            name="not-acceptable",
            detail="Resources are there as JSON only: application/fhir+json.",
        )
        await refusal(scope, receive, send)


def fhir_answer(resource: Mapping[str, Any]) -> Response:
    """Return a resource as the answer to a request."""
    return Response(rendered(resource), media_type=FHIR_JSON)


def base_of(request: Request) -> str:
    """Return the address under which clients find the FHIR side."""
    public = api_state(request).clinical.public_url
    return f"{(public or str(request.base_url)).rstrip('/')}{FHIR}"


def _takes_json(scope: Scope) -> bool:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    if formats := query.get("_format"):
        return all(_is_json(each) for each in formats)
    return wants_any(", ".join(Headers(scope=scope).getlist("accept")), _JSON)


def _is_json(name: str) -> bool:
    # A plus that was not written as %2B is a blank.
    bare = name.partition(";")[0].strip().lower().replace(" ", "+")
    return bare in _FORMATS
