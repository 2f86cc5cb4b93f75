"""Has a crowd of requests wait where waiting is cheap: before the framework looks at them."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from stroke.entrypoints.api.admission import SLOT
from stroke.entrypoints.api.deadline import BEGAN
from stroke.entrypoints.api.predictions import PATHS_OF_ONE_PATIENT
from stroke.entrypoints.api.state import KEY, ApiState


class Turnstile:
    """Waits for the turn of a request with one patient, and lets it on to its route then.

    Behind it FastAPI makes a hundred objects for a request. With thousands of requests that wait,
    all of them together leave the processor's caches, and each costs half as much again.
    Whoever waited in vain goes on to its route as well, which answers 503. The wait counts in the
    request's deadline.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["method"] != "POST"
            or scope["path"].removeprefix(scope.get("root_path", "")) not in PATHS_OF_ONE_PATIENT
        ):
            await self._app(scope, receive, send)
            return
        state: ApiState = scope["state"][KEY]
        if not state.admission.crowded:
            await self._app(scope, receive, send)
            return
        slot = state.admission.place()
        scope[BEGAN] = asyncio.get_running_loop().time()
        await slot.wait()
        scope[SLOT] = slot
        try:
            await self._app(scope, receive, send)
        finally:
            slot.leave()  # when it never came to its route
