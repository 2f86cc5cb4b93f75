"""Runs an ASGI application in the test's own event loop, its lifespan included."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI

from builders.resources import FOLDER, keep_resources


def from_this_machine(app: FastAPI) -> Any:
    """Return ``app`` for a test client that has no address: it calls from this machine."""

    async def called(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "client": ("127.0.0.1", 50_000)}, receive, send)

    return called


@asynccontextmanager
async def connected(
    app: FastAPI, *, address: str = "127.0.0.1"
) -> AsyncIterator[httpx.AsyncClient]:
    """Start ``app`` as a server would, and yield a client of it, which calls from ``address``."""
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        async def keep(answer: httpx.Response) -> None:
            await answer.aread()
            keep_resources(answer.content, os.environ.get("PYTEST_CURRENT_TEST", ""))

        transport = httpx.ASGITransport(with_state, client=(address, 50_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://stroke") as client:
            if FOLDER in os.environ:
                client.event_hooks["response"].append(keep)
            yield client
