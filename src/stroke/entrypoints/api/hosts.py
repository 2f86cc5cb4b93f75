"""Under which names the service answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from stroke.domain.access import is_loopback
from stroke.domain.errors import StoreUnavailable
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
        detail = "This service does not answer under the name in the Host header."
        await _refuse(detail, scope, receive, send)

    def _allows(self, scope: Scope) -> bool:
        name = _name(_host(scope))
        return name in self._names or name.endswith(self._ends)


class OwnHosts:
    """Answers 400 to a request over the loopback whose ``Host`` is a name from elsewhere.

    It does so while the service is open: while ``is_open`` returns True. Then what protects stored
    predictions is that only this machine reaches the service. But a browser on it loads pages from
    anywhere, and the owner of a page may let its name lead to 127.0.0.1 afterwards (DNS
    rebinding): the page reads answers as its own. Its ``Host`` still has that name.

    ``localhost``, names that end in ``.localhost`` and addresses of the loopback are our own.
    Browsers always send a ``Host``, so a request without one is served.
    """

    def __init__(self, app: ASGIApp, *, is_open: Callable[[], Awaitable[bool]]) -> None:
        self._app = app
        self._is_open = is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["path"] in PROBES
            or not is_loopback((scope.get("server") or ("",))[0])
            or not (host := _host(scope))
            or _is_own(_name(host))
            or not await self._may_be_called_by_all()
        ):
            await self._app(scope, receive, send)
            return
        detail = (
            "Without an API key, this service answers under names of this machine only, such as "
            "localhost. STROKE_HTTP_ALLOWED_HOSTS allows others."
        )
        await _refuse(detail, scope, receive, send)

    async def _may_be_called_by_all(self) -> bool:
        try:
            return await self._is_open()
        except StoreUnavailable:
            return False  # the route answers 503


async def _refuse(detail: str, scope: Scope, receive: Receive, send: Send) -> None:
    answer = problem_response(HTTPStatus.BAD_REQUEST, name="host-unknown", detail=detail)
    await answer(scope, receive, send)


def _host(scope: Scope) -> str:
    sent = next((value for name, value in scope["headers"] if name == b"host"), b"")
    return sent.decode("latin-1").lower()


def _name(host: str) -> str:
    """Return the name or address in a ``Host``, without the port; that of IPv6 has its brackets."""
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


def _is_own(name: str) -> bool:
    return (
        name == "localhost"
        or name.endswith(".localhost")
        or is_loopback(name.removeprefix("[").removesuffix("]"))
    )
