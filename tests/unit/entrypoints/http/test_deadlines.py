"""Nobody holds a connection by doing nothing, or almost nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from builders.edge import LIMITS, Edge, listening
from components.loop_clock import put_ahead

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: stroke\r\n\r\n"
HELD = b"GET /held HTTP/1.1\r\nHost: stroke\r\n\r\n"
BODY = b"POST / HTTP/1.1\r\nHost: stroke\r\nContent-Length: 1000\r\n\r\n"
SHORT = replace(LIMITS, idle_seconds=0.3, head_seconds=0.3, body_seconds=0.3, bytes_per_second=100)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - it is the server's state, which sets no event
            await asyncio.sleep(0.01)


# uvloop's clock cannot be put ahead. The other tests try the deadlines on it, with real time.
clock_of_ours = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    async with listening(SHORT) as edge:
        yield edge


async def test_a_silent_connection_is_closed_without_a_word(edge: Edge) -> None:
    assert await edge.exchange(b"") == []
    assert edge.state.connections == set()


@clock_of_ours
async def test_a_connection_is_closed_when_no_further_request_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The other limits are out of reach: a request that is cut by a pause is not what is tried.
    async with listening(replace(LIMITS, idle_seconds=150, head_seconds=1000)) as edge:
        wire = await edge.connect()
        for _ in range(4):
            await wire.send(GET)
            assert (await wire.answer()).status == 200
            put_ahead(monkeypatch, 50)  # each request gives it its time again
            await asyncio.sleep(0.01)
        put_ahead(monkeypatch, 100)
        async with asyncio.timeout(30):
            assert await wire.rest() == b""


@pytest.mark.parametrize("begun", [b"G", GET[:-2], b"GET / HTTP/1.1\r\nHost"])
async def test_a_head_that_stops_is_408(edge: Edge, begun: bytes) -> None:
    [answer] = await edge.exchange(begun)
    assert answer.status == 408
    assert answer.problem["detail"] == "The head of a request must arrive within 0.3 seconds."
    assert edge.refused == [408]


@pytest.mark.parametrize("begun", [GET[:-2], BODY, b"GET / HTTP/1.1\r\nHost: stroke\r\nh: "])
async def test_a_request_that_trickles_is_408(edge: Edge, begun: bytes) -> None:
    wire = await edge.connect()
    await wire.send(begun)

    async def trickle() -> None:
        while True:
            await wire.send(b"x")
            await asyncio.sleep(0.02)

    trickling = asyncio.create_task(trickle())
    answer = await wire.answer()
    trickling.cancel()
    assert answer.status == 408
    assert edge.application.seen == []


@clock_of_ours
async def test_a_body_that_comes_slowly_but_steadily_is_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Of the 100 bytes that each 100 seconds need there come 250, over 400 seconds.
    async with listening(replace(LIMITS, body_seconds=100, bytes_per_second=1)) as edge:
        wire = await edge.connect()
        await wire.send(BODY)
        for _ in range(20):
            await wire.send(b"x" * 50)
            await asyncio.sleep(0.02)  # for the bytes to arrive
            put_ahead(monkeypatch, 20)
        assert (await wire.answer()).status == 200


async def test_a_body_that_stops_after_the_answer_ends_the_connection(edge: Edge) -> None:
    [answer] = await edge.exchange(
        b"POST /early HTTP/1.1\r\nHost: stroke\r\nContent-Length: 5\r\n\r\nhe"
    )
    assert answer.status == 200


async def test_an_answer_may_take_longer_than_any_deadline(edge: Edge) -> None:
    wire = await edge.connect()
    await wire.send(HELD)
    await asyncio.sleep(0.8)
    edge.application.go.set()
    assert (await wire.answer()).status == 200


async def test_half_a_head_behind_a_request_does_not_cost_its_answer(edge: Edge) -> None:
    wire = await edge.connect()
    await wire.send(HELD + GET[:10])
    await asyncio.sleep(0.8)
    edge.application.go.set()
    assert (await wire.answer()).status == 200
    assert await wire.rest() == b""


async def test_a_client_that_does_not_read_its_answers_is_dropped(edge: Edge) -> None:
    wire = await edge.connect()
    wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await wire.send(b"GET /large HTTP/1.1\r\nHost: stroke\r\n\r\n" * 20)
    await until(lambda: bool(edge.state.connections))
    await until(lambda: not edge.state.connections)


async def test_hundreds_of_slow_clients_leave_room_for_the_others(edge: Edge) -> None:
    slow = [await edge.connect() for _ in range(45)]
    for number, wire in enumerate(slow):
        await wire.send([b"", GET[:9], BODY][number % 3])
    wire = await edge.connect()
    await wire.send(GET)
    assert (await wire.answer()).status == 200
    await asyncio.gather(*(wire.rest() for wire in slow))
    await until(lambda: not edge.state.connections)
