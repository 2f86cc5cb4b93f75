"""SqlShadowScores, SqlAnsweredRisks and SqlTurns on the databases themselves."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from time import perf_counter

import pytest
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders.predictions import prediction
from components.processes import upgrade_schema
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
from stroke.domain.errors import StoreUnavailable

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


@pytest.mark.parametrize("kept", [0.8, 3.0])
async def test_scores_that_came_too_late_for_sqlite_are_not_written_later(
    tmp_path: Path, kept: float
) -> None:
    """Another writer keeps the file: until the statement is told to end, and until it is left."""
    url = URL.create("sqlite+aiosqlite", database=str(tmp_path / "stroke.db"))
    upgrade_schema(f"sqlite:///{tmp_path}/stroke.db", tmp_path)
    engine = create_engine(url, pool_size=1, connect_timeout=20)
    scores = SqlShadowScores(engine, statement_timeout=30)
    ids = await SqlPredictionRepository(engine, statement_timeout=30).add([prediction()] * 3)
    assert await scores.add([score(ids[0])]) == 1
    with closing(sqlite3.connect(tmp_path / "stroke.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        released = asyncio.Event()

        def release() -> None:
            other.rollback()
            released.set()

        asyncio.get_running_loop().call_later(kept, release)
        began = perf_counter()

        with pytest.raises(StoreUnavailable, match="did not answer in time"):
            await SqlShadowScores(engine, statement_timeout=0.3).add([score(ids[1])])

        assert perf_counter() - began < 8
        await released.wait()
        for _ in range(10):
            assert other.execute("SELECT prediction_id FROM shadow_scores").fetchall() == [
                (ids[0],)
            ]
            await asyncio.sleep(0.1)
    assert await scores.add([score(ids[2])]) == 1  # the connection is usable, or a new one is made
    await engine.dispose()


async def test_scores_that_wait_for_another_writer_are_stored_when_it_ends_in_time(
    tmp_path: Path,
) -> None:
    url = URL.create("sqlite+aiosqlite", database=str(tmp_path / "stroke.db"))
    upgrade_schema(f"sqlite:///{tmp_path}/stroke.db", tmp_path)
    engine = create_engine(url, pool_size=1, connect_timeout=20)
    scores = SqlShadowScores(engine, statement_timeout=20)
    [number] = await SqlPredictionRepository(engine, statement_timeout=30).add([prediction()])
    with closing(sqlite3.connect(tmp_path / "stroke.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        asyncio.get_running_loop().call_later(0.5, other.rollback)

        assert await scores.add([score(number)]) == 1

        assert other.execute("SELECT prediction_id FROM shadow_scores").fetchall() == [(number,)]
    await engine.dispose()


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
