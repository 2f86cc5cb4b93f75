"""What was acknowledged stays, whatever dies: the service, or the database under it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import uvloop
from sqlalchemy import URL

from components.containers import MySqlServer
from components.load import MARK, Load, reconcile
from components.processes import Service, upgrade_schema
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.repository import SqlPredictionRepository
from stroke.domain.errors import StoreUnavailable

pytestmark = pytest.mark.anyio


async def test_what_was_acknowledged_before_kill_9_is_stored_once_with_its_values(
    mysql: MySqlServer, tmp_path: Path, figures: Callable[[str], None]
) -> None:
    database = mysql.new_database()
    upgrade_schema(database, tmp_path)
    with Service(tmp_path, STROKE_DATABASE_URL=database) as service:
        load = Load(service.url)
        async with load.running():
            for _ in range(3):
                await load.until(more=300)
                service.kill()
                await load.until(refused=32)
                await asyncio.to_thread(service.start)
            await load.until(more=300)

        result = reconcile(load, mysql, database)

    figures(f"kill -9 of the service, 3 times: {result}; {dict(load.failures)}")
    assert load.statuses.keys() == {200}
    assert (result.lost, result.changed, result.twice) == ([], [], [])
    assert MARK not in service.log


async def test_the_service_outlives_a_database_that_stops_and_one_that_is_killed(
    own_mysql: Callable[[], MySqlServer], tmp_path: Path, figures: Callable[[str], None]
) -> None:
    server = await asyncio.to_thread(own_mysql)
    database = server.new_database()
    upgrade_schema(database, tmp_path)
    with Service(tmp_path, STROKE_DATABASE_URL=database) as service:
        load = Load(service.url)
        async with load.running():
            for end in (server.stop, server.kill):
                await load.until(more=300)
                await asyncio.to_thread(end)
                await load.until(refused=100)
                await expect(service, live=200, ready=503)
                await asyncio.to_thread(server.start)
                await load.until(more=300)
            await expect(service, live=200, ready=200)

        result = reconcile(load, server, database)

    figures(f"MySQL stopped, then killed: {result}; answers {dict(load.statuses)}")
    assert load.statuses.keys() == {200, 503}
    assert load.without_retry_after == 0
    assert not load.failures, "no request may hang or lose its connection"
    assert (result.lost, result.changed, result.twice) == ([], [], [])
    assert MARK not in service.log


def test_a_server_that_hangs_up_at_once_is_an_unavailable_store() -> None:
    # As Docker's proxy and load balancers do while the server behind them is away.
    def hang_up(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed, at the end of the test
            while True:
                listener.accept()[0].close()

    async def stay_busy() -> None:  # so that the end is there before the driver looks
        while True:
            time.sleep(0.003)  # noqa: ASYNC251 - this is the busy loop
            await asyncio.sleep(0)

    async def connect_often(port: int) -> int:
        unavailable = 0
        url = URL.create("mysql+asyncmy", "u", "p", "127.0.0.1", port, "d")
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        load = asyncio.create_task(stay_busy())
        for _ in range(20):
            try:
                await SqlPredictionRepository(engine, statement_timeout=5).check()
            except StoreUnavailable:
                unavailable += 1
        load.cancel()
        await engine.dispose()
        return unavailable

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=hang_up, args=(listener,), daemon=True).start()
        unavailable = uvloop.run(connect_often(listener.getsockname()[1]))
        listener.shutdown(socket.SHUT_RDWR)

    assert unavailable == 20


async def expect(service: Service, **health: int) -> None:
    async with httpx.AsyncClient(base_url=service.url, timeout=30) as http:
        found = {part: (await http.get(f"/health/{part}")).status_code for part in health}
    assert found == health
