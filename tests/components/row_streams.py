"""Rows into MySQL and out of the SQL sink, with the moment of each; bench/pipeline.py drives it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncmy
import asyncpg

from components.stack import DATABASE, PipelineStack

PATIENTS = 500  # whose rows are inserted again and again
GROUP = 32  # rows of one commit: what the service writes at once for 32 connections
SINGLE_RATE = 200  # commits of one row per second, for freshness and recovery
WRITERS = 4
POLL_SECONDS = 0.005


@asynccontextmanager
async def mysql(stack: PipelineStack) -> AsyncIterator[Any]:
    connection = await asyncmy.connect(
        host="127.0.0.1",
        port=stack.ports["mysql"],
        user="root",
        password=stack.passwords["MYSQL_ROOT_PASSWORD"],
        db=DATABASE,
        autocommit=True,
    )
    try:
        async with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


@asynccontextmanager
async def sql_sink(stack: PipelineStack) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(stack.settings()["STROKE_SINK_URL"])
    try:
        yield connection
    finally:
        await connection.close()


class Inserts:
    """INSERT statements of stored predictions, as text: the client has next to no work."""

    def __init__(self, columns: str, rows: list[str]) -> None:
        self._columns = columns
        self._rows = rows
        self._chance = random.Random(1)  # noqa: S311 - not for secrets

    @classmethod
    async def of_stored(cls, cursor: Any) -> Inserts:
        await cursor.execute("SHOW COLUMNS FROM predictions")
        names = [name for name, *_ in await cursor.fetchall()]
        names = [name for name in names if name not in ("id", "timestamp", "idempotency_key")]
        columns = ", ".join(f"`{name}`" for name in names)
        await cursor.execute(f"SELECT {columns} FROM predictions LIMIT {PATIENTS}")  # noqa: S608
        holes = ", ".join(["%s"] * len(names))
        rows = [
            cursor.mogrify(f"(UTC_TIMESTAMP(6), {holes})", row) for row in await cursor.fetchall()
        ]
        return cls(f"`timestamp`, {columns}", rows)

    def make(self, rows: int, table: str = "predictions") -> str:
        values = ", ".join(self._chance.choices(self._rows, k=rows))
        return f"INSERT INTO {table} ({self._columns}) VALUES {values}"  # noqa: S608


@dataclass
class Commits:
    """When (monotonic) each id's INSERT had been acknowledged."""

    at: dict[int, float] = field(default_factory=dict)

    async def stream(
        self, cursor: Any, statements: list[str], rows: int, rate: float, seconds: float
    ) -> None:
        """Commit ``rows`` at a time, at ``rate`` rows per second or as fast as MySQL takes them."""
        started = time.monotonic()
        turn = 0
        while (now := time.monotonic()) < started + seconds:
            due = started + turn * rows / rate
            if due > now:
                await asyncio.sleep(due - now)
            await cursor.execute(statements[turn % len(statements)])
            turn += 1
            acknowledged = time.monotonic()
            for number in range(cursor.lastrowid, cursor.lastrowid + rows):
                self.at[number] = acknowledged


@dataclass
class Seen:
    """When (monotonic) the SQL sink was first seen to hold each id after ``floor``."""

    floor: int
    at: dict[int, float] = field(default_factory=dict)
    looks: int = 0

    async def look(self, sink: Any) -> None:
        found = await sink.fetch("SELECT id FROM predictions WHERE id > $1", self.floor)
        now = time.monotonic()
        self.looks += 1
        for (number,) in found:
            self.at.setdefault(number, now)
        while self.floor + 1 in self.at:
            self.floor += 1

    async def follow(self, sink: Any, done: Callable[[], bool], within: float) -> None:
        async with asyncio.timeout(within):
            while not done():
                await self.look(sink)
                await asyncio.sleep(POLL_SECONDS)


async def singles(stack: PipelineStack, inserts: Inserts, commits: Commits, seconds: float) -> None:
    """Commit single rows from several connections: one alone waits for the disk too often."""
    statements = [inserts.make(1) for _ in range(500)]
    async with AsyncExitStack() as connections, asyncio.TaskGroup() as tasks:
        for number in range(WRITERS):
            cursor = await connections.enter_async_context(mysql(stack))
            rate = SINGLE_RATE / WRITERS
            tasks.create_task(commits.stream(cursor, statements[number:], 1, rate, seconds))


async def until(
    look: Callable[[], Awaitable[bool]], *, every: float, within: float, what: str
) -> float:
    """Return when (monotonic) ``look`` first said yes."""
    try:
        async with asyncio.timeout(within):
            while not await look():  # noqa: ASYNC110 - it asks a server
                await asyncio.sleep(every)
    except TimeoutError:
        raise SystemExit(f"{what}: not within {within:.0f} s") from None
    return time.monotonic()
