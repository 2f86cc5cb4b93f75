"""Under which names the service answers."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from stroke.entrypoints.api.probes import PROBES
from stroke.entrypoints.api.problems import problem_response


class AllowedHosts:
    """Answers 400 to a request whose ``Host`` is none of ``allowed``.

    A name stands for itself with any port; ``*.example.org`` stands for each name that ends in
    ``.example.org``.
    """

    def __init__(self, app: ASGIApp, *, allowed: Sequence[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in allowed if not name.startswith("*"))
        self._ends = tuple(name[1:].lower() for name in allowed if name.startswith("*"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES or self._allows(scope):
            await self._app(scope, receive, send)
            return
        answer = problem_response(
            HTTPStatus.BAD_REQUEST,
            name="host-unknown",
            detail="This service does not answer under the name in the Host header.",
        )
        await answer(scope, receive, send)

    def _allows(self, scope: Scope) -> bool:
        host = Headers(scope=scope).get("host", "").lower()
        name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
        return name in self._names or name.endswith(self._ends)
