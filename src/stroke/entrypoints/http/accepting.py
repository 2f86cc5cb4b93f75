"""An event loop that accepts every waiting connection at once, and says when it cannot.

libuv (1.52) accepts one connection in each turn of the loop. Under load a turn takes a tenth of a
second, and with thousands of clients that connect together, the last one, a health check perhaps,
would wait for minutes. Without a free file descriptor libuv drops connections and says nothing.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from collections.abc import Callable
from typing import Any, Final

import uvloop

# A whole burst: accepting is the cheapest thing that is done for a client.
_AT_ONCE: Final = 5000
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# Descriptors come back when clients leave.
_RETRY_SECONDS: Final = 0.5
_LOG_SECONDS: Final = 60.0
_log = logging.getLogger("stroke.http")


class Acceptor(asyncio.AbstractServer):
    """Hands each connection that ``listener`` gets to a protocol of ``factory``."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        factory: Callable[[], asyncio.BaseProtocol],
        listener: socket.socket,
    ) -> None:
        self._loop = loop
        self._factory = factory
        self._listener = listener
        self._opening: set[asyncio.Task[Any]] = set()
        self._serving = False
        self._retry: asyncio.TimerHandle | None = None
        self._next_line = 0.0

    def start(self) -> None:
        """Accept from now on."""
        self._retry = None
        self._serving = True
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._wait(error)
                    return
                continue  # the client left before it was accepted
            connection.setblocking(False)
            opening = self._loop.create_task(self._open(connection))
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)

    async def _open(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(self._factory, connection)
        except OSError:  # it is gone again
            connection.close()

    def _wait(self, error: OSError) -> None:
        self._loop.remove_reader(self._listener)
        self._retry = self._loop.call_later(_RETRY_SECONDS, self.start)
        now = time.monotonic()
        if now >= self._next_line:
            self._next_line = now + _LOG_SECONDS
            _log.error("no connection can be accepted for the moment: %s", error.strerror)

    def close(self) -> None:
        """Accept no more. Connections that are open stay."""
        if self._serving:
            self._serving = False
            if self._retry is not None:
                self._retry.cancel()
            self._loop.remove_reader(self._listener)

    def is_serving(self) -> bool:
        """Return whether it accepts, now or as soon as it can."""
        return self._serving

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop that it accepts in."""
        return self._loop

    async def start_serving(self) -> None:
        """Accept from now on, if it does not yet."""
        if not self._serving:
            self.start()

    async def serve_forever(self) -> None:
        """Accept until this is cancelled."""
        await self.start_serving()
        try:
            await self._loop.create_future()
        finally:
            self.close()

    async def wait_closed(self) -> None:
        """Return when no accepted connection is on its way to its protocol."""
        if self._opening:
            await asyncio.wait(self._opening)


class ServiceLoop(uvloop.Loop):
    """uvloop, with servers that accept by ``Acceptor``."""

    async def create_server(self, protocol_factory: Any, *given: Any, **named: Any) -> Any:
        """Listen on ``sock``; anything else is uvloop's."""
        listener = named.get("sock")
        if listener is None or named.get("ssl") is not None:
            return await super().create_server(protocol_factory, *given, **named)
        listener.setblocking(False)
        listener.listen(named.get("backlog", 100))
        server = Acceptor(self, protocol_factory, listener)
        server.start()
        return server
