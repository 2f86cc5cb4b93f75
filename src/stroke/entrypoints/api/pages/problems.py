"""Shows a browser each problem as a page: in the page's language, with what to do."""

from __future__ import annotations

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stroke.entrypoints.api.pages.shell import HOME, failure_page, is_script, wants_page
from stroke.entrypoints.api.paths import is_under
from stroke.entrypoints.api.problems import MEDIA_TYPE

# What the page has of its own.
_OWN = frozenset({"content-type", "content-length", "retry-after"})


class PagesOfProblems:
    """Turns problem documents of ``app`` into pages where a browser asked for a page.

    A script, and a client that does not accept HTML, gets the document itself. The routes and the
    middleware of ``app`` do nothing for this.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_under(scope, HOME):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        if is_script(request) or not wants_page(request):
            await self._app(scope, receive, send)
            return
        started: Message | None = None

        async def shown(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start" and _is_problem(message):
                started = message
                return
            if started is None:
                await send(message)
                return
            if message.get("more_body"):
                return
            kept = Headers(raw=started["headers"])
            wait = kept.get("retry-after", "")
            page = failure_page(
                request, started["status"], retry_after=int(wait) if wait.isdecimal() else None
            )
            headers = MutableHeaders(raw=list(page.raw_headers))
            for name, value in kept.items():
                if name not in _OWN and name not in headers:
                    headers.append(name, value)
            await send({**started, "headers": headers.raw})
            await send({"type": "http.response.body", "body": page.body})

        await self._app(scope, receive, shown)


def _is_problem(message: Message) -> bool:
    return Headers(raw=message["headers"]).get("content-type", "").startswith(MEDIA_TYPE)
