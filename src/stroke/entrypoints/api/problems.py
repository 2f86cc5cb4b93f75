"""Errors on the wire: RFC 9457 problem documents, and the one table that gives them a status.

No problem quotes what a client sent, and none shows an exception's own text unless the domain
wrote it for clients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from stroke.domain.errors import (
    AssessmentErased,
    AssessmentNotFound,
    DeploymentChanged,
    DeploymentRefused,
    ErasureJobNotFound,
    IdempotencyKeyReused,
    IdempotencyKeyTaken,
    InvalidChart,
    InvalidOutcome,
    InvalidPatient,
    ModelNotFound,
    ModelStoreUnavailable,
    NotAuthenticated,
    NothingToErase,
    OutcomeNotFound,
    OutsideSupport,
    PredictionNotFound,
    PredictionNotReplayable,
    PredictionRejected,
    ProviderUnavailable,
    RequestForged,
    SchemaForeign,
    SchemaNewer,
    SchemaOutdated,
    ScopeMissing,
    ServiceOverloaded,
    SiteMissing,
    StoreRefusesWrites,
    StoreUnavailable,
    StrokeError,
    SubjectsAlike,
)
from stroke.entrypoints.api.causes import log_of
from stroke.entrypoints.api.violations import (
    MOST_PROBLEMS,
    FieldProblem,
    InvalidRequest,
    OutsideRequest,
    of_domain,
    of_parameters,
)
from stroke.entrypoints.request_id import CURRENT

MEDIA_TYPE: Final = "application/problem+json"
_CHALLENGE: Final = 'Bearer realm="stroke"'


class Problem(BaseModel):
    """An error as a problem document (RFC 9457)."""

    type: str = Field(description="about:blank, or a URN that names the kind of problem")
    title: str
    status: int
    detail: str | None = None
    errors: list[FieldProblem] | None = Field(None, description="each wrong field")
    request_id: str | None = Field(None, description="the answer's X-Request-ID")
    checks: dict[str, str] | None = Field(None, description="readiness of each part")


@dataclass(frozen=True, slots=True)
class Kind:
    """How one error looks to clients. Without a ``detail`` they see the error's own text."""

    status: HTTPStatus
    name: str
    title: str
    detail: str | None = None
    retry_after: int | None = None


_INVALID: Final = Kind(
    HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", "The request is not valid"
)
_OUTSIDE: Final = Kind(
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "outside-support",
    "The training data had no patients like this one",
)

# The one table. A StrokeError that is not in it is a fault of ours: a logged 500.
KINDS: Final[Mapping[type[StrokeError], Kind]] = {
    InvalidPatient: _INVALID,
    InvalidOutcome: _INVALID,
    InvalidRequest: _INVALID,
    OutsideSupport: _OUTSIDE,
    OutsideRequest: _OUTSIDE,
    NotAuthenticated: Kind(HTTPStatus.UNAUTHORIZED, "not-authenticated", "Who calls is not known"),
    RequestForged: Kind(
        HTTPStatus.FORBIDDEN, "csrf-token-wrong", "The request does not come from a page of ours"
    ),
    ScopeMissing: Kind(HTTPStatus.FORBIDDEN, "scope-missing", "The caller may not do this"),
    SiteMissing: Kind(HTTPStatus.FORBIDDEN, "site-missing", "The caller belongs to no site"),
    PredictionNotFound: Kind(HTTPStatus.NOT_FOUND, "not-found", "No such prediction"),
    NothingToErase: Kind(HTTPStatus.NOT_FOUND, "not-found", "No such predictions"),
    SubjectsAlike: Kind(
        HTTPStatus.CONFLICT, "ambiguous-subject", "Several servers have a patient of this id"
    ),
    ErasureJobNotFound: Kind(HTTPStatus.NOT_FOUND, "erasure-not-found", "No such erasure"),
    OutcomeNotFound: Kind(
        HTTPStatus.NOT_FOUND, "outcome-not-found", "The prediction has no outcome"
    ),
    ModelNotFound: Kind(
        HTTPStatus.NOT_FOUND,
        "model-not-found",
        "No such model",
        "Neither the served model nor one of the model store has this version.",
    ),
    ModelStoreUnavailable: Kind(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "model-store-unavailable",
        "The store of models is away",
        "Nothing was changed. Try again.",
        retry_after=5,
    ),
    DeploymentRefused: Kind(
        HTTPStatus.CONFLICT, "deployment-refused", "The served models cannot be changed so"
    ),
    DeploymentChanged: Kind(
        HTTPStatus.CONFLICT, "deployment-changed", "The served models were changed meanwhile"
    ),
    AssessmentNotFound: Kind(HTTPStatus.NOT_FOUND, "not-found", "No such assessment"),
    AssessmentErased: Kind(HTTPStatus.GONE, "erased", "The assessment was erased"),
    InvalidChart: Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-chart", "The chart cannot be read"
    ),
    PredictionRejected: Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "rejected",
        "The database refuses this prediction",
        "Nothing was stored. The same request will be refused again.",
    ),
    IdempotencyKeyTaken: Kind(
        HTTPStatus.CONFLICT, "idempotency-key-taken", "The idempotency key is taken"
    ),
    IdempotencyKeyReused: Kind(
        HTTPStatus.CONFLICT,
        "idempotency-key-reused",
        "The idempotency key was used before",
    ),
    PredictionNotReplayable: Kind(
        HTTPStatus.CONFLICT, "not-replayable", "The stored prediction cannot be answered again"
    ),
    ServiceOverloaded: Kind(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "overloaded",
        "Too many predictions wait for their turn",
        "Nothing was stored. Try again.",
        retry_after=1,
    ),
    ProviderUnavailable: Kind(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "provider-unavailable",
        "Tokens cannot be verified now",
        "Nothing was stored. Try again.",
        retry_after=5,
    ),
    StoreUnavailable: Kind(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "database-unavailable",
        "The database is away",
        "The outcome is unknown. An Idempotency-Key makes it safe to try again.",
        retry_after=5,
    ),
    StoreRefusesWrites: Kind(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "database-unavailable",
        "The database does not store",
        "Nothing was stored. Try again.",
        retry_after=5,
    ),
    SchemaNewer: Kind(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "schema-newer",
        "The database schema is that of a newer version",
        "Try again when the newer version runs.",
        retry_after=30,
    ),
    SchemaForeign: Kind(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "schema-foreign",
        "The database schema is not known",
        "An operator has to look at the database.",
        retry_after=30,
    ),
    SchemaOutdated: Kind(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "schema-outdated",
        "The database schema is not the one this version needs",
        "Try again when it has been upgraded.",
        retry_after=30,
    ),
}


def problem_document(
    status: int,
    title: str | None = None,
    *,
    name: str | None = None,
    detail: str | None = None,
    **members: Any,
) -> bytes:
    """Return a problem document. Without a ``name`` it means no more than its status.

    It names the request that is being served, if there is one.
    """
    document = {
        "type": f"urn:stroke:problem:{name}" if name else "about:blank",
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **members,
        "request_id": CURRENT.get(),
    }
    return orjson.dumps({key: value for key, value in document.items() if value is not None})


def problem_response(
    status: int,
    title: str | None = None,
    *,
    name: str | None = None,
    detail: str | None = None,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> Response:
    """Return the answer with ``problem_document`` as its body."""
    content = problem_document(status, title, name=name, detail=detail, **members)
    return Response(content, status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error that ``app`` answers a problem document."""
    app.add_exception_handler(StrokeError, _stroke_error)
    app.add_exception_handler(RequestValidationError, _parameters)
    app.add_exception_handler(HTTPException, _http)


async def answer_to(request: Request, error: StrokeError | HTTPException) -> Response:
    """Return the answer to a request that ended in ``error``, or raise a fault of ours again."""
    handler = _stroke_error if isinstance(error, StrokeError) else _http
    return await handler(request, error)


async def _stroke_error(request: Request, error: Exception) -> Response:
    for cause in type(error).__mro__:
        if kind := KINDS.get(cause):
            break
    else:
        raise error
    if kind.status == HTTPStatus.SERVICE_UNAVAILABLE and isinstance(error, StrokeError):
        log_of(request.app).answered(error)
    if isinstance(error, InvalidRequest):
        return _invalid(error.problems, kind)
    if isinstance(error, InvalidPatient | InvalidOutcome):
        return _invalid(of_domain(error.violations))
    return problem_response(
        kind.status,
        kind.title,
        name=kind.name,
        detail=kind.detail or str(error),
        headers=_headers(kind, error),
    )


def _headers(kind: Kind, error: Exception) -> dict[str, str]:
    """Return the headers that a client gets with the document, by RFC 9110 and RFC 6750."""
    if kind.retry_after:
        return {"Retry-After": str(kind.retry_after)}
    if isinstance(error, NotAuthenticated):
        wrong = ', error="invalid_token"' if error.presented else ""
        return {"WWW-Authenticate": _CHALLENGE + wrong}
    if isinstance(error, SiteMissing):
        return {"WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope"'}
    if isinstance(error, ScopeMissing):
        wanted = f', error="insufficient_scope", scope="{error.scope}"'
        return {"WWW-Authenticate": _CHALLENGE + wanted}
    return {}


async def _parameters(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for no other
    return _invalid(of_parameters(error.errors()))


def _invalid(problems: Sequence[FieldProblem], kind: Kind = _INVALID) -> Response:
    listed = problems[:MOST_PROBLEMS]
    return problem_response(
        kind.status,
        kind.title,
        name=kind.name,
        detail=f"Only the first {MOST_PROBLEMS} problems are listed."
        if len(listed) == MOST_PROBLEMS
        else None,
        errors=[problem.model_dump(exclude_none=True) for problem in listed],
    )


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for no other
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request)
        if request.method == "OPTIONS":
            return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
    # Starlette's own details repeat the title; ours are written for clients.
    title = HTTPStatus(error.status_code).phrase
    detail = None if error.detail in (title, "Not Found") else error.detail
    return problem_response(error.status_code, detail=detail, headers=headers)


def _allowed(request: Request) -> str:
    """Return every method of the path: Starlette names only those of its first route."""
    methods = {"OPTIONS"}
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods))
