"""What every answer carries besides its content: the id of its request, and security headers."""

from __future__ import annotations

from typing import Final

from opentelemetry import trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stroke.entrypoints.request_id import CURRENT, HEADER, request_id_of

SECURITY: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    # An answer is data: a browser that is led to show it as a page may run and load nothing.
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    # Answers hold patients: neither a browser nor a proxy may keep them.
    (b"cache-control", b"no-store"),
)
"""Headers of every answer. A route that sets one of them itself keeps its own."""

_NAMES: Final = frozenset(name for name, _ in SECURITY)
_ATTRIBUTE: Final = "stroke.request_id"


class Envelope:
    """Gives each request its id, for logs, spans and problems too, and each answer its headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope["headers"])
        trace.get_current_span().set_attribute(_ATTRIBUTE, request_id)

        async def enveloped(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = list(message.get("headers", ()))
                named = _NAMES.intersection([name.lower() for name, _ in own])
                added = SECURITY if not named else [h for h in SECURITY if h[0] not in named]
                headers = [*own, (HEADER, request_id.encode()), *added]
                message = {**message, "headers": headers}
            await send(message)

        token = CURRENT.set(request_id)
        try:
            await self._app(scope, receive, enveloped)
        finally:
            CURRENT.reset(token)
