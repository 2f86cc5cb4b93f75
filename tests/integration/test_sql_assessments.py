"""SqlAssessmentStore on the databases themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import insert, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders.assessments import feedback, kept
from builders.predictions import prediction
from components.containers import MySqlServer
from components.databases import without_file, without_server
from contracts.clinical import EVERYTHING, AssessmentStoreContract, Stores
from contracts.erasure import PutChart, SubjectsContract
from stroke.adapters.sql.assessments import SqlAssessmentStore, SqlSubjects
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.erasure import SqlPredictionPlace
from stroke.adapters.sql.repository import SqlPredictionRepository
from stroke.adapters.sql.tables import predictions
from stroke.application.erasure.ports import Subject

pytestmark = pytest.mark.anyio


def _stores(engine: AsyncEngine) -> Stores:
    return Stores(
        SqlPredictionRepository(engine, statement_timeout=30),
        SqlAssessmentStore(engine, statement_timeout=30),
    )


class _Models:
    async def test_the_models_are_read_from_their_index(
        self, stores: Stores, engine: AsyncEngine
    ) -> None:
        explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
        query = f"{explain} SELECT DISTINCT model_version FROM assessments"  # noqa: S608
        async with engine.connect() as connection:
            rows = await connection.exec_driver_sql(query)
            explained = " ".join(str(value) for row in rows for value in row)
        assert "ix_assessments_model_version" in explained
        assert "TEMP B-TREE" not in explained


class _Erasure:
    async def test_an_erasure_from_every_place_takes_charts_and_feedback_along(
        self, stores: Stores, engine: AsyncEngine
    ) -> None:
        one, other = await stores.predictions.add([prediction(), prediction()])
        for number in (one, other):
            await stores.assessments.keep(kept(number))
        await stores.assessments.put_feedback([feedback(one)])
        place = SqlPredictionPlace(engine, statement_timeout=30)
        assert "table assessments" in {trace.where for trace in await place.find([one])}

        await place.erase([one])

        assert await place.find([one]) == []
        async with engine.connect() as connection:
            rows = (await connection.execute(text("SELECT * FROM assessments"))).mappings().all()
            assert (await connection.execute(text("SELECT * FROM feedback"))).all() == []
        [erased] = [dict(row) for row in rows if row["prediction_id"] != other]
        left = {name for name, value in erased.items() if value is not None}
        assert left == {"id", "shown", "model_version", "site", "made_at", "erased_at"}

    async def test_many_calls_of_one_chart_at_the_same_time_keep_it_once(
        self, stores: Stores
    ) -> None:
        [one] = await stores.predictions.add([prediction()])

        found = await asyncio.gather(*(stores.assessments.keep(kept(one)) for _ in range(8)))

        assert set(found) == {kept(one)}
        assert len(await stores.assessments.page(EVERYTHING, limit=9)) == 1


class TestOnSqlite(_Erasure, _Models, AssessmentStoreContract):
    @pytest.fixture
    def engine(self, sqlite_engine: AsyncEngine) -> AsyncEngine:
        return sqlite_engine

    @pytest.fixture
    def stores(self, sqlite_engine: AsyncEngine) -> Stores:
        return _stores(sqlite_engine)

    @pytest.fixture
    async def away(self, sqlite_engine: AsyncEngine) -> SqlAssessmentStore:
        return SqlAssessmentStore(await without_file(sqlite_engine), statement_timeout=30)


class TestOnMySql(_Erasure, _Models, AssessmentStoreContract):
    @pytest.fixture
    def engine(self, mysql_engine: AsyncEngine) -> AsyncEngine:
        return mysql_engine

    @pytest.fixture
    def stores(self, mysql_engine: AsyncEngine) -> Stores:
        return _stores(mysql_engine)

    @pytest.fixture
    async def away(self, mysql: MySqlServer) -> AsyncIterator[SqlAssessmentStore]:
        url = without_server(make_url(mysql.url("stroke")))
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        yield SqlAssessmentStore(engine, statement_timeout=30)
        await engine.dispose()


class _Subjects(SubjectsContract):
    @pytest.fixture
    def subjects(self, engine: AsyncEngine) -> SqlSubjects:
        return SqlSubjects(engine, statement_timeout=30)

    @pytest.fixture
    def put_chart(self, engine: AsyncEngine) -> PutChart:
        stores = _stores(engine)

        async def put(subject: str, server: str | None, number: int, site: str | None) -> None:
            row = {"id": number, "gender": "Male"}
            async with engine.begin() as connection:
                await connection.execute(insert(predictions), [row])
            chart = kept(number, subject=subject, server=server, site=site)
            await stores.assessments.keep(chart)

        return put

    async def test_whoever_was_erased_is_found_no_more(
        self, subjects: SqlSubjects, put_chart: PutChart, engine: AsyncEngine
    ) -> None:
        await put_chart("17", None, 1, None)
        await SqlPredictionPlace(engine, statement_timeout=30).erase([1])

        assert await subjects.find(Subject("17"), site=None) == {}


class TestSubjectsOnSqlite(_Subjects):
    @pytest.fixture
    def engine(self, sqlite_engine: AsyncEngine) -> AsyncEngine:
        return sqlite_engine

    @pytest.fixture
    async def away(self, sqlite_engine: AsyncEngine) -> SqlSubjects:
        return SqlSubjects(await without_file(sqlite_engine), statement_timeout=30)


class TestSubjectsOnMySql(_Subjects):
    @pytest.fixture
    def engine(self, mysql_engine: AsyncEngine) -> AsyncEngine:
        return mysql_engine

    @pytest.fixture
    async def away(self, mysql: MySqlServer) -> AsyncIterator[SqlSubjects]:
        engine = create_engine(
            without_server(make_url(mysql.url("stroke"))), pool_size=1, connect_timeout=5
        )
        yield SqlSubjects(engine, statement_timeout=30)
        await engine.dispose()
