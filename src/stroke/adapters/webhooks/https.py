"""One address that gets word of changes, by a POST over HTTPS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import h11
import orjson

from stroke.application.models.ports import Webhook
from stroke.domain.errors import EndpointUnavailable

_CHUNK: Final = 16_384
_LARGEST_HEAD: Final = 65_536
_PORT: Final = 443


class HttpsWebhook(Webhook):
    """Posts JSON to ``url``, whose certificate is verified, within ``seconds``.

    An answer from 200 to 299 counts. A redirect is not followed, and counts as a refusal. No error
    names the address, which may have a secret in it.
    """

    def __init__(self, url: str, *, seconds: float, context: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or _PORT
        self._name = parts.netloc.rpartition("@")[2]
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._seconds = seconds
        self._context = context

    async def send(self, document: Mapping[str, object]) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                status = await self._posted(orjson.dumps(document))
        except TimeoutError:
            raise EndpointUnavailable("the webhook did not answer in time") from None
        except ssl.SSLError:
            raise EndpointUnavailable("the webhook's certificate does not count") from None
        except (OSError, UnicodeError, h11.ProtocolError):
            raise EndpointUnavailable("the webhook cannot be reached") from None
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise EndpointUnavailable(f"the webhook answered with the status {status}")

    async def _posted(self, body: bytes) -> int:
        if self._context is None:  # reads files: not before the first message
            self._context = await asyncio.to_thread(ssl.create_default_context)
        reader, writer = await asyncio.open_connection(
            self._host, self._port, ssl=self._context, server_hostname=self._host
        )
        try:
            return await self._exchanged(reader, writer, body)
        finally:
            writer.transport.abort()

    async def _exchanged(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes
    ) -> int:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)
        headers = [
            ("Host", self._name),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            ("User-Agent", "stroke"),
        ]
        head = h11.Request(method="POST", target=self._target, headers=headers)
        for event in (head, h11.Data(body), h11.EndOfMessage()):
            writer.write(connection.send(event) or b"")
        await writer.drain()
        while True:
            answer = connection.next_event()
            if answer is h11.NEED_DATA:
                connection.receive_data(await reader.read(_CHUNK))
            elif isinstance(answer, h11.Response):
                return answer.status_code  # what else it says is not read
            elif not isinstance(answer, h11.InformationalResponse):
                raise h11.RemoteProtocolError("the connection was closed")
