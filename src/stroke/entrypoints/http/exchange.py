"""One request and its answer: the head waits for the body, and both leave in one write."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from uvicorn._types import ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_NO_BODY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
# What says where the body and the connection end.
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})
_LINE_ENDS: Final = re.compile(rb"[\n\r\0]")
# A larger body is not copied to stand behind its head: the system call is the smaller cost.
_JOINED: Final = 64 * 1024
# So much of a body that nobody wants is read to keep the connection; more ends it.
_DRAINED: Final = 64 * 1024


class Exchange(RequestResponseCycle):
    """uvicorn's cycle, with answers in one piece and no word to clients that have gone.

    ``end`` ends the connection. ``announced`` is the Content-Length of the request, if it has one.
    """

    def __init__(
        self, *, end: Callable[[], None], announced: int | None = None, **given: Any
    ) -> None:
        super().__init__(**given)
        self._end = end
        self._announced = announced
        self._head: bytes | None = None
        self.status = 0

    async def send(self, message: ASGISendEvent) -> None:
        """Take a part of the answer. Parts for a client that has gone are dropped."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if self.transport.is_closing():
            # uvloop raises on a write to a connection whose loss it has not reported yet.
            self.disconnected = True
            return
        if message["type"] == "http.response.start" and not self.response_started:
            self.response_started = True
            self._begin(message)
        elif message["type"] == "http.response.body" and self.response_started:
            if self.response_complete:
                raise RuntimeError("the answer was complete already")
            self._continue(message)
        else:
            raise RuntimeError(f"{message['type']} came at the wrong time")

    def _begin(self, message: HTTPResponseStartEvent) -> None:
        self.status = status = message["status"]
        if not self._body_will_end():
            self.keep_alive = False
        self.waiting_for_100_continue = False
        lines = []
        closes = False
        for raw, value in [*self.default_headers, *message.get("headers", ())]:
            name = raw.lower()
            lines.append(b"%s: %s" % (name, value))
            if name not in _FRAMING:
                continue
            if name == b"content-length" and self.chunked_encoding is None:
                self.expected_content_length = int(value)
                self.chunked_encoding = False
            elif name == b"transfer-encoding" and value.lower() == b"chunked":
                self.expected_content_length = 0
                self.chunked_encoding = True
            elif name == b"connection" and value.lower() == b"close":
                self.keep_alive, closes = False, True
        if not (self.keep_alive or closes):
            lines.append(b"connection: close")
        bodiless = self.scope["method"] == "HEAD" or status in _NO_BODY
        if self.chunked_encoding is None and not bodiless:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked")
        # One look at all of them: three at each header would take longer than the rest of this.
        if _LINE_ENDS.search(b"".join(lines)):
            raise RuntimeError("a header of the answer has a line end")
        self._head = b"%s%s\r\n\r\n" % (STATUS_LINE[status], b"\r\n".join(lines))

    def _body_will_end(self) -> bool:
        """Return whether the next request can be found behind a body that nobody has read."""
        if not self.more_body:
            return True
        # The client may leave out the body that it was not asked to send.
        return not self.waiting_for_100_continue and (
            self._announced is not None and self._announced <= _DRAINED
        )

    def _continue(self, message: HTTPResponseBodyEvent) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        if self.scope["method"] == "HEAD":
            body, self.expected_content_length = b"", 0
        elif self.chunked_encoding:
            size = b"%x\r\n" % len(body)
            ends = b"" if more else b"0\r\n\r\n"
            body = b"".join((size, body, b"\r\n", ends)) if body else ends
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("the answer is longer than its Content-Length")
        if not more and self.expected_content_length:
            raise RuntimeError("the answer is shorter than its Content-Length")
        self._write(body)
        if not more:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self._end()
            self.on_response()

    def _write(self, body: bytes) -> None:
        head, self._head = self._head, None
        if head is None:
            if body:
                self.transport.write(body)
        elif len(body) <= _JOINED:
            self.transport.write(head + body)
        else:
            self.transport.writelines((head, body))
