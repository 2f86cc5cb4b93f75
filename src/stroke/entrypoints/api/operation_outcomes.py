"""Errors under /fhir and /cds-services as OperationOutcomes: one place turns every problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stroke.entrypoints.api.problems import MEDIA_TYPE

FHIR_JSON: Final = "application/fhir+json"
PATHS: Final = ("/fhir", "/cds-services")
_CODES: Final = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    409: "conflict",
    410: "deleted",
    412: "required",
    413: "too-long",
    415: "not-supported",
    422: "invalid",
    429: "throttled",
    503: "transient",
}


class OperationOutcomes:
    """Turns a problem document that ``app`` answers with into an OperationOutcome."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_ours(scope):
            await self._app(scope, receive, send)
            return
        started: Message | None = None
        body = b""

        async def turned(message: Message) -> None:
            nonlocal started, body
            if message["type"] == "http.response.start" and _is_problem(message):
                started = message
                return
            if started is None:
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            content = orjson.dumps(outcome_of(orjson.loads(body))) if body else b""
            headers = MutableHeaders(raw=list(started["headers"]))
            headers["Content-Type"] = FHIR_JSON
            headers["Content-Length"] = str(len(content))
            await send({**started, "headers": headers.raw})
            await send({"type": "http.response.body", "body": content})

        await self._app(scope, receive, turned)


def outcome_of(problem: Mapping[str, Any]) -> dict[str, Any]:
    """Return an OperationOutcome that says what a problem document says."""
    status = problem.get("status", 500)
    texts = [problem.get("title"), problem.get("detail")]
    said = ". ".join(str(text).rstrip(".") for text in texts if text)
    code = _CODES.get(status, "exception")
    issues = []
    for error in problem.get("errors") or ():
        issue = {"severity": "error", "code": code, "details": {"text": error.get("detail", said)}}
        place = error.get("pointer") or error.get("parameter")
        if place:
            issue["expression"] = [str(place).strip("/").replace("/", ".")]
        issues.append(issue)
    if not issues:
        issues = [{"severity": "error", "code": code, "details": {"text": said}}]
    if (request_id := problem.get("request_id")) is not None:
        issues[0]["diagnostics"] = f"X-Request-ID {request_id}"
    return {"resourceType": "OperationOutcome", "issue": issues}


def _is_ours(scope: Scope) -> bool:
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return any(path == each or path.startswith(f"{each}/") for each in PATHS)


def _is_problem(message: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(MEDIA_TYPE.encode())
        for name, value in message["headers"]
    )
