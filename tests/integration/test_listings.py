"""Listings of a large table: each filter has its index, and predictions do not wait for them."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import URL, event, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders.predictions import NOON, patient, prediction
from components.containers import MySqlServer
from fakes.predictions import FakePredictionObserver, FakeRiskModel
from stroke.adapters.sql import pages, schema
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.filters import conditions
from stroke.adapters.sql.repository import SqlPredictionRepository
from stroke.adapters.sql.tables import predictions
from stroke.application.predictions.prediction import PredictionService
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


# Half a second of the database's own work.
_SLOW = {
    "mysql": "SELECT SLEEP(0.5)",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1500000) "
    "SELECT COUNT(*) FROM n",
}


async def test_a_keyed_prediction_is_answered_at_once_under_forty_slow_listings(url: URL) -> None:
    async with migrated(url) as engine:
        store = SqlPredictionRepository(engine, statement_timeout=30, listing_connections=2)
        service = PredictionService(
            model=FakeRiskModel(),
            repository=store,
            observer=FakePredictionObserver(),
            now=lambda: NOON,
            queue_capacity=100,
            commit_size=100,
            key_lifetime=timedelta(hours=1),
        )
        slow = _SLOW[engine.dialect.name]
        began = 0

        def before(_: Any, cursor: Any, statement: str, *__: Any) -> None:
            nonlocal began
            if "country = " in statement:  # a listing: it has the connection for so long
                began += 1
                cursor.execute(slow)
                cursor.fetchall()

        event.listen(engine.sync_engine, "before_cursor_execute", before)
        listings = [
            asyncio.create_task(store.page(PredictionFilter(country="Peru"), limit=50))
            for _ in range(40)
        ]
        while began < 2:  # noqa: ASYNC110 - the database sets no event
            await asyncio.sleep(0.01)
        took = []
        for turn in range(10):
            started = time.perf_counter()
            first = await service.predict(patient(), idempotency_key=f"key {turn}")
            again = await service.predict(patient(), idempotency_key=f"key {turn}")
            took.append(time.perf_counter() - started)
            assert first.id == again.id
        assert sum(not each.done() for each in listings) > 20
        # One that waited for a listing would take ten seconds.
        assert max(took) < 1
        for each in listings:
            each.cancel()
        await asyncio.gather(*listings, return_exceptions=True)
        await service.close()


async def test_mysql_gets_the_time_limit_of_a_listing_and_takes_it(mysql: MySqlServer) -> None:
    async with migrated(make_url(mysql.new_database())) as engine:
        slow = SqlPredictionRepository(engine, statement_timeout=30)
        await slow.add([prediction()])
        assert "MAX_EXECUTION_TIME(30000)" in slow._bounded
        assert await slow.page(PredictionFilter(), limit=1)


@pytest.mark.parametrize("few", [20_000, 0])
async def test_pages_by_time_are_the_same_whichever_way_they_are_read(
    url: URL, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(pages, "_FEW", few)
    random = Random(few)  # noqa: S311 - no secret
    async with migrated(url) as engine:
        store = SqlPredictionRepository(engine, statement_timeout=30)
        # Mostly in order, as the service writes them; some as an import brings them.
        minutes = [each if random.random() < 0.9 else random.randrange(300) for each in range(300)]
        times = [NOON + timedelta(minutes=each) for each in minutes]
        ids = await store.add([prediction(made_at=each) for each in times])
        rows = sorted(zip(ids, times, strict=True), reverse=True)
        async with engine.begin() as connection:
            undated = predictions.update().where(predictions.c.id == ids[150])
            await connection.execute(undated.values(timestamp=None))
        for _ in range(80):
            since, until = (
                NOON + timedelta(minutes=random.randrange(-10, 310)) if each < 0.7 else None
                for each in (random.random(), random.random())
            )
            before = random.choice([None, ids[0], random.choice(ids), ids[-1] + 10])
            limit = random.choice([1, 7, 400])
            page = await store.page(PredictionFilter(since, until), limit=limit, before=before)
            wanted = [
                number
                for number, made_at in rows
                if (before is None or number < before)
                and (since is None or made_at >= since)
                and (until is None or made_at < until)
                and (number != ids[150] or since is until is None)
            ]
            assert [each.id for each in page] == wanted[:limit]


async def test_countries_that_differ_only_in_case_are_told_apart(url: URL) -> None:
    async with migrated(url) as engine:
        store = SqlPredictionRepository(engine, statement_timeout=30)
        names = ["Canada", "CANADA", "canada", "Cánada"]
        ids = await store.add([prediction(country=names[i % 4]) for i in range(40)])
        for turn, name in enumerate(names):
            page = await store.page(PredictionFilter(country=name), limit=7, before=ids[36])
            assert [each.id for each in page] == ids[turn:36:4][::-1][:7]


_LATER = {
    "mysql": "timestamp + INTERVAL {} SECOND",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', timestamp, '+{} seconds')",
}


@pytest.mark.soak("a million rows in MySQL take minutes to make")
async def test_every_page_of_a_million_rows_comes_within_50_ms(url: URL) -> None:
    async with migrated(url) as engine:
        later = _LATER[engine.dialect.name]
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
                        f" SELECT {later.format(1000 * 2**doubled)}, {names}"
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
            PredictionFilter(until=NOON + timedelta(hours=1)),
            PredictionFilter(until=NOON + timedelta(days=1)),
            PredictionFilter(until=last - timedelta(hours=1)),
            PredictionFilter(since=NOON + timedelta(days=2), until=NOON + timedelta(days=3)),
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
