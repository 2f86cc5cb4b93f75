"""Whatever a valid client may send is served as HTTP/1.1 says; what is not valid is a problem."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import replace

import pytest

from builders.edge import LIMITS, Answer, Edge, Wire, listening

pytestmark = pytest.mark.anyio

POST = b"POST /p HTTP/1.1\r\nHost: stroke\r\nContent-Length: 5\r\n\r\nhello"
GET = b"GET /g HTTP/1.1\r\nHost: stroke\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: stroke\r\nConnection: close\r\n\r\n"


def paths(answers: list[Answer]) -> list[str]:
    return [json.loads(answer.body)["path"] for answer in answers]


@pytest.mark.parametrize("offered", ["h2c", "websocket", "TLS/1.0", "h2c, websocket"])
async def test_an_offer_of_another_protocol_is_served_as_plain_http(
    edge: Edge, offered: str
) -> None:
    head = (
        "POST /p?q=1 HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 5\r\n"
        f"Host: stroke\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\nUpgrade: {offered}\r\n\r\n"
    ).encode()
    answers = await edge.exchange(head + b"hello" + POST + LAST)
    assert [answer.status for answer in answers] == [200] * 3
    assert paths(answers) == ["/p", "/p", "/last"]
    assert edge.application.seen[0]["body"] == "hello"
    assert edge.application.seen[0]["query"] == "q=1"
    assert edge.application.seen[0]["names"] == ["content-length", "host"]


async def test_an_offer_whose_bytes_arrive_one_by_one_keeps_its_body(edge: Edge) -> None:
    wire = await edge.connect()
    offer = (
        b"POST /p HTTP/1.1\r\nHost: stroke\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    )
    for byte in offer:
        await wire.send(bytes([byte]))
        await asyncio.sleep(0)
    assert json.loads((await wire.answer()).body)["body"] == "hello"


async def test_an_offer_with_connection_close_ends_after_its_answer(edge: Edge) -> None:
    offer = b"GET /g HTTP/1.1\r\nHost: stroke\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n"
    [answer] = await edge.exchange(offer)
    assert answer.status == 200
    assert answer.headers["connection"] == "close"


async def test_an_offer_of_http_1_0_stays_1_0(edge: Edge) -> None:
    [answer] = await edge.exchange(
        b"GET /g HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    assert answer.status == 200


async def test_pipelined_requests_are_answered_in_order(edge: Edge) -> None:
    answers = await edge.exchange(POST + GET + POST + GET + LAST)
    assert paths(answers) == ["/p", "/g", "/p", "/g", "/last"]


async def test_thousands_of_pipelined_requests_are_answered_in_order(edge: Edge) -> None:
    numbered = b"".join(
        b"GET /%d HTTP/1.1\r\nHost: stroke\r\n\r\n" % number for number in range(5_000)
    )
    assert paths(await edge.exchange(numbered + LAST)) == [
        *(f"/{number}" for number in range(5_000)),
        "/last",
    ]


async def test_bodies_of_pipelined_requests_keep_their_place(edge: Edge) -> None:
    large = b"x" * 300_000
    post = b"POST /p HTTP/1.1\r\nHost: stroke\r\nContent-Length: 300000\r\n\r\n" + large
    answers = await edge.exchange(GET + post + post + GET + LAST)
    assert paths(answers) == ["/g", "/p", "/p", "/g", "/last"]
    assert [len(seen["body"]) for seen in edge.application.seen] == [0, 300_000, 300_000, 0, 0]


async def test_a_connection_is_kept_for_the_next_request(edge: Edge) -> None:
    wire = await edge.connect()
    for _ in range(3):
        await wire.send(POST)
        assert (await wire.answer()).status == 200


@pytest.mark.parametrize(
    "behind",
    [
        b"garbage\r\n\r\n",
        b"\x00\x01\x02",
        b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"u" * 300),
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    ],
)
async def test_a_valid_request_before_garbage_gets_its_answer_and_then_the_end(
    edge: Edge, behind: bytes
) -> None:
    answers = await edge.exchange(POST + behind)
    assert paths(answers) == ["/p"]
    assert answers[0].headers["connection"] == "close"
    assert [seen["path"] for seen in edge.application.seen] == ["/p"]


async def test_garbage_while_a_request_is_served_does_not_cost_its_answer(edge: Edge) -> None:
    wire = await edge.connect()
    await wire.send(b"GET /held HTTP/1.1\r\nHost: stroke\r\n\r\n")
    await asyncio.sleep(0.05)
    await wire.send(b"garbage\r\n\r\n")
    await asyncio.sleep(0.05)
    edge.application.go.set()
    assert (await wire.answer()).status == 200
    assert await wire.rest() == b""


async def test_garbage_after_an_answer_is_a_400(edge: Edge) -> None:
    wire = await edge.connect()
    await wire.send(POST)
    assert (await wire.answer()).status == 200
    await wire.send(b"garbage\r\n\r\n")
    assert (await wire.answer()).status == 400
    assert await wire.rest() == b""


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"garbage\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"CONNECT stroke:80 HTTP/1.1\r\nHost: stroke\r\n\r\n", 501),
        (b"GET \xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\x00\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n" + CHUNKED, 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 501),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ],
)
async def test_what_is_not_valid_is_a_problem_document(
    edge: Edge, sent: bytes, status: int
) -> None:
    [answer] = await edge.exchange(sent)
    assert answer.status == status
    assert answer.problem["detail"]
    assert edge.application.seen == []


@pytest.mark.parametrize("broken", [b"zz\r\n", b"5\r\nhelloX", b"-1\r\n", b"fffffffffffffffff\r\n"])
async def test_a_body_that_is_no_valid_chunks_never_becomes_a_request(
    edge: Edge, broken: bytes
) -> None:
    head = b"POST /p HTTP/1.1\r\nHost: stroke\r\nTransfer-Encoding: chunked\r\n\r\n"
    [answer] = await edge.exchange(head + broken)
    assert answer.status == 400
    assert edge.application.seen == []
    assert edge.application.hung_up == 1


async def test_the_request_before_a_body_that_is_no_valid_chunks_is_answered(edge: Edge) -> None:
    head = b"POST /p HTTP/1.1\r\nHost: stroke\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert paths(await edge.exchange(GET + head + b"zz\r\n")) == ["/g"]


async def test_http_1_0_is_answered_and_ended(edge: Edge) -> None:
    [answer] = await edge.exchange(b"GET /g HTTP/1.0\r\n\r\n")
    assert answer.status == 200
    assert answer.headers["connection"] == "close"


async def test_connection_close_is_heeded(edge: Edge) -> None:
    [answer] = await edge.exchange(LAST)
    assert answer.headers["connection"] == "close"


async def test_head_has_the_length_and_no_body(edge: Edge) -> None:
    wire = await edge.connect()
    await wire.send(b"HEAD /g HTTP/1.1\r\nHost: stroke\r\n\r\n")
    assert int((await wire.answer(head=True)).headers["content-length"]) > 0
    await wire.send(GET)  # nothing of a body stands before the next answer
    assert (await wire.answer()).status == 200


@pytest.mark.parametrize("target", [b"http://stroke/p", b"http://stroke", b"*"])
async def test_every_form_of_a_target_reaches_the_application(edge: Edge, target: bytes) -> None:
    [answer] = await edge.exchange(
        b"OPTIONS " + target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    assert answer.status == 200
    assert paths([answer])[0] == {b"http://stroke/p": "/p", b"*": "*"}.get(target, "/")


async def test_a_client_that_closes_its_side_still_gets_its_answers(edge: Edge) -> None:
    answers = await edge.exchange(POST + GET, end=True)
    assert paths(answers) == ["/p", "/g"]


async def test_a_client_that_leaves_within_its_body_was_no_request(edge: Edge) -> None:
    wire = await edge.connect()
    await wire.send(POST[:-2], end=True)
    assert await wire.rest() == b""
    await asyncio.sleep(0.05)
    assert edge.application.hung_up == 1
    assert edge.state.connections == set()


@pytest.mark.parametrize("blank", [b" ", b"\t", b" \t  "])
async def test_blanks_around_a_header_do_not_belong_to_its_value(edge: Edge, blank: bytes) -> None:
    head = b"POST /p HTTP/1.1\r\nHost:%sstroke%s\r\nTransfer-Encoding: chunked \r\n\r\n"
    [answer, _] = await edge.exchange(head % (blank, blank) + b"5\r\nhello\r\n0\r\n\r\n" + LAST)
    assert answer.status == 200
    assert edge.application.seen[0]["body"] == "hello"
    assert edge.application.seen[0]["host"] == "stroke"


async def test_100_continue_is_said_when_the_body_is_wanted(edge: Edge) -> None:
    wire = await edge.connect()
    await wire.send(
        b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n"
    )
    assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await wire.send(b"hello")
    assert (await wire.answer()).status == 200
    await wire.send(GET)
    assert (await wire.answer()).status == 200


async def test_an_answer_instead_of_100_continue_ends_the_connection(edge: Edge) -> None:
    # The client may or may not send the body: what follows could be either.
    [answer] = await edge.exchange(
        b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    )
    assert answer.status == 200
    assert answer.headers["connection"] == "close"


async def test_an_answer_before_a_short_body_keeps_the_connection(edge: Edge) -> None:
    wire = await edge.connect()
    await wire.send(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
    assert (await wire.answer()).status == 200
    await wire.send(b"llo" + GET)
    assert paths([await wire.answer()]) == ["/g"]


async def test_an_answer_before_a_long_body_arrives_and_ends_the_connection(edge: Edge) -> None:
    head = b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n"
    [answer] = await edge.exchange(head + b"x" * 3_000_000)
    assert answer.status == 200
    assert answer.headers["connection"] == "close"


async def test_each_answer_arrives_in_one_piece(edge: Edge) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", edge.port)) as client:
        client.setblocking(False)
        for request in (POST, GET, b"garbage\r\n\r\n"):
            await loop.sock_sendall(client, request)
            first = await loop.sock_recv(client, 65536)
            head, _, body = first.partition(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            assert len(body) == length > 0


async def test_an_answer_in_parts_is_chunked_and_whole(edge: Edge) -> None:
    wire = await edge.connect()
    await wire.send(b"GET /stream HTTP/1.1\r\nHost: stroke\r\nConnection: close\r\n\r\n")
    head, _, body = (await wire.rest()).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body.startswith(b"a\r\n")
    assert body.endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n", b"\0"])
@pytest.mark.parametrize("place", [0, 1])
async def test_a_header_with_a_line_end_never_reaches_the_client(
    edge: Edge, end: bytes, place: int
) -> None:
    header = [b"x-one", b"1"]
    header[place] += end + b"x-two: 2"
    edge.application.more = [(b"x-before", b"0"), (header[0], header[1])]
    assert b"x-two" not in await (await asking(edge)).rest()


async def test_headers_arrive_in_their_order_and_in_lower_case(edge: Edge) -> None:
    edge.application.more = [(b"X-One", b"1"), (b"x-two", b""), (b"X-One", b"3")]
    read = await (await asking(edge)).rest()
    assert b"\r\nx-one: 1\r\nx-two: \r\nx-one: 3\r\n" in read
    assert read.startswith(b"HTTP/1.1 200 OK\r\n")


async def asking(edge: Edge) -> Wire:
    wire = await edge.connect()
    await wire.send(LAST)
    return wire


async def test_a_large_answer_is_whole(edge: Edge) -> None:
    [answer] = await edge.exchange(
        b"GET /large HTTP/1.1\r\nHost: stroke\r\nConnection: close\r\n\r\n"
    )
    assert len(answer.body) == 1_000_000


async def test_a_client_that_should_come_later_is_read_later() -> None:
    async with listening(replace(LIMITS, pause_seconds=0.3)) as edge:
        wire = await edge.connect()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await wire.send(b"GET /full HTTP/1.1\r\nHost: stroke\r\n\r\n" * 3)
        assert [(await wire.answer()).status for _ in range(3)] == [503] * 3
        assert loop.time() - began > 0.5
        await wire.send(GET)
        assert (await wire.answer()).status == 200


async def test_a_stop_answers_what_was_asked_and_ends_the_rest(edge: Edge) -> None:
    asked, silent = await edge.connect(), await edge.connect()
    await asked.send(b"GET /held HTTP/1.1\r\nHost: stroke\r\n\r\n")
    await asyncio.sleep(0.05)
    for connection in list(edge.state.connections):
        connection.shutdown()
    assert await silent.rest() == b""
    edge.application.go.set()
    answer = await asked.answer()
    assert answer.headers["connection"] == "close"
    assert await asked.rest() == b""
