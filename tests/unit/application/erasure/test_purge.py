"""A purge erases old predictions in bounded jobs, and goes on with what was begun."""

from __future__ import annotations

from datetime import timedelta

import pytest

from builders.predictions import NOON
from fakes.erasure import FakeErasureJobs, FakeOldRows, FakeSubjects
from stroke.application.erasure.erasure import Erased
from stroke.application.erasure.jobs import Asker, AttendedErasure, ErasureJobService, ErasureWorker
from stroke.application.erasure.ports import ErasureJob, Retained
from stroke.application.erasure.purge import Purge
from stroke.domain.errors import ReplicaBehind

pytestmark = pytest.mark.anyio
KEPT = (Retained("a log", NOON),)


class Stage:
    def __init__(self) -> None:
        self.rows = FakeOldRows({n: NOON - timedelta(days=n) for n in range(1, 6)})
        self.jobs = FakeErasureJobs()
        self.made = 0
        self.erased: list[tuple[int, ...]] = []
        self.trouble: ReplicaBehind | None = None
        self.elsewhere = 0
        service = ErasureJobService(
            self.jobs, FakeSubjects(), now=lambda: NOON, new_id=self._new_id, keep=timedelta(days=1)
        )
        self.worker = ErasureWorker(
            self.jobs, self._erase, name="w", lease=timedelta(minutes=1), now=lambda: NOON
        )
        self.erasure = AttendedErasure(
            service, self.worker, asker=Asker("user:x", None, None), pause=self._pause
        )
        self.purge = Purge(self.rows, self.erasure, at_once=2)

    def _new_id(self) -> str:
        self.made += 1
        return str(self.made)

    async def _erase(self, job: ErasureJob) -> Erased:
        for number in job.ids:
            self.rows.times.pop(number, None)
        if self.trouble is not None:
            raise self.trouble
        self.erased.append(job.ids)
        return Erased(frozenset(job.ids), frozenset(), {"database": len(job.ids)}, KEPT)

    async def _pause(self) -> None:
        self.elsewhere += 1


async def test_the_oldest_go_first_a_bounded_number_at_a_time() -> None:
    stage = Stage()
    seen: list[int] = []

    done = await stage.purge.run(NOON - timedelta(days=1), on_progress=seen.append)

    assert stage.erased == [(4, 5), (2, 3)]
    assert set(stage.rows.times) == {1}
    assert (done.predictions, done.removed, done.retained) == (4, {"database": 4}, KEPT)
    assert seen == [2, 4]


async def test_what_failed_is_said_and_gone_on_with_though_its_rows_are_gone() -> None:
    stage = Stage()
    stage.trouble = ReplicaBehind("the lake is behind")
    with pytest.raises(ReplicaBehind, match=r"the lake is behind.*[Rr]un the same command again"):
        await stage.purge.run(NOON, on_progress=lambda _: None)
    assert set(stage.rows.times) == {1, 2, 3}

    stage.trouble = None
    [(job_id, _)] = stage.jobs.held.items()
    stage.jobs.held[job_id] = (None, NOON)  # its pause is over
    await stage.purge.run(NOON, on_progress=lambda _: None)

    assert stage.erased == [(4, 5), (2, 3), (1,)]


async def test_a_job_that_another_worker_takes_is_waited_for() -> None:
    stage = Stage()
    other = ErasureWorker(
        stage.jobs, stage._erase, name="other", lease=timedelta(minutes=1), now=lambda: NOON
    )
    add = stage.jobs.add

    async def taken(job: ErasureJob, *, key: str | None = None) -> ErasureJob | None:
        stored = await add(job, key=key)
        await stage.jobs.claim("other", now=NOON, until=NOON)
        stage.jobs.held[job.id] = ("other", NOON + timedelta(minutes=1))
        return stored

    stage.jobs.add = taken  # type: ignore[method-assign]

    async def pause() -> None:
        stage.elsewhere += 1
        [running] = [job for job in stage.jobs.jobs.values() if job.result is None]
        stage.jobs.held[running.id] = (None, NOON)
        await other.work_once()

    stage.erasure._pause = pause

    done = await stage.purge.run(NOON, on_progress=lambda _: None)

    assert (done.predictions, stage.elsewhere) == (5, 3)


async def test_nothing_old_means_nothing_done() -> None:
    stage = Stage()
    done = await stage.purge.run(NOON - timedelta(days=9), on_progress=lambda _: None)
    assert (done.predictions, stage.jobs.jobs) == (0, {})
