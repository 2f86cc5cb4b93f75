"""HTTP/1.1 on one connection: uvicorn's protocol over httptools, with limits and deadlines.

What it adds, and why none of it fits elsewhere, is in docs/decisions/0050.
"""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from stroke.entrypoints.api.state import REFUSED
from stroke.entrypoints.http import refusals
from stroke.entrypoints.http.exchange import Exchange
from stroke.entrypoints.http.limits import Limits
from stroke.entrypoints.http.refusals import Refusal, RefusalTally
from stroke.entrypoints.request_id import CURRENT, request_id_of

_HIGH_WATER: Final = 64 * 1024
# Requests that arrive in one piece are parsed in parts of this size.
_SLICE: Final = 32 * 1024
# So long a client may go on to send after the last answer, and its bytes are thrown away. Without
# that time the kernel would answer them with a reset, which can destroy the answer on its way.
_LINGER_SECONDS: Final = 2.0
_OFFERS: Final = frozenset({b"upgrade", b"http2-settings"})


class Phase(Enum):
    """What the next bytes of a connection belong to."""

    BETWEEN = "between requests"
    HEAD = "the head of a request"
    BODY = "the body of a request"
    LINGER = "nothing: the last answer is out"


class ServiceProtocol(HttpToolsProtocol):
    """One connection.

    Sizes are checked before and after the parser: it gathers a value of any length by itself.
    One lazy timer watches whatever the connection waits for: it fires at the earliest deadline and
    is set again, so that a request that arrives whole never touches a timer.
    """

    cycle: Exchange | None  # type: ignore[assignment]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits,
        tally: RefusalTally,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.ws_protocol_class = None
        self.parser = httptools.HttpRequestParser(self)  # without uvicorn's leniency
        self._limits = limits
        self._tally = tally
        self._phase = Phase.BETWEEN
        self._running: Exchange | None = None
        self._deaf = False  # nothing that still comes is read
        self._half_closed = False  # the client sends no more, and may read
        self._backlog = b""  # arrived behind requests that wait for their turn
        # The state of the request that is being read:
        self._offer = False
        self._hosts = 0
        self._chunked = False
        self._announced: int | None = None
        self._headers = 0
        self._header_bytes = 0
        # Bytes since a request or a part of a body began: what the parser may hold by itself.
        self._loose = 0
        self._unfinished = 0
        # Deadlines:
        self._timer: asyncio.TimerHandle | None = None
        self._timed: Phase | None = None
        self._deadline = 0.0
        self._window_bytes = 0
        self._reader_timer: asyncio.TimerHandle | None = None
        self._pause: asyncio.TimerHandle | None = None

    # --- the connection ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        excess = len(self.connections) - self._limits.connections
        if excess <= 0:
            self._wait_for(Phase.BETWEEN, self._limits.idle_seconds)
        elif excess <= self._limits.refused_at_once:
            self._answer(refusals.too_many_connections(self._limits))
        else:  # even those that get this answer are too many
            self._count(refusals.too_many_connections(self._limits))
            self._deaf = True
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._timer, self._reader_timer, self._pause):
            if timer is not None:
                timer.cancel()
        self._timer = self._reader_timer = self._pause = None
        self._release_head()
        self._deaf = True
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)
        # They refer to this connection: Python would keep all of them until it looks for cycles.
        self.cycle = self._running = None
        self.pipeline.clear()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection of a client that has sent its request and closed only its side."""
        if self._phase is Phase.BODY or not self._answering():
            self._deaf = True
            return False
        self._half_closed = True
        if not self._backlog:
            self._last_exchange().keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        if self._deaf or self.transport.is_closing():
            return
        if self._backlog or self.pipeline:
            self._keep_for_later(data)
        elif len(data) <= _SLICE:
            self._parse(data)
        else:
            self._parse_in_slices(data)

    def _keep_for_later(self, data: bytes) -> None:
        self._backlog += data
        self.flow.pause_reading()

    def _parse_in_slices(self, data: bytes) -> None:
        """Stop where requests wait for their turn: a client may not queue without end."""
        for start in range(0, len(data), _SLICE):
            if self._deaf or self.transport.is_closing():
                return
            if self.pipeline:
                self._keep_for_later(data[start:])
                return
            self._parse(data[start : start + _SLICE])

    def _parse(self, data: bytes) -> None:
        self._loose += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._go_on_without_offer(data[offer.args[0] :])
            return
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, Refusal) else refusals.malformed())
            return
        if self._loose > self._limits.head_bytes:
            between = self._phase is Phase.BETWEEN
            self._refuse(
                refusals.malformed() if between else refusals.headers_too_large(self._limits)
            )
        elif self._phase is Phase.HEAD:
            self._hold_head(len(data))
        elif self._phase is Phase.BODY and self._timed is not Phase.BODY:
            self._window_bytes = 0
            self._wait_for(Phase.BODY, self._limits.body_seconds)

    def _go_on_without_offer(self, rest: bytes) -> None:
        """Serve a request that offers another protocol (h2c, websocket) as plain HTTP/1.1.

        The parser stops behind the head and cannot go on, so another one reads the
        head again, without the offer, and then the ``rest``.
        """
        lines = [b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, self._version())]
        for name, value in self.headers:
            if name == b"connection":
                tokens = [token.strip() for token in value.split(b",")]
                value = b", ".join(t for t in tokens if t.lower() not in _OFFERS)  # noqa: PLW2901
            if name not in _OFFERS and not (name == b"connection" and not value):
                lines.append(b"%s: %s\r\n" % (name, value))
        self.parser = httptools.HttpRequestParser(self)
        self._loose = 0
        self._parse(b"".join([*lines, b"\r\n", rest]))

    # --- what the parser reports ---

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._phase = Phase.HEAD
        self._offer = self._chunked = False
        self._announced = None
        self._hosts = self._headers = self._header_bytes = self._loose = 0

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self._limits.url_bytes:
            raise refusals.url_too_long(self._limits)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        self._header_bytes += len(name) + len(value)
        if (
            self._headers > self._limits.headers
            or self._header_bytes > self._limits.header_bytes
            or len(value) > self._limits.value_bytes
        ):
            raise refusals.headers_too_large(self._limits)
        if self._phase is Phase.BODY:
            return  # a trailer: counted, but nothing here wants one
        name = name.lower()
        value = value.strip(b" \t")  # blanks around a value are none of it (RFC 9110, 5.5)
        if name == b"host":
            self._hosts += 1
        elif name == b"content-length":
            self._announced = int(value)  # the parser refuses what is no number
        elif name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked":
                raise refusals.coding_unknown()
            self._chunked = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise refusals.method_unknown()
            self._offer = True
            return
        version = self._version()
        if version == b"1.0":
            if self._chunked:
                raise refusals.malformed()  # where its body ends, a 1.0 server cannot know
            self.expect_100_continue = False
            self.scope["http_version"] = "1.0"
        elif version != b"1.1":
            raise refusals.version_unknown()
        if self._hosts > 1 or (version == b"1.1" and not self._hosts):
            raise refusals.host_missing()
        self._locate()
        self._phase = Phase.BODY
        self._release_head()
        self._start(keep_alive=version == b"1.1" and self.parser.should_keep_alive())

    def on_body(self, body: bytes) -> None:
        self._loose = 0
        if self._offer or self.cycle is None:
            return
        self._window_bytes += len(body)
        if self.cycle.response_complete or self.cycle.disconnected:
            return
        self.cycle.body += body
        if len(self.cycle.body) > _HIGH_WATER:
            self.flow.pause_reading()
        self.cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self._offer or self.cycle is None:
            return
        self._loose = 0
        self._phase = Phase.BETWEEN
        self._timed = None
        self.cycle.more_body = False
        if self.cycle.response_complete:
            self._wait_for(Phase.BETWEEN, self._limits.idle_seconds)
        else:
            self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing() or self._phase is Phase.LINGER:
            return
        done = self._running
        self._running = None
        if done is not None and done.status == 503 and self._limits.pause_seconds:  # noqa: PLR2004
            # A client that does not wait for Retry-After waits here, where it costs nothing.
            self.flow.pause_reading()
            self._pause = self.loop.call_later(self._limits.pause_seconds, self._go_on)
        else:
            self._go_on()

    def _go_on(self) -> None:
        self._pause = None
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._running, app = self.pipeline.pop()  # type: ignore[assignment]
            self._start_asgi_task(self._running, app)  # type: ignore[arg-type]
        if not self.pipeline:
            if self._backlog:
                data, self._backlog = self._backlog, b""
                self._parse_in_slices(data)
            if not self._backlog:
                self.flow.resume_reading()
        if not self._answering():
            if self._half_closed:
                self.transport.close()
            elif self._phase is Phase.BETWEEN:
                self._wait_for(Phase.BETWEEN, self._limits.idle_seconds)

    # --- the request that begins ---

    def _version(self) -> bytes:
        version: str = self.parser.get_http_version()
        return version.encode()

    def _locate(self) -> None:
        raw, query = self.url, b""
        if raw != b"*":  # OPTIONS of the server as a whole
            parsed = httptools.parse_url(raw)
            raw, query = parsed.path or b"/", parsed.query or b""
        path = raw.decode("ascii")
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["path"] = urllib.parse.unquote(path) if "%" in path else path
        self.scope["raw_path"] = raw
        self.scope["query_string"] = query

    def _start(self, *, keep_alive: bool) -> None:
        self.cycle = exchange = Exchange(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
            end=self._end,
            announced=self._announced,
        )
        if self._running is None and self._pause is None:
            self._running = exchange
            self._start_asgi_task(exchange, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))

    # --- refusals and ends ---

    def _answering(self) -> bool:
        return self._running is not None or bool(self.pipeline)

    def _last_exchange(self) -> Exchange:
        exchange = self.pipeline[0][0] if self.pipeline else self._running
        assert isinstance(exchange, Exchange)  # noqa: S101 - asked only while answering
        return exchange

    def _refuse(self, refusal: Refusal) -> None:
        """Answer the request that cannot be read, or end the connection after the ones before it.

        Whoever sent a valid request gets its answer, whatever came behind it.
        """
        self._deaf = True
        self._backlog = b""
        if self._phase is Phase.BODY and self.cycle is not None:
            if self.cycle.response_complete:
                self._linger()  # it has its answer, given before its body ended
                return
            self.cycle.keep_alive = False
            if self.cycle.response_started:
                return
            self._abandon(self.cycle)
        if self._answering():
            self._last_exchange().keep_alive = False
            self._count(refusal)
        else:
            self._answer(refusal)

    def _abandon(self, newest: Exchange) -> None:
        """Give up the newest request, whose body does not end."""
        newest.disconnected = True
        newest.message_event.set()
        if self.pipeline:
            self.pipeline.popleft()
        else:
            self._running = None

    def _answer(self, refusal: Refusal) -> None:
        # Between requests, the headers are those of a request that has its answer.
        request_id = request_id_of(() if self._phase is Phase.BETWEEN else self.headers)
        token = CURRENT.set(request_id)
        try:
            self._count(refusal)
            self.transport.write(refusal.answer(self.server_state.default_headers))
        finally:
            CURRENT.reset(token)
        self._linger()

    def _count(self, refusal: Refusal) -> None:
        self._tally.refused(refusal.logged)
        count: Callable[[int], None] | None = self.app_state.get(REFUSED)
        if count is not None:
            count(refusal.status)

    def _end(self) -> None:
        """End the connection after the last answer."""
        if (self._deaf or self._phase is Phase.BODY) and not self._half_closed:
            self._linger()
        else:
            self._close()

    def _close(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self.transport.close()
        if unread:
            self._phase = Phase.LINGER
            self._wait_for(Phase.LINGER, _LINGER_SECONDS)

    def _linger(self) -> None:
        """Close this side; read and forget what the client still sends, for a short while."""
        self._phase = Phase.LINGER
        self._deaf = True
        self.flow.resume_reading()
        self.transport.write_eof()
        self._wait_for(Phase.LINGER, _LINGER_SECONDS)

    def shutdown(self) -> None:
        """Begin the drained stop: end now, or after the last answer."""
        if self._answering():
            self._last_exchange().keep_alive = False
            if self._pause is not None:
                self._pause.cancel()
                self._go_on()
        elif self._phase is not Phase.LINGER:
            self.transport.close()

    # --- deadlines ---

    def _hold_head(self, size: int) -> None:
        self._unfinished += size
        self._tally.unfinished_bytes += size
        if self._tally.unfinished_bytes > self._limits.unfinished_bytes:
            self._refuse(refusals.too_many_unfinished())
        elif self._timed is not Phase.HEAD:
            self._wait_for(Phase.HEAD, self._limits.head_seconds)

    def _release_head(self) -> None:
        self._tally.unfinished_bytes -= self._unfinished
        self._unfinished = 0

    def _wait_for(self, phase: Phase, seconds: float) -> None:
        self._timed = phase
        self._deadline = deadline = self.loop.time() + seconds
        if self._timer is None or self._timer.when() > deadline:
            self._set_timer(seconds)

    def _set_timer(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self._timed is None:
            return
        left = self._deadline - self.loop.time()
        if left > 0:
            self._set_timer(left)
        elif self._timed is Phase.LINGER:
            self.transport.abort()
        elif self._timed is Phase.HEAD:
            self._expire_head()
        elif self._timed is Phase.BODY:
            self._expire_body()
        elif not self._answering():
            self.transport.close()

    def _expire_head(self) -> None:
        if self.flow.read_paused:  # the time is ours, not the client's
            self._wait_for(Phase.HEAD, self._limits.head_seconds)
        else:
            self._refuse(refusals.head_too_slow(self._limits))

    def _expire_body(self) -> None:
        enough = self._limits.bytes_per_second * self._limits.body_seconds
        if self.flow.read_paused or self._window_bytes >= enough:
            self._window_bytes = 0
            self._wait_for(Phase.BODY, self._limits.body_seconds)
        else:
            self._refuse(refusals.body_too_slow(self._limits))

    def pause_writing(self) -> None:
        """Begin to watch a client that does not read its answer."""
        super().pause_writing()
        if self._reader_timer is None:
            self._watch_reader()

    def resume_writing(self) -> None:
        """Stop watching: the client reads."""
        super().resume_writing()
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None

    def _watch_reader(self, before: int | None = None) -> None:
        waiting = self.transport.get_write_buffer_size()
        enough = self._limits.bytes_per_second * self._limits.body_seconds
        if before is not None and before - waiting < enough:
            self.transport.abort()
            return
        self._reader_timer = self.loop.call_later(
            self._limits.body_seconds, self._watch_reader, waiting
        )


class Protocols:
    """Makes the protocol of each connection. uvicorn sends a copy of it to each worker."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._tally = RefusalTally()

    def __call__(self, **given: Any) -> ServiceProtocol:
        """Return a protocol for a new connection."""
        return ServiceProtocol(**given, limits=self._limits, tally=self._tally)
