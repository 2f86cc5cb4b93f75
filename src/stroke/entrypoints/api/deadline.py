"""How long the service may take to answer one request."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from stroke.domain.errors import StrokeError
from stroke.entrypoints.api.causes import CauseLog
from stroke.entrypoints.api.problems import problem_response
from stroke.entrypoints.api.replies import answer_instead, watched

BEGAN: Final = "stroke.began"
"""Under it the scope of a request that had to wait has the loop's time at its begin."""


class DeadlinePassed(StrokeError):
    """A request took longer than any may."""


class Deadline:
    """Answers 503 to a request that takes longer than ``seconds``, and stops working on it."""

    def __init__(self, app: ASGIApp, *, seconds: float, causes: CauseLog) -> None:
        self._app = app
        self._seconds = seconds
        self._causes = causes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reply, sending = watched(scope, send)
        try:
            began = scope.get(BEGAN) or asyncio.get_running_loop().time()
            async with asyncio.timeout_at(began + self._seconds) as deadline:
                await self._app(scope, receive, sending)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            passed = DeadlinePassed(f"a request took longer than {self._seconds:g} seconds")
            passed.__cause__ = error
            self._causes.answered(passed)
            answer = problem_response(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The request took too long",
                name="deadline-passed",
                detail="The outcome is unknown. An Idempotency-Key makes it safe to try again.",
                headers={"Retry-After": "1"},
            )
            await answer_instead(reply, answer, scope, receive, sending)
