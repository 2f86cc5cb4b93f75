"""Leads requests straight to their route, past what the framework does for other routes."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from stroke.domain.errors import StrokeError
from stroke.entrypoints.api.access import DirectRoute
from stroke.entrypoints.api.paths import path_of
from stroke.entrypoints.api.problems import answer_to
from stroke.entrypoints.api.replies import answer_instead, watched


class Shortcut:
    """Knows the ``DirectRoute``s among ``routes`` by their paths, as far as these are fixed.

    The router asks one route after the other, and FastAPI keeps stacks of context managers open
    around each: for a prediction all of that took a twelfth of the time (decision 0124). Every
    other request goes on to ``app``, one with another method of such a path among them.
    """

    def __init__(self, app: ASGIApp, *, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._routes = {
            (method, route.path): route
            for route in routes
            if isinstance(route, DirectRoute) and not route.param_convertors
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        route = self._routes.get((scope["method"], path_of(scope)))
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"], scope["endpoint"], scope["path_params"] = route, route.endpoint, {}
        reply, sending = watched(scope, send)
        try:
            await route.app(scope, receive, sending)
        except (StrokeError, HTTPException) as error:
            answer = await answer_to(Request(scope), error)
            await answer_instead(reply, answer, scope, receive, sending)
