"""SqlShadowScores, SqlAnsweredRisks and SqlTurns on the databases themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders.predictions import prediction
from contracts.models import (
    Answered,
    AnsweredRisksContract,
    Scored,
    ShadowScoresContract,
    TurnsContract,
    score,
)
from stroke.adapters.sql.answered_risks import SqlAnsweredRisks
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.erasure import SqlPredictionPlace
from stroke.adapters.sql.repository import SqlPredictionRepository
from stroke.adapters.sql.shadow_scores import SqlShadowScores, without_waiting_for_the_disk
from stroke.adapters.sql.turns import SqlTurns

pytestmark = pytest.mark.anyio


@pytest.fixture
async def without_tables(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    url = URL.create("sqlite+aiosqlite", database=str(tmp_path / "empty.db"))
    engine = create_engine(url, pool_size=1, connect_timeout=5)
    yield engine
    await engine.dispose()


class TestSqlShadowScores(ShadowScoresContract):
    @pytest.fixture
    async def scored(self, engine: AsyncEngine) -> Scored:
        return Scored(
            SqlShadowScores(engine, statement_timeout=30),
            SqlPredictionRepository(engine, statement_timeout=30),
        )

    @pytest.fixture
    async def away(self, without_tables: AsyncEngine) -> SqlShadowScores:
        return SqlShadowScores(without_tables, statement_timeout=30)

    async def test_an_erasure_from_every_place_takes_scores_along(
        self, scored: Scored, engine: AsyncEngine
    ) -> None:
        one, other = await scored.ids(None, None)
        await scored.scores.add([score(one), score(other)])
        place = SqlPredictionPlace(engine, statement_timeout=30)
        assert "table shadow_scores" in {trace.where for trace in await place.find([one])}

        assert await place.erase([one]) >= 2

        assert await place.find([one]) == []
        assert await scored.found("shadow-1") == [other]

    async def test_erasures_while_scores_are_written_leave_no_score_behind(
        self, scored: Scored, engine: AsyncEngine
    ) -> None:
        ids = await scored.predictions.add([prediction() for _ in range(60)])
        place = SqlPredictionPlace(engine, statement_timeout=30)

        async def write() -> None:
            for number in ids:
                await scored.scores.add([score(number)])

        async def erase() -> None:
            for number in ids[::2]:
                await place.erase([number])

        await asyncio.gather(write(), erase())

        async with engine.connect() as connection:
            rows = await connection.scalars(text("SELECT prediction_id FROM shadow_scores"))
            assert sorted(rows) == ids[1::2]


async def test_scores_on_sqlite_do_not_wait_for_the_disk_and_predictions_do(tmp_path: Path) -> None:
    url = URL.create("sqlite+aiosqlite", database=str(tmp_path / "stroke.db"))
    modes = []
    for relaxed in (False, True):
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        if relaxed:
            without_waiting_for_the_disk(engine)
        async with engine.connect() as connection:
            modes.append(await connection.scalar(text("PRAGMA synchronous")))
        await engine.dispose()
    assert modes == [2, 1]


class TestSqlTurns(TurnsContract):
    @pytest.fixture
    async def turns(self, engine: AsyncEngine) -> SqlTurns:
        return SqlTurns(engine, statement_timeout=30)

    @pytest.fixture
    async def away(self, without_tables: AsyncEngine) -> SqlTurns:
        return SqlTurns(without_tables, statement_timeout=30)


class TestSqlAnsweredRisks(AnsweredRisksContract):
    @pytest.fixture
    async def answered(self, engine: AsyncEngine) -> Answered:
        return Answered(
            SqlAnsweredRisks(engine, statement_timeout=30),
            SqlPredictionRepository(engine, statement_timeout=30),
        )

    @pytest.fixture
    async def away(self, without_tables: AsyncEngine) -> SqlAnsweredRisks:
        return SqlAnsweredRisks(without_tables, statement_timeout=30)
