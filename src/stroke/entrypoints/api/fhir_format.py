"""What format the FHIR side answers in: JSON, or a refusal (FHIR R4, section 3.1.0.1.11)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from stroke.entrypoints.api.fhir_resources import FHIR_VERSION
from stroke.entrypoints.api.negotiation import wants_any
from stroke.entrypoints.api.operation_outcomes import FHIR_JSON
from stroke.entrypoints.api.paths import FHIR, is_under
from stroke.entrypoints.api.problems import problem_response
from stroke.entrypoints.api.rendering import rendered
from stroke.entrypoints.api.state import api_state

_JSON: Final = (FHIR_JSON, "application/json", "application/json+fhir", "text/json")
_FORMATS: Final = frozenset({"json", *_JSON})
_VERSIONS: Final = ("4.0", FHIR_VERSION)
_ASKS: Final = frozenset({"GET", "HEAD", "POST"})


class JsonOnly:
    """Refuses requests under /fhir for another format than JSON of R4 (406), or with it (415).

    The parameter ``_format`` goes before the header ``Accept``, as FHIR says.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asks = scope["type"] == "http" and scope["method"] in _ASKS and is_under(scope, FHIR)
        if asks and not _takes_json(scope):
            refusal = problem_response(
                HTTPStatus.NOT_ACCEPTABLE,
                name="not-acceptable",
                detail="Resources are there as JSON only: application/fhir+json.",
            )
            await refusal(scope, receive, send)
        elif asks and not _is_of_this_version(Headers(scope=scope).get("content-type", "")):
            refusal = problem_response(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail=f"Send FHIR of version {FHIR_VERSION}."
            )
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def fhir_answer(resource: Mapping[str, Any]) -> Response:
    """Return a resource as the answer to a request; one with a version is labelled with it."""
    headers = {}
    if isinstance(meta := resource.get("meta"), Mapping):
        headers["ETag"] = f'W/"{meta["versionId"]}"'
        changed = datetime.fromisoformat(meta["lastUpdated"])
        headers["Last-Modified"] = format_datetime(changed.astimezone(UTC), usegmt=True)
    return Response(rendered(resource), headers=headers, media_type=FHIR_JSON)


def base_of(request: Request) -> str:
    """Return the address under which clients find the FHIR side."""
    public = api_state(request).clinical.public_url
    return f"{(public or str(request.base_url)).rstrip('/')}{FHIR}"


def _takes_json(scope: Scope) -> bool:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    if formats := query.get("_format"):
        # A plus that was not written as %2B is a blank.
        return all(
            _is_json(each) and _is_of_this_version(each)
            for each in (each.replace(" ", "+") for each in formats)
        )
    ranges = ", ".join(Headers(scope=scope).getlist("accept")).split(",")
    # What names another version of FHIR than R4 is as good as another format.
    of_this = [each for each in ranges if _is_of_this_version(each)]
    return bool(of_this) and wants_any(",".join(of_this), _JSON)


def _is_json(name: str) -> bool:
    return name.partition(";")[0].strip("+").lower() in _FORMATS


def _is_of_this_version(name: str) -> bool:
    """Return whether a media type names R4 as its version of FHIR, or none."""
    parameters = (each.strip(" +").partition("=") for each in name.split(";")[1:])
    return all(
        value.strip(' "') in _VERSIONS
        for key, _, value in parameters
        if key.strip().lower() == "fhirversion"
    )
