"""Routes over stored predictions: list, find, erase."""

from __future__ import annotations

import re
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import AwareDatetime, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

from stroke.domain.access import Scope
from stroke.domain.audit import AuditAction
from stroke.domain.moments import FIRST, in_utc
from stroke.domain.prediction import LARGEST_ID, PredictionFilter
from stroke.entrypoints.api.access import GuardedRoute, needs, site_of
from stroke.entrypoints.api.auditing import written_down
from stroke.entrypoints.api.openapi import problems
from stroke.entrypoints.api.parameters import given_once
from stroke.entrypoints.api.rendering import json_response
from stroke.entrypoints.api.schemas.fields import PRINTABLE, Country, Province
from stroke.entrypoints.api.schemas.predictions import PageOut, RecordOut
from stroke.entrypoints.api.state import api_state

router = APIRouter(
    tags=["stored predictions"], route_class=GuardedRoute, dependencies=[Depends(given_once)]
)

_ISO_8601: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]")
_YEAR_0: Final = "0000"
_LEAP_YEAR: Final = "0004"


def _instant(text: object, checked: ValidatorFunctionWrapHandler) -> datetime:
    """Return a date and time of RFC 3339, which also has a year 0, as the nearest one there is."""
    # Pydantic takes a bare number for seconds since 1970, or for milliseconds, by its size.
    if not isinstance(text, str) or not _ISO_8601.match(text):
        raise PydanticCustomError("datetime", "Input should be a date and time in ISO 8601")
    if text.startswith(_YEAR_0):
        checked(_LEAP_YEAR + text.removeprefix(_YEAR_0))
        return FIRST
    return in_utc(checked(text))


PredictionId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Instant = Annotated[AwareDatetime, WrapValidator(_instant)]
# Opaque to clients: today the last id of the page, in hexadecimal digits that any id fits.
Cursor = Annotated[
    str | None,
    Query(pattern="^[0-7][0-9a-f]{15}$", description="`next_cursor` of the previous page"),
]


@router.get(
    "/predictions",
    response_model=list[RecordOut],
    responses=problems(422, 503),
    summary="List the newest predictions",
)
@needs(Scope.READ)
@written_down(AuditAction.PREDICTION_LIST)
async def newest(request: Request, limit: Limit = 100) -> Response:
    """For existing clients; `GET /api/v1/predictions` pages through all of them."""
    mine = PredictionFilter(site=site_of(request))
    page = await api_state(request).predictions.page(mine, limit=limit)
    return json_response(page.records)


@router.get(
    "/api/v1/predictions",
    response_model=PageOut,
    responses=problems(422, 503),
    summary="List stored predictions, page by page",
)
@needs(Scope.READ)
@written_down(AuditAction.PREDICTION_LIST)
async def page(  # noqa: PLR0917 - FastAPI passes them by name
    request: Request,
    limit: Limit = 100,
    cursor: Cursor = None,
    since: Annotated[
        Instant | None, Query(description="only predictions made at or after this time")
    ] = None,
    until: Annotated[
        Instant | None, Query(description="only predictions made before this time")
    ] = None,
    risk_category: Literal["Low", "Medium", "High"] | None = None,
    country: Country | None = None,
    province: Province | None = None,
    model_version: Annotated[str | None, Query(max_length=100, pattern=PRINTABLE)] = None,
) -> Response:
    """Newest first. No row is repeated or skipped when rows are added meanwhile."""
    narrowed = PredictionFilter(
        since, until, risk_category, country, province, model_version, site_of(request)
    )
    before = None if cursor is None else int(cursor, 16)
    found = await api_state(request).predictions.page(narrowed, limit=limit, before=before)
    following = None if found.next_before is None else f"{found.next_before:016x}"
    return json_response({"items": found.records, "next_cursor": following})


@router.get(
    "/api/v1/predictions/{prediction_id}",
    response_model=RecordOut,
    responses=problems(404, 422, 503),
    summary="Read one stored prediction",
)
@needs(Scope.READ)
@written_down(AuditAction.PREDICTION_READ)
async def find(request: Request, prediction_id: PredictionId) -> Response:
    """The row, column by column, as the table holds it."""
    return json_response(
        await api_state(request).predictions.find(prediction_id, site=site_of(request))
    )


@router.delete(
    "/api/v1/predictions/{prediction_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems(404, 422, 503),
    summary="Erase one stored prediction permanently",
)
@needs(Scope.ERASE)
@written_down(AuditAction.PREDICTION_ERASE, changes=True)
async def erase(request: Request, prediction_id: PredictionId) -> Response:
    """The pipeline removes the row from every copy, too."""
    await api_state(request).predictions.erase(prediction_id, site=site_of(request))
    return Response(status_code=HTTPStatus.NO_CONTENT)
