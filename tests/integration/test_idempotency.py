"""Idempotency keys across workers, on both databases: one request is stored once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url, text

from builders.predictions import patient, prediction
from components.containers import MySqlServer
from fakes.predictions import FakePredictionObserver, FakeRiskModel
from stroke.adapters.sql import schema
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.repository import SqlPredictionRepository
from stroke.application.predictions.deployed import Serving
from stroke.application.predictions.prediction import PredictionService
from stroke.domain.errors import IdempotencyKeyReused, IdempotencyKeyTaken
from stroke.domain.prediction import PredictionFilter

pytestmark = pytest.mark.anyio

DAY = timedelta(hours=24)


@pytest.fixture(params=["sqlite", "mysql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    if request.param == "sqlite":
        return URL.create("sqlite+aiosqlite", database=str(tmp_path / "stroke.db"))
    server: MySqlServer = request.getfixturevalue("mysql")
    return make_url(server.new_database())


@pytest.fixture
async def workers(url: URL) -> AsyncIterator[list[PredictionService]]:
    """Two services with connections of their own, as two worker processes have."""
    await asyncio.to_thread(schema.upgrade, url)
    async with AsyncExitStack() as running:
        yield [await running.enter_async_context(worker(url)) for _ in range(2)]


@asynccontextmanager
async def worker(url: URL) -> AsyncIterator[PredictionService]:
    engine = create_engine(url, pool_size=4, connect_timeout=20)
    service = PredictionService(
        serving=Serving(FakeRiskModel()),
        repository=SqlPredictionRepository(engine, statement_timeout=60),
        observer=FakePredictionObserver(),
        now=lambda: datetime.now(UTC),
        queue_capacity=1000,
        commit_size=100,
        key_lifetime=DAY,
    )
    yield service
    await service.close()
    await engine.dispose()


async def add_old(url: URL, key: str, *, batch: bool = False) -> list[int]:
    engine = create_engine(url, pool_size=1, connect_timeout=20)
    repository = SqlPredictionRepository(engine, statement_timeout=60)
    then = datetime.now(UTC) - DAY - timedelta(seconds=1)
    if batch:
        ids = await repository.add([prediction(made_at=then)] * 3, batch_key=key)
    else:
        ids = await repository.add([prediction(made_at=then, idempotency_key=key)])
    await engine.dispose()
    return ids


async def stored(service: PredictionService) -> set[int]:
    page = await service.page(PredictionFilter(), limit=1000)
    return {record.id for record in page.records}


@pytest.mark.parametrize("old", ["nothing", "a prediction", "a batch"])
async def test_of_the_same_requests_at_once_one_is_stored(
    url: URL, workers: list[PredictionService], old: str
) -> None:
    before = set(await add_old(url, "k", batch=old == "a batch") if old != "nothing" else [])

    answers = await asyncio.gather(
        *(workers[i % 2].predict(patient(name="new"), idempotency_key="k") for i in range(20))
    )

    assert all(answer == answers[0] for answer in answers)
    assert await stored(workers[0]) == before | {answers[0].id}


@pytest.mark.parametrize("old", ["nothing", "a prediction", "a batch"])
@pytest.mark.parametrize("size", [1, 1500])
async def test_of_the_same_batches_at_once_one_is_stored(
    url: URL, workers: list[PredictionService], old: str, size: int
) -> None:
    before = set(await add_old(url, "k", batch=old == "a batch") if old != "nothing" else [])
    patients = [patient(age=float(i % 100), name=str(i)) for i in range(size)]

    answers = await asyncio.gather(
        *(workers[i % 2].predict_many(patients, idempotency_key="k") for i in range(6))
    )

    assert all(answer == answers[0] for answer in answers)
    engine = create_engine(url, pool_size=1, connect_timeout=20)
    async with engine.connect() as connection:
        rows = (await connection.execute(text("SELECT id FROM predictions ORDER BY id"))).scalars()
        assert set(rows) == before | {answer.id for answer in answers[0]}
    await engine.dispose()


async def test_of_different_requests_with_one_key_at_once_one_is_stored(
    url: URL, workers: list[PredictionService]
) -> None:
    await add_old(url, "k")

    answers = await asyncio.gather(
        *(workers[i % 2].predict(patient(name=str(i)), idempotency_key="k") for i in range(10)),
        workers[0].predict_many([patient(name="batch")] * 2, idempotency_key="k"),
        return_exceptions=True,
    )

    [answered] = [answer for answer in answers if not isinstance(answer, BaseException)]
    refused = [type(answer) for answer in answers if isinstance(answer, BaseException)]
    assert set(refused) <= {IdempotencyKeyReused, IdempotencyKeyTaken}
    new = [answered] if not isinstance(answered, list) else answered
    assert len(await stored(workers[0])) == 1 + len(new)


async def test_a_row_that_the_release_before_stored_is_answered_again(url: URL) -> None:
    await asyncio.to_thread(schema.upgrade, url)
    engine = create_engine(url, pool_size=1, connect_timeout=20)
    made = prediction(idempotency_key="k", made_at=datetime.now(UTC))
    [first] = await SqlPredictionRepository(engine, statement_timeout=60).add([made])
    await engine.dispose()
    # Back to what that release had, without the columns that are younger, and forth again.
    await asyncio.to_thread(schema.downgrade, url, "0004")
    await asyncio.to_thread(schema.upgrade, url)

    async with worker(url) as service:
        answer = await service.predict(made.patient, idempotency_key="k")
        with pytest.raises(IdempotencyKeyReused):
            await service.predict(patient(name="Someone else"), idempotency_key="k")
        assert await stored(service) == {first}

    assert answer.id == first
    assert answer.assessment == made.assessment
    assert answer.model_version == made.model_version
