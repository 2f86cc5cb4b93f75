"""Browsers that open the pages of an application."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from builders.asgi import connected
from builders.service import Parts
from stroke.application.access.keys import KeyService, NewKey
from stroke.container.clock import utc_now


class Browser:
    """Keeps cookies, asks for pages, and sends forms as a browser does."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        client.headers["Accept"] = "text/html"
        self.client = client

    async def open(self, path: str) -> httpx.Response:
        return await self.client.get(path)

    async def token(self, path: str = "/ui/sign-in") -> str:
        """Return the token of the page's form, or of the session if it has none."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', (await self.open(path)).text)
        if found is None:
            return str((await self.client.get("/ui/session")).json()["csrf_token"])
        return found[1]

    async def send(self, path: str, **fields: str) -> httpx.Response:
        """Send a form with the token of this browser."""
        return await self.client.post(path, data={"csrf_token": await self.token(), **fields})

    async def sign_in(self, key: str, **fields: str) -> httpx.Response:
        return await self.send("/ui/sign-in", key=key, **fields)

    async def is_signed_in(self) -> bool:
        return bool((await self.client.get("/ui/session")).json()["signed_in"])

    async def ask(self, path: str, **headers: str) -> httpx.Response:
        """Ask as the script of a page does."""
        sent = {"Accept": "*/*", "X-CSRF-Token": await self.token(), **headers}
        return await self.client.get(path, headers=sent)


@asynccontextmanager
async def browsers(parts: Parts) -> AsyncIterator[list[Browser]]:
    """Run the application; give two browsers."""
    async with connected(parts.app) as one, connected(parts.app) as two:
        yield [Browser(one), Browser(two)]


async def make_key(parts: Parts, *scopes: str, **changes: Any) -> NewKey:
    """Store a key."""
    fields: dict[str, Any] = {"name": "test", "site": "north", **changes}
    service = KeyService(parts.keys, now=utc_now)
    return await service.create(scopes=scopes or ["admin"], **fields)


def cookies_of(answer: httpx.Response) -> Iterable[str]:
    """Return the headers that set cookies."""
    return answer.headers.get_list("set-cookie")


async def with_token(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Return ``client`` with a cookie, and with the token of its pages in each request."""
    client.headers["X-CSRF-Token"] = (await client.get("/ui/session")).json()["csrf_token"]
    return client
