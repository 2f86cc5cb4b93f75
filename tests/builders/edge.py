"""The service's protocol on a real socket of this machine, before a small application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from stroke.entrypoints.api.state import REFUSED
from stroke.entrypoints.http.limits import Limits
from stroke.entrypoints.http.protocol import Protocols

LIMITS = Limits(
    url_bytes=200,
    headers=10,
    header_bytes=1000,
    value_bytes=300,
    connections=50,
    refused_at_once=2,
    unfinished_bytes=100_000,
    idle_seconds=5,
    head_seconds=5,
    body_seconds=5,
    bytes_per_second=10,
    pause_seconds=0,
)


@dataclass
class Application:
    """Reads each request and says what it saw. /early answers at once, /held when ``go`` is set,
    /full with 503; /large answers with a megabyte, and /stream in three parts. Every answer has
    the headers in ``more``."""

    seen: list[dict[str, Any]] = field(default_factory=list)
    hung_up: int = 0
    more: list[tuple[bytes, bytes]] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path, body = scope["path"], b""
        while path != "/early":
            message = await receive()
            if message["type"] == "http.disconnect":
                self.hung_up += 1
                return
            body += message["body"]
            if not message["more_body"]:
                break
        names = [name.decode() for name, _ in scope["headers"]]
        seen = {"method": scope["method"], "path": path, "body": body.decode(), "names": names}
        host = dict(scope["headers"]).get(b"host", b"").decode()
        self.seen.append(seen | {"query": scope["query_string"].decode(), "host": host})
        if path == "/held":
            await self.go.wait()
        answer = json.dumps(seen).encode() if path != "/large" else b"x" * 1_000_000
        length = [] if path == "/stream" else [(b"content-length", b"%d" % len(answer))]
        status = 503 if path == "/full" else 200
        await send({"type": "http.response.start", "status": status, "headers": length + self.more})
        if path == "/stream":
            for part in (answer[:10], b"", answer[10:20]):
                await send({"type": "http.response.body", "body": part, "more_body": True})
            answer = answer[20:]
        await send({"type": "http.response.body", "body": answer})


@dataclass
class Edge:
    """A listening protocol, its application, and what it refused."""

    port: int
    application: Application
    state: ServerState
    refused: list[int]
    wires: list[Wire] = field(default_factory=list)

    async def connect(self) -> Wire:
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self.port))
        self.wires.append(wire)
        return wire

    async def exchange(self, sent: bytes, *, end: bool = False) -> list[Answer]:
        """Send ``sent``; return every answer until the server ends the connection."""
        async with asyncio.timeout(10):
            wire = await self.connect()
            await wire.send(sent, end=end)
            return answers(await wire.rest())


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        document: dict[str, Any] = json.loads(self.body)
        assert document["status"] == self.status
        return document


@dataclass
class Wire:
    """A client that speaks bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes, *, end: bool = False) -> None:
        self.writer.write(data)
        try:
            await self.writer.drain()
        except ConnectionError:
            return  # the server has seen enough
        if end:
            self.writer.write_eof()

    async def rest(self) -> bytes:
        """Return everything until the server ends the connection, and end it here too."""
        read = b""
        try:
            while part := await self.reader.read(65536):
                read += part
        except ConnectionError:
            pass
        self.writer.close()
        return read

    async def answer(self, *, head: bool = False) -> Answer:
        """Return the next answer."""
        async with asyncio.timeout(10):
            start = await self.reader.readuntil(b"\r\n\r\n")
            status, headers = _head(start)
            length = 0 if head else int(headers.get("content-length", 0))
            return Answer(status, headers, await self.reader.readexactly(length))


def _head(start: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = start.decode().rstrip("\r\n").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), headers


def answers(read: bytes) -> list[Answer]:
    """Return the answers in ``read``, each with a Content-Length."""
    found = []
    while read:
        start, _, read = read.partition(b"\r\n\r\n")
        status, headers = _head(start)
        length = int(headers.get("content-length", 0))
        assert len(read) >= length, "an answer broke off"
        found.append(Answer(status, headers, read[:length]))
        read = read[length:]
    return found


@asynccontextmanager
async def listening(limits: Limits = LIMITS) -> AsyncIterator[Edge]:
    application, state, refused = Application(), ServerState(), []  # type: ignore[var-annotated]
    config = Config(application, http=Protocols(limits), log_config=None)  # type: ignore[arg-type]
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: config.http_protocol_class(  # type: ignore[call-arg]
            config=config, server_state=state, app_state={REFUSED: refused.append}
        ),
        "127.0.0.1",
        0,
    )
    edge = Edge(server.sockets[0].getsockname()[1], application, state, refused)
    try:
        yield edge
    finally:
        application.go.set()
        for wire in edge.wires:
            wire.writer.transport.abort()
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0.01)
