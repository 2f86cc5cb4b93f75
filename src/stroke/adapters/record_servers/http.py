"""FHIR servers over HTTP/1.1, each request at an address that was looked at.

A name is resolved once, and the connection goes to the very address that was found: a name that
resolves otherwise a moment later leads nowhere else (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import h11
import orjson

from stroke.adapters.record_servers.addresses import Network, may_ask
from stroke.application.clinical.ports import Document, NotFetched, RecordServer
from stroke.domain.documents import ambiguity_of

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
_CHUNK: Final = 65_536
_LARGEST_HEAD: Final = 65_536
_THREAD_FROM: Final = 256 * 1024
_PORTS: Final = {"https": 443, "http": 80}


async def resolved(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a name, in the order in which they are to be tried."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


class HttpRecordServer(RecordServer):
    """Asks public addresses, and those of the ``listed`` networks. HTTPS is verified."""

    def __init__(
        self,
        listed: Sequence[Network],
        *,
        context: ssl.SSLContext | None = None,
        resolve: Resolve = resolved,
    ) -> None:
        self._listed = listed
        self._context = context
        self._resolve = resolve

    async def read(self, url: str, token: str, *, most_bytes: int) -> Document:
        """Return the document at ``url``: see the port."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            head = _head(target, parts.netloc.rpartition("@")[2], token)
        except (ValueError, KeyError, h11.LocalProtocolError):
            raise NotFetched("away") from None
        try:
            address = await self._address(host, port)
            tls = await self._tls() if parts.scheme == "https" else None
            reader, writer = await asyncio.open_connection(
                address, port, ssl=tls, server_hostname=host if tls else None
            )
            try:
                body = await _exchanged(reader, writer, head, most_bytes)
            finally:
                writer.transport.abort()
        except (OSError, UnicodeError, h11.RemoteProtocolError):
            raise NotFetched("away") from None
        return Document(await _parsed(body), len(body))

    async def _tls(self) -> ssl.SSLContext:
        """Return what verifies servers. The authorities take 20 ms to read: only where needed."""
        if self._context is None:
            self._context = await asyncio.to_thread(ssl.create_default_context)
        return self._context

    async def _address(self, host: str, port: int) -> str:
        """Return the address to ask. All that a name has must be allowed."""
        found = await self._resolve(host, port)
        if not found:
            raise NotFetched("away")
        if not all(may_ask(each, self._listed) for each in found):
            raise NotFetched("address")
        return found[0]


def _head(target: str, host: str, token: str) -> h11.Request:
    headers = [
        ("Host", host),
        ("Accept", "application/fhir+json"),
        ("Accept-Encoding", "identity"),
        ("Authorization", f"Bearer {token}"),
        ("Connection", "close"),
        ("User-Agent", "stroke"),
    ]
    return h11.Request(method="GET", target=target, headers=headers)


async def _exchanged(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    head: h11.Request,
    most_bytes: int,
) -> bytes:
    """Send a request, and return the body of its answer."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)
    writer.write((connection.send(head) or b"") + (connection.send(h11.EndOfMessage()) or b""))
    await writer.drain()
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_CHUNK))
        elif isinstance(event, h11.Response):
            if event.status_code != HTTPStatus.OK:
                raise NotFetched("refused")
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > most_bytes:
                raise NotFetched("too-long")
        elif isinstance(event, h11.EndOfMessage):
            return bytes(body)
        elif not isinstance(event, h11.InformationalResponse):
            raise NotFetched("away")


def _loaded(body: bytes) -> Any:
    document = orjson.loads(body)
    if ambiguity_of(body):
        raise NotFetched("no-json")
    return document


async def _parsed(body: bytes) -> Any:
    try:
        if len(body) < _THREAD_FROM:
            return _loaded(body)
        return await asyncio.to_thread(_loaded, body)
    except orjson.JSONDecodeError:
        raise NotFetched("no-json") from None
