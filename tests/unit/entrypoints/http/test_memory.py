"""A connection that is over leaves nothing to Python's collector of cycles, which seldom runs."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from builders.edge import Edge

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: stroke\r\n\r\n"
BODY = b"POST / HTTP/1.1\r\nHost: stroke\r\nContent-Length: 9\r\n\r\n"
HELD = b"GET /held HTTP/1.1\r\nHost: stroke\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(GET, id="an answered request"),
        pytest.param(GET * 3, id="answered requests"),
        pytest.param(b"GET /", id="half a head"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: stroke\r\nContent-Length: 9\r\n\r\nhalf", id="a body"
        ),
        pytest.param(HELD, id="a request without an answer yet"),
        pytest.param(HELD * 3, id="requests that wait for their turn"),
    ],
)
async def test_a_connection_that_is_lost_is_freed_at_once(edge: Edge, sent: bytes) -> None:
    gc.disable()
    try:
        wire = await edge.connect()
        await wire.send(sent)
        await asyncio.sleep(0.05)
        [connection] = [weakref.ref(each) for each in edge.state.connections]
        wire.writer.transport.abort()
        edge.application.go.set()
        for _ in range(100):
            await asyncio.sleep(0.01)
            if connection() is None:
                break
        assert connection() is None
    finally:
        gc.enable()
