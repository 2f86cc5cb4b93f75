"""CORS: whose pages may call the API from a browser, and whose may call the hooks only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from stroke.entrypoints.api.inference import LENGTH_HEADER
from stroke.entrypoints.api.paths import HOOKS, is_under
from stroke.entrypoints.api.rates import RATE_HEADERS

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE")
_MAY_SEND: Final = (
    "Authorization",
    "Content-Type",
    "Content-Encoding",
    "Idempotency-Key",
    LENGTH_HEADER,
    "X-API-Key",
    "X-Request-ID",
)
_MAY_READ: Final = (
    LENGTH_HEADER,
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
    *RATE_HEADERS,
)


class Origins:
    """Answers pages of ``everywhere`` on each path, and those of ``hooks`` under /cds-services."""

    def __init__(self, app: ASGIApp, *, everywhere: Sequence[str], hooks: Sequence[str]) -> None:
        self._elsewhere = _answering(app, everywhere)
        self._at_hooks = _answering(app, (*everywhere, *hooks))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        of_hooks = scope["type"] == "http" and is_under(scope, HOOKS)
        await (self._at_hooks if of_hooks else self._elsewhere)(scope, receive, send)


def _answering(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=_METHODS,
        allow_headers=_MAY_SEND,
        expose_headers=_MAY_READ,
    )
