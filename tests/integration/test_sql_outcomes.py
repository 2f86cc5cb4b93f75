"""SqlOutcomeRepository on the databases themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders.predictions import outcome, prediction
from components.containers import MySqlServer
from components.databases import without_file, without_server
from contracts.outcomes import EVERYTHING, OutcomeRepositoryContract, Repositories
from stroke.adapters.sql import schema
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.outcomes import SqlOutcomeRepository
from stroke.adapters.sql.repository import SqlPredictionRepository
from stroke.application.predictions.ports import OutcomeRepository
from stroke.domain.errors import PredictionNotFound, StoreUnavailable

pytestmark = pytest.mark.anyio


def _stores(engine: AsyncEngine, timeout: float = 30) -> Repositories:
    return Repositories(
        SqlPredictionRepository(engine, statement_timeout=timeout),
        SqlOutcomeRepository(engine, statement_timeout=timeout),
    )


class TestOnSqlite(OutcomeRepositoryContract):
    @pytest.fixture
    async def stores(self, sqlite_engine: AsyncEngine) -> Repositories:
        return _stores(sqlite_engine)

    @pytest.fixture
    async def away(self, sqlite_engine: AsyncEngine) -> OutcomeRepository:
        return _stores(await without_file(sqlite_engine)).outcomes


class TestOnMySql(OutcomeRepositoryContract):
    @pytest.fixture
    async def stores(self, mysql_engine: AsyncEngine) -> Repositories:
        return _stores(mysql_engine)

    @pytest.fixture
    async def away(self, mysql: MySqlServer) -> AsyncIterator[OutcomeRepository]:
        url = without_server(make_url(mysql.url("stroke")))
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        yield _stores(engine).outcomes
        await engine.dispose()


async def test_whether_a_prediction_is_erased_or_judged_first_no_outcome_is_left_alone(
    engine: AsyncEngine,
) -> None:
    stores = _stores(engine)
    ids = await stores.predictions.add([prediction() for _ in range(40)])

    async def judge(prediction_id: int) -> None:
        try:
            await stores.outcomes.put([outcome(prediction_id)])
        except (PredictionNotFound, StoreUnavailable):  # erased, or the victim of a deadlock
            return

    async def erase(prediction_id: int) -> None:
        try:
            await stores.predictions.remove(prediction_id)
        except StoreUnavailable:
            return

    await asyncio.gather(*(work(each) for each in ids for work in (judge, erase)))

    async with engine.connect() as connection:
        alone = await connection.scalar(
            text(
                "SELECT COUNT(*) FROM outcomes WHERE prediction_id NOT IN"
                " (SELECT id FROM predictions)"
            )
        )
    assert alone == 0


async def test_outcomes_of_neighbouring_predictions_are_recorded_at_once(
    engine: AsyncEngine,
) -> None:
    stores = _stores(engine)
    ids = await stores.predictions.add([prediction() for _ in range(60)])

    await asyncio.gather(*(stores.outcomes.put([outcome(each)]) for each in ids))
    await asyncio.gather(*(stores.outcomes.put([outcome(i, stroke=False)]) for i in ids))

    judged = await stores.outcomes.judged(EVERYTHING, limit=100)
    assert [(row.prediction_id, row.stroke) for row in judged] == [(each, False) for each in ids]


async def test_mysql_itself_erases_the_outcome_of_a_row_that_is_deleted_by_hand(
    mysql_engine: AsyncEngine,
) -> None:
    stores = _stores(mysql_engine)
    [stored] = await stores.predictions.add([prediction()])
    await stores.outcomes.put([outcome(stored)])

    async with mysql_engine.begin() as connection:
        await connection.execute(text("DELETE FROM predictions"))

    async with mysql_engine.connect() as connection:
        assert await connection.scalar(text("SELECT COUNT(*) FROM outcomes")) == 0


async def test_a_locked_prediction_is_a_store_that_does_not_answer(
    mysql_engine: AsyncEngine,
) -> None:
    stores, impatient = _stores(mysql_engine), _stores(mysql_engine, timeout=0.5).outcomes
    [stored] = await stores.predictions.add([prediction()])

    async with mysql_engine.connect() as other:
        await other.execute(text("SELECT COUNT(*) FROM predictions FOR UPDATE"))
        with pytest.raises(StoreUnavailable, match="in time"):
            await impatient.put([outcome(stored)])
        await other.rollback()

    await stores.outcomes.put([outcome(stored)])


async def test_a_schema_without_outcomes_says_what_to_do(tmp_path: Path) -> None:
    url = URL.create("sqlite+aiosqlite", database=str(tmp_path / "old.db"))
    await asyncio.to_thread(schema.upgrade, url, target="0003")
    engine = create_engine(url, pool_size=1, connect_timeout=5)
    with pytest.raises(StoreUnavailable, match="stroke db upgrade"):
        await _stores(engine).outcomes.known([1])
    await engine.dispose()
