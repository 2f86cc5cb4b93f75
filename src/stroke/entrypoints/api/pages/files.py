"""The files that pages load: styles, one script, an icon."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from stroke.entrypoints.api.access import GuardedRoute, for_everybody
from stroke.entrypoints.ui.rendering import assets

router = APIRouter(route_class=GuardedRoute, include_in_schema=False)

# Their address changes with them.
_KEPT: Final = "public, max-age=31536000, immutable"


@router.get("/ui/assets/{version}/{name}")
@for_everybody
async def asset(request: Request, version: str, name: str) -> Response:  # noqa: ARG001
    """One of them, in gzip for clients that take that. Any version is the one that is served."""
    if (found := assets().get(name)) is None:
        raise HTTPException(404)
    headers = {"Cache-Control": _KEPT, "Vary": "Accept-Encoding"}
    content = found.content
    if "gzip" in request.headers.get("accept-encoding", ""):
        content = found.zipped
        headers["Content-Encoding"] = "gzip"
    return Response(content, 200, headers, found.media_type)
