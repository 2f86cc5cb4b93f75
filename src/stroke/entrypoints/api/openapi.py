"""The OpenAPI document: what FastAPI cannot see of bodies that routes read themselves."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from stroke.entrypoints.api.problems import MEDIA_TYPE, Problem
from stroke.entrypoints.api.schemas import OutcomeIn, wire_of

_REFERENCE: Final = "#/components/schemas/{model}"

_MEANINGS: Final = {
    400: "The body is not JSON",
    404: "The prediction, or its outcome, does not exist",
    409: "Another request used this idempotency key before, or its stored row lacks its risk",
    413: "The body is too long",
    415: "The body is not application/json in UTF-8, or has an encoding other than gzip",
    422: "The request is not valid: `errors` names each wrong field",
    429: "Too many requests: try again after Retry-After seconds",
    503: "The service cannot store predictions now: try again after Retry-After seconds",
}


def json_body(wire: type[BaseModel]) -> dict[str, Any]:
    """Return the operation's members for a required JSON body."""
    schema = {"$ref": _REFERENCE.format(model=wire.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the responses of an operation that may answer problems with ``statuses``."""
    return {status: _problem(status) for status in (*statuses, 429, 500)}


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": _REFERENCE.format(model=Problem.__name__)}
    response: dict[str, Any] = {
        "description": _MEANINGS.get(status, HTTPStatus(status).phrase),
        "content": {MEDIA_TYPE: {"schema": schema}},
    }
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        response["headers"] = {
            "Retry-After": {"description": "seconds", "schema": {"type": "integer"}}
        }
    return response


def install(app: FastAPI, may_be_missing: Callable[[], tuple[str, ...]]) -> None:
    """Make ``app`` describe itself completely. The document is built on first use.

    ``may_be_missing`` names the measurements that the served model can do without.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, may_be_missing())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way


def _document(app: FastAPI, may_be_missing: tuple[str, ...]) -> dict[str, Any]:
    patient, batch = wire_of(may_be_missing)
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    _, definitions = models_json_schema(
        [
            (patient, "validation"),
            (batch, "validation"),
            (OutcomeIn, "validation"),
            (Problem, "serialization"),
        ],
        ref_template=_REFERENCE,
    )
    document["components"]["schemas"].update(definitions["$defs"])
    return document
