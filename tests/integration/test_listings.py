"""Listings of a large table: each filter has its index, and predictions do not wait for them."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, event, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders.predictions import NOON, prediction
from components.containers import MySqlServer
from stroke.adapters.sql import schema
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.filters import conditions
from stroke.adapters.sql.repository import SqlPredictionRepository
from stroke.adapters.sql.tables import predictions
from stroke.domain.prediction import PredictionFilter

pytestmark = pytest.mark.anyio

EXACT = ("risk_category", "country", "province", "model_version")


@pytest.fixture(params=["sqlite", "mysql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    if request.param == "sqlite":
        return URL.create("sqlite+aiosqlite", database=str(tmp_path / "stroke.db"))
    server: MySqlServer = request.getfixturevalue("mysql")
    return make_url(server.new_database())


@asynccontextmanager
async def migrated(url: URL) -> AsyncIterator[AsyncEngine]:
    await asyncio.to_thread(schema.upgrade, url)
    engine = create_engine(url, pool_size=5, connect_timeout=5)
    yield engine
    await engine.dispose()


async def plan(engine: AsyncEngine, narrowed: PredictionFilter) -> str:
    query = (
        predictions.select()
        .where(*conditions(narrowed, engine.dialect))
        .order_by(predictions.c.id.desc())
        .limit(101)
    )
    compiled = str(query.compile(engine.sync_engine, compile_kwargs={"literal_binds": True}))
    how = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    async with engine.connect() as connection:
        rows = await connection.exec_driver_sql(f"{how} {compiled}".replace("%", "%%"))
        return " ".join(str(value) for row in rows for value in row)


@pytest.mark.parametrize("name", EXACT)
async def test_each_filter_can_use_its_index(url: URL, name: str) -> None:
    async with migrated(url) as engine:
        narrowed: Any = {name: "Québec"}
        assert f"ix_predictions_{name}" in await plan(engine, PredictionFilter(**narrowed))


async def test_listings_hold_no_more_connections_than_their_share(url: URL) -> None:
    async with migrated(url) as engine:
        store = SqlPredictionRepository(engine, statement_timeout=30, listing_connections=2)
        await store.add([prediction(country=f"C{i % 7}") for i in range(1001)])
        held: list[int] = [0]

        def change(by: int) -> None:
            held.append(held[-1] + by)

        event.listen(engine.sync_engine, "checkout", lambda *_: change(1))
        event.listen(engine.sync_engine, "checkin", lambda *_: change(-1))
        pages = await asyncio.gather(
            *(store.page(PredictionFilter(country=f"C{i % 7}"), limit=50) for i in range(40))
        )

        assert {len(page) for page in pages} == {50}
        assert max(held) == 2


async def test_mysql_gets_the_time_limit_of_a_listing_and_takes_it(mysql: MySqlServer) -> None:
    async with migrated(make_url(mysql.new_database())) as engine:
        slow = SqlPredictionRepository(engine, statement_timeout=30)
        await slow.add([prediction()])
        assert "MAX_EXECUTION_TIME(30000)" in slow._bounded
        assert await slow.page(PredictionFilter(), limit=1)


@pytest.mark.soak("a million rows in MySQL take minutes to make")
async def test_every_page_of_a_million_rows_comes_within_50_ms(mysql: MySqlServer) -> None:
    async with migrated(make_url(mysql.new_database())) as engine:
        store = SqlPredictionRepository(engine, statement_timeout=60)
        kinds = [
            prediction(
                (0.01, 0.1, 0.9)[i % 3],
                country=("Canada", "CANADA", "Chile", "Kenya")[i % 4],
                province=f"P{i % 50}",
                model_version="m-1",
                made_at=NOON + timedelta(seconds=i),
            )
            for i in range(1000)
        ]
        await store.add(kinds)
        copied = [each.name for each in predictions.columns if each.name not in {"id", "timestamp"}]
        names = ", ".join(each for each in copied if each != "idempotency_key")
        for doubled in range(10):
            async with engine.begin() as connection:
                await connection.execute(
                    text(
                        f"INSERT INTO predictions (timestamp, {names})"  # noqa: S608
                        f" SELECT timestamp + INTERVAL {1000 * 2**doubled} SECOND, {names}"
                        " FROM predictions ORDER BY id"
                    )
                )
        await store.add([prediction(country="Peru", province="Lima", model_version="m-2")])
        last = NOON + timedelta(seconds=1_024_000)
        slowest: dict[str, float] = {}
        for narrowed in (
            PredictionFilter(),
            *(PredictionFilter(risk_category=each) for each in ("Low", "Medium", "High")),
            *(PredictionFilter(country=each) for each in ("Canada", "Peru", "Nowhere")),
            *(PredictionFilter(province=each) for each in ("P7", "Lima", "Nowhere")),
            *(PredictionFilter(model_version=each) for each in ("m-1", "m-2", "m-3")),
            PredictionFilter(since=last - timedelta(minutes=1)),
            PredictionFilter(since=last + timedelta(days=1)),
            PredictionFilter(until=NOON),
            PredictionFilter(model_version="m-2", since=last - timedelta(days=1)),
            PredictionFilter(country="Canada", province="P0", risk_category="High"),
        ):
            before = None
            for _ in range(5):
                started = time.perf_counter()
                page = await store.page(narrowed, limit=101, before=before)
                took = time.perf_counter() - started
                slowest[str(narrowed)] = max(took, slowest.get(str(narrowed), 0))
                if len(page) < 101:
                    break
                before = page[-1].id
        for narrowed_as, took in slowest.items():
            sys.stdout.write(f"{took * 1000:7.1f} ms  {narrowed_as}\n")
        assert max(slowest.values()) <= 0.05
