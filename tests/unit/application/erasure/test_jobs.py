"""Erasure jobs are carried out once, by whichever worker lives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from builders.predictions import NOON
from fakes.erasure import FakeErasureJobs, FakeSubjects
from stroke.application.erasure.erasure import Erased
from stroke.application.erasure.jobs import Asker, ErasureJobService, ErasureWorker
from stroke.application.erasure.ports import ErasureJob, JobState, Retained, Subject
from stroke.domain.errors import (
    ErasureJobNotFound,
    IdempotencyKeyReused,
    NothingToErase,
    ReplicaBehind,
    StoreUnavailable,
    SubjectsAlike,
)

pytestmark = pytest.mark.anyio
LEASE = timedelta(seconds=60)
CENTRE = Asker("key:centre", None, "5b1c")
NORTH = Asker("key:north", "north", None)


def erased(*ids: int, unknown: tuple[int, ...] = ()) -> Erased:
    kept = [Retained("a log", NOON)]
    return Erased(frozenset(ids), frozenset(unknown), {"database": len(ids)}, kept)


class Stage:
    def __init__(self) -> None:
        self.jobs = FakeErasureJobs({6: "south", 7: "north", 8: "north"})
        self.subjects = FakeSubjects()
        self.now = NOON
        self.made = 0
        self.service = ErasureJobService(
            self.jobs,
            self.subjects,
            now=lambda: self.now,
            new_id=self._new_id,
            keep=timedelta(days=1),
        )
        self.carried_out: list[tuple[int, ...]] = []
        self.trouble: Exception | None = None

    def _new_id(self) -> str:
        self.made += 1
        return str(self.made)

    async def _erase(self, job: ErasureJob) -> Erased:
        self.carried_out.append(job.ids)
        if self.trouble is not None:
            raise self.trouble
        return erased(*job.ids)

    def worker(
        self, name: str = "w", erase: Callable[[ErasureJob], Any] | None = None, **changed: Any
    ) -> ErasureWorker:
        settings: dict[str, Any] = {"lease": LEASE, "now": lambda: self.now, **changed}
        return ErasureWorker(self.jobs, erase or self._erase, name=name, **settings)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_a_job_is_carried_out_and_says_what_it_did(stage: Stage) -> None:
    asked = await stage.service.ask([7, 6, 7, 99], of=NORTH)

    done = await stage.worker().work_once()

    assert stage.carried_out == [(7,)]
    job = await stage.service.find(asked.id, site="north")
    assert job == done
    assert job.result is not None
    assert (job.state, job.result.erased, job.result.unknown) == (JobState.DONE, (7,), (6, 99))
    assert job.result.retained == (Retained("a log", NOON),)
    assert await stage.worker().work_once() is None


async def test_what_fails_waits_ever_longer_and_says_why(stage: Stage) -> None:
    asked = await stage.service.ask([7], of=CENTRE)
    stage.trouble = ReplicaBehind("the lake is behind")
    worker = stage.worker()
    for attempt in (1, 2, 4):
        await worker.work_once()
        assert (await stage.service.find(asked.id, site=None)).trouble == "the lake is behind"
        stage.now += LEASE * attempt - timedelta(seconds=1)
        assert await worker.work_once() is None
        stage.now += timedelta(seconds=1)

    stage.trouble = None
    await worker.work_once()

    job = await stage.service.find(asked.id, site=None)
    assert (job.state, job.attempts, job.trouble) == (JobState.DONE, 4, None)


async def test_a_failure_does_not_hold_up_the_others(stage: Stage) -> None:
    await stage.service.ask([7], of=CENTRE)
    stage.trouble = ReplicaBehind("behind")
    await stage.worker().work_once()
    stage.trouble = None
    await stage.service.ask([8], of=CENTRE)

    await stage.worker().work_once()

    assert stage.carried_out == [(7,), (8,)]


async def test_a_job_of_a_worker_that_died_is_carried_out_by_another(stage: Stage) -> None:
    asked = await stage.service.ask([7], of=CENTRE)
    await stage.jobs.claim("dead", now=stage.now, until=stage.now + LEASE)
    assert await stage.worker().work_once() is None
    stage.now += LEASE

    await stage.worker().work_once()

    assert (await stage.service.find(asked.id, site=None)).state is JobState.DONE


async def test_a_worker_keeps_its_job_for_as_long_as_it_works_on_it(stage: Stage) -> None:
    await stage.service.ask([7], of=CENTRE)
    begun = datetime.now(NOON.tzinfo)

    def now() -> datetime:
        return NOON + (datetime.now(NOON.tzinfo) - begun)

    async def slow(job: ErasureJob) -> Erased:
        await asyncio.sleep(0.5)
        return erased(*job.ids)

    lease = timedelta(seconds=0.2)
    working = asyncio.create_task(stage.worker("slow", slow, lease=lease, now=now).work_once())
    await asyncio.sleep(0.3)

    assert await stage.worker("other", now=now, lease=lease).work_once() is None
    done = await working
    assert done is not None
    assert done.state is JobState.DONE


async def test_a_worker_whose_job_another_one_has_stops(stage: Stage) -> None:
    asked = await stage.service.ask([7], of=CENTRE)
    stopped = asyncio.Event()

    async def endless(_: ErasureJob) -> Erased:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()
        raise AssertionError

    lease = timedelta(seconds=0.05)
    working = asyncio.create_task(stage.worker("frozen", endless, lease=lease).work_once())
    await asyncio.sleep(0.01)
    stage.jobs.held[asked.id] = ("other", NOON + LEASE)

    done = await asyncio.wait_for(working, 5)

    assert stopped.is_set()
    assert done is not None
    assert done.result is None
    assert stage.jobs.held[asked.id][0] == "other"


async def test_a_worker_goes_on_when_the_store_was_away(stage: Stage) -> None:
    await stage.service.ask([7], of=CENTRE)
    stage.jobs.failing = StoreUnavailable("away")
    waits = 0

    async def wait() -> None:
        nonlocal waits
        waits += 1
        stage.jobs.failing = None
        if waits == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await stage.worker().work(wait)

    assert stage.carried_out == [(7,)]


async def test_a_job_that_is_asked_for_wakes_its_own_process(stage: Stage) -> None:
    waiting = asyncio.create_task(stage.service.wait(60))
    await asyncio.sleep(0)
    await stage.service.ask([7], of=CENTRE)
    await asyncio.wait_for(waiting, 1)
    await asyncio.wait_for(stage.service.wait(0.01), 1)


async def test_a_key_gives_the_job_that_it_was_used_for(stage: Stage) -> None:
    asked = await stage.service.ask([6, 7], of=NORTH, key="k")

    assert (await stage.service.ask([7, 6], of=NORTH, key="k")).id == asked.id
    assert (await stage.service.ask([7], of=CENTRE, key="k")).id != asked.id
    with pytest.raises(IdempotencyKeyReused):
        await stage.service.ask([7, 8], of=NORTH, key="k")


async def test_of_another_site_nothing_is_asked_or_seen(stage: Stage) -> None:
    with pytest.raises(NothingToErase):
        await stage.service.ask([6, 99], of=NORTH)
    job = await stage.service.ask([6], of=CENTRE)
    for wrong in (job.id, "none"):
        with pytest.raises(ErasureJobNotFound):
            await stage.service.find(wrong, site="north")


async def test_jobs_are_forgotten_some_time_after_their_end(stage: Stage) -> None:
    asked = await stage.service.ask([7], of=CENTRE)
    await stage.worker().work_once()
    stage.now += timedelta(days=1, seconds=1)
    await stage.service.ask([8], of=CENTRE)

    with pytest.raises(ErasureJobNotFound):
        await stage.service.find(asked.id, site=None)


async def test_all_predictions_of_a_subject_are_erased_and_of_its_own_site_alone(
    stage: Stage,
) -> None:
    stage.subjects.charts = [
        ("17", "https://a.example", 6, "south"),
        ("17", "https://a.example", 7, "north"),
        ("17", "https://a.example", 8, "north"),
        ("18", "https://a.example", 9, "north"),
    ]
    asked = await stage.service.ask([], of=NORTH, subjects=[Subject("17")])
    assert asked.ids == (7, 8)
    everywhere = await stage.service.ask([99], of=CENTRE, subjects=[Subject("17")])
    assert everywhere.ids == (6, 7, 8, 99)


async def test_a_subject_that_several_servers_have_is_nobody_until_one_is_named(
    stage: Stage,
) -> None:
    stage.subjects.charts = [("17", "https://a.example", 7, None), ("17", None, 8, None)]
    with pytest.raises(SubjectsAlike, match="reference 2 of 2") as refused:
        await stage.service.ask([], of=CENTRE, subjects=[Subject("1"), Subject("17")])
    assert "17" not in str(refused.value)
    assert stage.jobs.jobs == {}

    job = await stage.service.ask([], of=CENTRE, subjects=[Subject("17", "https://a.example")])
    assert job.ids == (7,)


async def test_nobody_is_erased_of_a_subject_that_is_not_known(stage: Stage) -> None:
    with pytest.raises(NothingToErase):
        await stage.service.ask([], of=CENTRE, subjects=[Subject("17")])


async def test_a_retry_gets_its_job_after_the_subject_was_erased_too(stage: Stage) -> None:
    stage.subjects.charts = [("17", None, 7, None), ("18", None, 8, None)]
    asked = await stage.service.ask([], of=CENTRE, key="k", subjects=[Subject("17")])
    stage.subjects.charts = [("18", None, 8, None)]

    again = await stage.service.ask([], of=CENTRE, key="k", subjects=[Subject("17")])
    other = await stage.service.ask([], of=CENTRE, key="k", subjects=[Subject("18")])

    assert again == asked
    assert other.ids == (8,)
