"""The OpenAPI document: what FastAPI cannot see of bodies that routes read themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from stroke.application.access.tokens import discovery_url
from stroke.domain.access import Scope
from stroke.domain.further import Further
from stroke.entrypoints.api.access import needed_by
from stroke.entrypoints.api.inference_tensors import InferIn
from stroke.entrypoints.api.problems import MEDIA_TYPE, Problem
from stroke.entrypoints.api.schemas.deployments import DeploymentIn
from stroke.entrypoints.api.schemas.erasures import ErasureIn
from stroke.entrypoints.api.schemas.outcomes import OutcomeIn
from stroke.entrypoints.api.schemas.patients import what_if_wire_of, wire_of

_REFERENCE: Final = "#/components/schemas/{model}"

_MEANINGS: Final = {
    400: "The body is not JSON",
    401: "No key or token, or one that is not valid (any more)",
    403: "The key or token lacks the scope that this needs, or the token names no site",
    404: "The prediction, its outcome, the erasure, or the model does not exist",
    409: "Another request used this idempotency key before, or its stored row lacks its risk",
    413: "The body is too long",
    415: "The body is not application/json in UTF-8, or has an encoding other than gzip",
    422: "The request is not valid: `errors` names each wrong field",
    429: "Too many requests: try again after Retry-After seconds",
    503: "The service cannot store predictions now: try again after Retry-After seconds",
}


_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def json_body(wire: type[BaseModel]) -> dict[str, Any]:
    """Return the operation's members for a required JSON body."""
    schema = {"$ref": _REFERENCE.format(model=wire.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def problems(
    *statuses: int, meanings: Mapping[int, str] = MappingProxyType({})
) -> dict[int | str, dict[str, Any]]:
    """Return the responses of an operation that may answer problems with ``statuses``.

    ``meanings`` says what some of them mean for this operation.
    """
    responses: dict[int | str, dict[str, Any]] = {
        status: _problem(status) for status in (*statuses, 429, 500)
    }
    for status, meaning in meanings.items():
        responses[status]["description"] = meaning
    return responses


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
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        response["headers"] = {
            "WWW-Authenticate": {"description": "what is missing", "schema": {"type": "string"}}
        }
    return response


def install(
    app: FastAPI,
    may_be_missing: Callable[[], tuple[str, ...]],
    is_open: Callable[[], bool],
    issuer: str | None = None,
    further: Callable[[], Further] = tuple,
    *,
    errors: Mapping[str, type[BaseModel]] = MappingProxyType({}),
) -> None:
    """Make ``app`` describe itself completely. The document is built on first use.

    ``may_be_missing`` names the measurements that the served model can do without, and ``further``
    returns the features that it declares for itself. While
    ``is_open``, the document says that a key is not required. ``issuer`` is the OpenID provider
    whose tokens name callers, if there is one. ``errors`` has the form of errors under the paths
    of a protocol that has its own.
    """
    schemes = dict(_SCHEMES)
    if issuer is not None:
        schemes["openIdConnect"] = {
            "type": "openIdConnect",
            "openIdConnectUrl": discovery_url(issuer),
            "description": "`Authorization: Bearer TOKEN`, an access token of this provider",
        }
    documents: dict[tuple[bool, tuple[str, ...], Further], dict[str, Any]] = {}

    def openapi() -> dict[str, Any]:
        asked = without_key, optional, declared = is_open(), may_be_missing(), further()
        if asked not in documents:
            documents[asked] = _document(
                app, optional, declared, schemes, errors, without_key=without_key
            )
        return documents[asked]

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way


def _document(
    app: FastAPI,
    may_be_missing: tuple[str, ...],
    further: Further,
    schemes: Mapping[str, Any],
    errors: Mapping[str, type[BaseModel]],
    *,
    without_key: bool,
) -> dict[str, Any]:
    patient, batch = wire_of(may_be_missing, further)
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
            (ErasureIn, "validation"),
            (DeploymentIn, "validation"),
            (what_if_wire_of(may_be_missing, further), "validation"),
            (InferIn, "validation"),
            (Problem, "serialization"),
            *((form, "serialization") for form in errors.values()),
        ],
        ref_template=_REFERENCE,
    )
    document["components"]["schemas"].update(definitions["$defs"])
    document["components"]["securitySchemes"] = schemes
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                _secure(
                    document["paths"][route.path_format][method.lower()],
                    needed_by(route.endpoint),
                    schemes,
                    without_key=without_key,
                )
    for base, form in errors.items():
        for path, item in document["paths"].items():
            if path == base or path.startswith(f"{base}/"):
                for operation in item.values():
                    _turn(operation, form)
    return document


def _turn(operation: dict[str, Any], form: type[BaseModel]) -> None:
    """Let the errors of an operation have another form than problem documents."""
    schema = {"$ref": _REFERENCE.format(model=form.__name__)}
    for response in operation["responses"].values():
        if MEDIA_TYPE in response.get("content", ()):
            response["content"] = {"application/json": {"schema": schema}}


def _secure(
    operation: dict[str, Any], scope: Scope | None, schemes: Iterable[str], *, without_key: bool
) -> None:
    """Say of an operation which scope it needs, and how a request shows that it has it."""
    if scope is None:
        operation["security"] = []
        return
    operation["security"] = [{name: [scope.value]} for name in schemes]
    if without_key:
        operation["security"].append({})
    said = operation.get("description", "")
    operation["description"] = f"{said}\n\nNeeds the scope `{scope}`.".strip()
    for status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        operation["responses"].setdefault(str(int(status)), _problem(status))
