"""What is too large is refused by name, before and after the parser, and nothing of it is kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from builders.edge import LIMITS, Edge, listening
from stroke.entrypoints.api.envelope import SECURITY

pytestmark = pytest.mark.anyio


def get(target: str = "/", *headers: str, version: str = "1.1") -> bytes:
    lines = [f"GET {target} HTTP/{version}", "Host: stroke", *headers, "", ""]
    return "\r\n".join(lines).encode()


async def test_sizes_at_their_limit_are_served(edge: Edge) -> None:
    wire = await edge.connect()
    longest = "/" + "u" * (LIMITS.url_bytes - 1)
    most = [f"h{n}: v" for n in range(LIMITS.headers - 1)]  # and Host
    for request in (get(longest), get("/", *most), get("/", "h: " + "v" * LIMITS.value_bytes)):
        await wire.send(request)
        assert (await wire.answer()).status == 200


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (get("/" + "u" * LIMITS.url_bytes), 414),
        (get("/?q=" + "u" * LIMITS.url_bytes), 414),
        (get("http://stroke/" + "u" * LIMITS.url_bytes), 414),
        (get("/", *[f"h{n}: v" for n in range(LIMITS.headers)]), 431),
        (get("/", "h: " + "v" * (LIMITS.value_bytes + 1)), 431),
        (get("/", *[f"h{n}: {'v' * 290}" for n in range(4)]), 431),
        (get("/", "n" * 1200 + ": v"), 431),
        (get("/" + "u" * 5_000_000), 414),
        (get("/", "h: " + "v" * 5_000_000), 431),
        (get("/", *[f"h{n}: v" for n in range(200_000)]), 431),
        (b"GET / HTTP/1.1\r\nHost: stroke\r\n" + b"n" * 500_000, 431),
        (b"GET /" + b"u" * 300, 414),  # not even complete
        (b"\r\n" * 5_000, 400),  # empty lines without end
    ],
)
async def test_a_head_beyond_a_limit_is_a_problem_and_the_end(
    edge: Edge, request_bytes: bytes, status: int
) -> None:
    [answer] = await edge.exchange(request_bytes)
    assert answer.status == status
    assert answer.problem["detail"]
    assert answer.headers["connection"] == "close"
    assert edge.application.seen == []
    assert edge.refused == [status]


async def test_a_head_that_is_sent_byte_by_byte_is_bounded_too(edge: Edge) -> None:
    wire = await edge.connect()
    await wire.send(b"GET / HTTP/1.1\r\nHost: stroke\r\nh: ")
    for _ in range(40):
        await wire.send(b"v" * 100)
        await asyncio.sleep(0)
    assert (await wire.answer()).status == 431


CHUNKED = b"POST / HTTP/1.1\r\nHost: stroke\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "behind",
    [
        b"0\r\n" + b"t: v\r\n" * 20 + b"\r\n",
        b"0\r\nt: " + b"v" * 400 + b"\r\n\r\n",
        b"0\r\nt: " + b"v" * 100_000,
        b"1;" + b"e" * 100_000 + b"\r\nx\r\n0\r\n\r\n",
        b"0" * 100_000,
    ],
)
async def test_trailers_and_the_frames_of_chunks_are_bounded(edge: Edge, behind: bytes) -> None:
    [answer] = await edge.exchange(CHUNKED + behind)
    assert answer.status == 431
    assert edge.application.seen == []
    assert edge.application.hung_up == 1


async def test_trailers_within_the_limits_are_read_and_do_not_become_headers(edge: Edge) -> None:
    wire = await edge.connect()
    await wire.send(CHUNKED + b"2\r\nab\r\n3;x=y\r\ncde\r\n0\r\nTrailed: yes\r\n\r\n")
    answer = await wire.answer()
    assert answer.status == 200
    [seen] = edge.application.seen
    assert seen["body"] == "abcde"
    assert "trailed" not in seen["names"]


async def test_heads_that_are_not_complete_share_a_budget() -> None:
    async with listening(replace(LIMITS, unfinished_bytes=1500)) as edge:
        wires = [await edge.connect() for _ in range(8)]
        for wire in wires:
            await wire.send(b"GET / HTTP/1.1\r\nHost: stroke\r\nh: " + b"v" * 250)
            await asyncio.sleep(0.01)
        refused = await wires[-1].answer()
        assert refused.status == 503
        assert refused.problem["type"] == "urn:stroke:problem:overloaded"
        assert refused.headers["retry-after"] == "1"
        for wire in wires:
            wire.writer.close()
        await asyncio.sleep(0.05)
        again = await edge.connect()  # whoever has gone holds nothing
        await again.send(b"GET / HTTP/1.1\r\nHost: stroke\r\nh: " + b"v" * 250)
        await again.send(b"\r\n\r\n")
        assert (await again.answer()).status == 200


async def test_a_connection_too_many_gets_a_quick_503() -> None:
    async with listening(replace(LIMITS, connections=3)) as edge:
        wires = [await edge.connect() for _ in range(3)]
        for wire in wires:
            await wire.send(get())
            assert (await wire.answer()).status == 200
        [refused] = await edge.exchange(b"")
        assert refused.status == 503
        assert refused.problem["type"] == "urn:stroke:problem:too-many-connections"
        assert refused.headers["retry-after"] == "1"
        for _ in range(LIMITS.refused_at_once):
            await edge.connect()  # and keeps its refusal waiting
        assert await edge.exchange(b"") == []  # dropped without a word
        for wire in edge.wires:
            wire.writer.close()
        await asyncio.sleep(0.05)
        later = await edge.connect()
        await later.send(get())
        assert (await later.answer()).status == 200


async def test_a_refusal_has_the_id_of_its_request_or_a_new_one(edge: Edge) -> None:
    named = get("/", "X-Request-ID: visit-1", *[f"h{n}: v" for n in range(LIMITS.headers)])
    [answer] = await edge.exchange(named)
    assert answer.headers["x-request-id"] == "visit-1" == answer.problem["request_id"]
    [answer] = await edge.exchange(b"\0\0\0\0\r\n\r\n")
    assert len(answer.headers["x-request-id"]) == 32
    assert answer.problem["request_id"] == answer.headers["x-request-id"]


async def test_bytes_behind_a_request_are_not_refused_under_its_id(edge: Edge) -> None:
    wire = await edge.connect()
    await wire.send(get("/", "X-Request-ID: visit-1"))
    assert (await wire.answer()).status == 200
    await wire.send(b"\0\0\0\0\r\n\r\n")
    assert (await wire.answer()).headers["x-request-id"] != "visit-1"


async def test_a_refusal_has_the_security_headers_of_every_answer(edge: Edge) -> None:
    [answer] = await edge.exchange(b"\0\r\n\r\n")
    for name, value in SECURITY:
        assert answer.headers[name.decode()] == value.decode().lower()
