"""The route over the audit trail: who did what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from stroke.application.audit.ports import AuditFilter
from stroke.domain.access import Scope
from stroke.domain.audit import AuditAction
from stroke.entrypoints.api.access import GuardedRoute, needs, site_of
from stroke.entrypoints.api.auditing import written_down
from stroke.entrypoints.api.openapi import problems
from stroke.entrypoints.api.parameters import given_once
from stroke.entrypoints.api.records import Cursor, Instant, Limit
from stroke.entrypoints.api.rendering import json_response
from stroke.entrypoints.api.schemas.audit import AuditPageOut
from stroke.entrypoints.api.schemas.fields import PRINTABLE
from stroke.entrypoints.api.state import api_state

router = APIRouter(tags=["audit"], route_class=GuardedRoute, dependencies=[Depends(given_once)])

Words = Annotated[str | None, Query(max_length=100, pattern=PRINTABLE)]


@router.get(
    "/api/v1/audit",
    response_model=AuditPageOut,
    responses=problems(422, 503),
    summary="List what was done, page by page",
)
@needs(Scope.AUDIT)
@written_down(AuditAction.AUDIT_READ)
async def page(  # noqa: PLR0917 - FastAPI passes them by name
    request: Request,
    limit: Limit = 100,
    cursor: Cursor = None,
    since: Annotated[Instant | None, Query(description="only what was done since then")] = None,
    until: Annotated[Instant | None, Query(description="only what was done before")] = None,
    actor: Words = None,
    action: Words = None,
    target: Words = None,
) -> Response:
    """Newest first. A caller without `all-sites` sees what callers of its own site did."""
    narrowed = AuditFilter(actor, action, site_of(request), target, since, until)
    before = 0 if cursor is None else int(cursor, 16)
    trail = api_state(request).audit
    found = await trail.newest(narrowed, limit=limit + 1, before=before)
    shown = found[:limit]
    following = f"{shown[-1].number:016x}" if len(found) > limit else None
    return json_response({"items": [each.columns() for each in shown], "next_cursor": following})
