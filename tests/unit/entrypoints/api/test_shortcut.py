"""A request gets the same answer on the straight way to its route as by the framework's router."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException

from stroke.domain.errors import (
    NotAuthenticated,
    PredictionNotFound,
    ServiceOverloaded,
    StrokeError,
)
from stroke.entrypoints.api import problems
from stroke.entrypoints.api.access import DirectRoute, for_everybody
from stroke.entrypoints.api.causes import CauseLog, install
from stroke.entrypoints.api.faults import FaultBarrier
from stroke.entrypoints.api.shortcut import Shortcut

pytestmark = pytest.mark.anyio

_ENDS: dict[str, Exception] = {
    "overloaded": ServiceOverloaded("full"),
    "unknown": NotAuthenticated("no key", presented=True),
    "gone": PredictionNotFound(7),
    "large": HTTPException(413, "too large", {"X-Limit": "9"}),
    "fault": StrokeError("one that no answer is known for"),
    "bug": ZeroDivisionError(),
}
router = APIRouter(route_class=DirectRoute)


@router.post("/fixed")
@for_everybody
async def fixed(request: Request) -> Response:
    """Ends as the body says."""
    body = (await request.body()).decode()
    if body in _ENDS:
        raise _ENDS[body]
    return Response(f"{request.scope['route'].path} {request.path_params} {body}", 201)


@router.post("/by/{name}")  # noqa: FAST003 - it reads the request
@for_everybody
async def by_name(request: Request) -> Response:
    """Say its name."""
    return Response(request.path_params["name"])


@router.post("/half")
@for_everybody
async def half(_: Request) -> Response:
    """Break off behind its head."""
    return Half()


class Half(Response):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ServiceOverloaded("behind the head")


def _app(*, straight: bool) -> FastAPI:
    app = FastAPI(routes=router.routes)
    install(app, CauseLog(60))
    problems.install(app)
    if straight:
        app.add_middleware(Shortcut, routes=app.routes)
    app.add_middleware(FaultBarrier)
    return app


def _client(*, straight: bool) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(_app(straight=straight))
    return httpx.AsyncClient(transport=transport, base_url="http://stroke")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        *(("POST", "/fixed", body) for body in ("", "hello", *_ENDS)),
        ("GET", "/fixed", ""),
        ("OPTIONS", "/fixed", ""),
        ("POST", "/fixed/", ""),
        ("POST", "/by/somebody", ""),
        ("POST", "/by/{name}", ""),
        ("POST", "/none", ""),
    ],
)
async def test_both_ways_give_one_answer(method: str, path: str, body: str) -> None:
    answers = []
    for straight in (True, False):
        async with _client(straight=straight) as client:
            answer = await client.request(method, path, content=body)
            answers.append((answer.status_code, answer.headers.multi_items(), answer.content))
    assert answers[0] == answers[1]


async def test_the_straight_way_has_no_stack_of_the_framework_around_it() -> None:
    seen: dict[str, Any] = {}

    async def looked_at(scope: Any, receive: Any, send: Any) -> None:
        await shortcut(scope, receive, send)
        seen.update(scope)

    app = _app(straight=False)
    shortcut = Shortcut(app, routes=app.routes)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(looked_at), base_url="http://stroke"
    ) as client:
        assert (await client.post("/fixed")).text == "/fixed {} "
        straight = dict(seen)
        assert (await client.post("/by/somebody")).text == "somebody"
    assert "router" not in straight
    assert "router" in seen


@pytest.mark.parametrize("straight", [True, False])
async def test_an_answer_that_breaks_off_ends_the_connection(*, straight: bool) -> None:
    async with _client(straight=straight) as client:
        with pytest.raises(ConnectionAbortedError):
            await client.post("/half")
