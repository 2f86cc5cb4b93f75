"""A burst of clients is accepted at once, and a lack of file descriptors is survived and logged."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from stroke.entrypoints.http.accepting import ServiceLoop

CLIENTS = 200


class Counted(asyncio.Protocol):
    made = 0

    def connection_made(self, transport: Any) -> None:
        Counted.made += 1
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


def on_service_loop(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    Counted.made = 0
    with asyncio.Runner(loop_factory=ServiceLoop) as runner:
        runner.run(main())


def connected(listener: socket.socket, clients: int, until: ExitStack) -> list[socket.socket]:
    address = listener.getsockname()
    return [until.enter_context(socket.create_connection(address)) for _ in range(clients)]


def take_all_descriptors_but_one(until: ExitStack) -> None:
    """Leave one file descriptor free; also the free numbers below one in use are taken."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    until.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    highest = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    taken: list[int] = []
    with suppress(OSError):
        while True:
            taken.append(os.dup(0))
    os.close(taken.pop())
    for each in taken:
        until.callback(os.close, each)


def test_clients_that_wait_together_are_accepted_together() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with ExitStack() as until, socket.create_server(("127.0.0.1", 0), backlog=500) as listener:
            waiting = connected(listener, CLIENTS, until)
            server = await loop.create_server(Counted, sock=listener, backlog=500)
            turns = 0
            while Counted.made < CLIENTS:
                await asyncio.sleep(0)
                turns += 1
                assert turns < 20, f"{Counted.made} accepted in {turns} turns"
            waiting[-1].setblocking(False)
            await loop.sock_sendall(waiting[-1], b"echo")
            assert await loop.sock_recv(waiting[-1], 10) == b"echo"
            server.close()
            await server.wait_closed()

    on_service_loop(main)


def test_without_file_descriptors_it_waits_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with ExitStack() as until, socket.create_server(("127.0.0.1", 0), backlog=500) as listener:
            connected(listener, CLIENTS, until)
            with ExitStack() as short_of_descriptors:
                take_all_descriptors_but_one(short_of_descriptors)
                server = await loop.create_server(Counted, sock=listener, backlog=500)
                await asyncio.sleep(0.7)  # and tries once more meanwhile
                assert Counted.made < CLIENTS
                assert server.is_serving()
            async with asyncio.timeout(10):
                while Counted.made < CLIENTS:  # noqa: ASYNC110 - no event tells of it
                    await asyncio.sleep(0.05)
            server.close()
            await server.wait_closed()

    with caplog.at_level(logging.ERROR):
        on_service_loop(main)
    [record] = caplog.records
    assert record.getMessage().startswith("no connection can be accepted for the moment: ")
