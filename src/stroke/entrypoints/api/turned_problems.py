"""Errors of routes whose protocol has its own form for them: one place turns every problem."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import orjson
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stroke.entrypoints.api.paths import is_under
from stroke.entrypoints.api.problems import MEDIA_TYPE


class TurnedProblems:
    """Turns the problem documents that ``app`` answers with under ``paths`` by ``turn``.

    The answer has ``media_type`` then. Routes and middleware further in need not know.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        paths: Collection[str],
        media_type: str,
        turn: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    ) -> None:
        self._app = app
        self._paths = paths
        self._media_type = media_type
        self._turn = turn

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_under(scope, *self._paths):
            await self._app(scope, receive, send)
            return
        started: Message | None = None
        body = b""

        async def turned(message: Message) -> None:
            nonlocal started, body
            if message["type"] == "http.response.start" and _is_problem(message):
                started = message
                return
            if started is None:
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            content = orjson.dumps(self._turn(orjson.loads(body))) if body else b""
            headers = MutableHeaders(raw=list(started["headers"]))
            headers["Content-Type"] = self._media_type
            headers["Content-Length"] = str(len(content))
            await send({**started, "headers": headers.raw})
            await send({"type": "http.response.body", "body": content})

        await self._app(scope, receive, turned)


def _is_problem(message: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(MEDIA_TYPE.encode())
        for name, value in message["headers"]
    )
