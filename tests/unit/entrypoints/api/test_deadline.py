from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from builders.asgi import connected
from builders.predictions import patient_json
from stroke.entrypoints.api.causes import CauseLog
from stroke.entrypoints.api.deadline import Deadline

pytestmark = pytest.mark.anyio


async def test_a_request_that_takes_too_long_is_503_and_its_work_ends(
    parts_with: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    parts = parts_with(request_seconds=0.2)
    parts.repository.held = asyncio.Event()  # a database that does not come to its end
    async with connected(parts.app) as client:
        async with asyncio.timeout(5):
            answer = await client.post("/predict", json=patient_json())
        parts.repository.held.set()
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:stroke:problem:deadline-passed"
    assert int(answer.headers["retry-after"]) > 0
    assert "a request took longer than 0.2 seconds" in caplog.text


async def test_others_are_answered_meanwhile(parts_with: Callable[..., Any]) -> None:
    parts = parts_with(request_seconds=0.2)
    parts.repository.held = asyncio.Event()
    async with connected(parts.app) as client:
        slow, quick = await asyncio.gather(
            client.post("/predict", json=patient_json()), client.get("/")
        )
        parts.repository.held.set()
    assert (slow.status_code, quick.status_code) == (503, 200)


async def test_a_timeout_of_the_application_itself_is_not_the_deadlines() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise TimeoutError("a driver's own")

    app = Deadline(failing, seconds=5, causes=CauseLog(60))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://stroke") as client:
        with pytest.raises(TimeoutError, match="a driver's own"):
            await client.get("/")


async def test_half_an_answer_ends_with_a_broken_connection() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(5)

    app = Deadline(slow, seconds=0.05, causes=CauseLog(60))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://stroke") as client:
        with pytest.raises(ConnectionAbortedError):
            await client.get("/")
