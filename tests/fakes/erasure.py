"""A place in memory that keeps something of predictions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from fakes.failing import Failing
from stroke.application.erasure.ports import (
    ErasablePlace,
    ErasureJob,
    ErasureJobs,
    JobResult,
    JobState,
    OldRows,
    Retained,
    Retention,
    Subject,
    Subjects,
    Trace,
    ValueSearch,
    ValueTrace,
)
from stroke.application.erasure.values import FoundValues, SoughtValues


class FakePlace(Failing, ErasablePlace):
    """Keeps ids. ``until`` is what it says of them; ``meanwhile`` happens before each erasure."""

    name = "fake"

    def __init__(self, *ids: int, name: str = "fake", until: datetime | None = None) -> None:
        self.name = name
        self.kept = set(ids)
        self.until = until
        self.erasures: list[list[int]] = []
        self.meanwhile: Callable[[], None] = lambda: None

    async def erase(self, ids: Collection[int]) -> int:
        self.meanwhile()
        self.raise_if_failing()
        self.erasures.append(sorted(ids))
        gone = self.kept.intersection(ids)
        self.kept -= gone
        return len(gone)

    async def find(self, ids: Collection[int]) -> list[Trace]:
        self.raise_if_failing()
        there = sorted(self.kept.intersection(ids))
        return [Trace(number, "its set", self.until) for number in there]


class FakeValueSearch(Failing, ValueSearch):
    """Keeps texts. ``until`` is what it says of them."""

    def __init__(self, *texts: str, name: str = "fake", until: datetime | None = None) -> None:
        self._name = name
        self.texts = list(texts)
        self.until = until

    @property
    def name(self) -> str:
        return self._name

    async def find_values(self, sought: SoughtValues) -> list[ValueTrace]:
        self.raise_if_failing()
        found = FoundValues()
        for number, text in enumerate(self.texts):
            found.add(sought.in_text(text), f"text {number}", self.until)
        return found.listed()


class FakeRetention(Failing, Retention):
    """Keeps what was erased for so long."""

    def __init__(self, what: str = "a log", *, keep: timedelta = timedelta(days=7)) -> None:
        self.what = what
        self.keep = keep

    async def retained(self, erased: datetime, *, now: datetime) -> Sequence[Retained]:
        self.raise_if_failing()
        until = erased + self.keep
        return [Retained(self.what, until if until > now else None)]


class FakeErasureJobs(Failing, ErasureJobs):
    """Jobs in memory. ``sites`` has the site of each prediction that there is."""

    def __init__(self, sites: dict[int, str | None] | None = None) -> None:
        self.sites = {} if sites is None else sites
        self.jobs: dict[str, ErasureJob] = {}
        self.keys: dict[str, str] = {}
        self.held: dict[str, tuple[str | None, datetime]] = {}

    async def add(self, job: ErasureJob, *, key: str | None = None) -> ErasureJob | None:
        self.raise_if_failing()
        if key in self.keys:
            return self.jobs[self.keys[key]]
        if job.site is not None:
            own = tuple(each for each in job.ids if self.sites.get(each) == job.site)
            job = replace(job, ids=own, unknown=tuple(sorted(set(job.ids) - set(own))))
        if not job.ids:
            return None
        self.jobs[job.id] = job
        self.held[job.id] = (None, job.asked_at)
        if key is not None:
            self.keys[key] = job.id
        return job

    async def find(self, job_id: str) -> ErasureJob | None:
        self.raise_if_failing()
        return self.jobs.get(job_id)

    async def claim(self, worker: str, *, now: datetime, until: datetime) -> ErasureJob | None:
        self.raise_if_failing()
        waiting = [
            job
            for job in self.jobs.values()
            if job.state is not JobState.DONE and self.held[job.id][1] <= now
        ]
        if not waiting:
            return None
        job = min(waiting, key=lambda each: (each.asked_at, each.id))
        self.held[job.id] = (worker, until)
        self.jobs[job.id] = replace(
            job,
            state=JobState.RUNNING,
            attempts=job.attempts + 1,
            started_at=job.started_at or now,
        )
        return self.jobs[job.id]

    async def renew(self, job_id: str, worker: str, *, until: datetime) -> bool:
        self.raise_if_failing()
        if not self._has(job_id, worker):
            return False
        self.held[job_id] = (worker, until)
        return True

    async def finish(self, job_id: str, worker: str, result: JobResult, *, at: datetime) -> bool:
        self.raise_if_failing()
        if not self._has(job_id, worker):
            return False
        self.jobs[job_id] = replace(
            self.jobs[job_id], state=JobState.DONE, ended_at=at, result=result, trouble=None
        )
        return True

    async def put_back(
        self, job_id: str, worker: str, trouble: str, *, not_before: datetime
    ) -> bool:
        self.raise_if_failing()
        if not self._has(job_id, worker):
            return False
        self.held[job_id] = (None, not_before)
        self.jobs[job_id] = replace(self.jobs[job_id], state=JobState.QUEUED, trouble=trouble)
        return True

    async def forget(self, ended_before: datetime) -> int:
        self.raise_if_failing()
        gone = [x for x, job in self.jobs.items() if job.ended_at and job.ended_at < ended_before]
        for each in gone:
            del self.jobs[each]
        self.keys = {key: each for key, each in self.keys.items() if each in self.jobs}
        return len(gone)

    def _has(self, job_id: str, worker: str) -> bool:
        job = self.jobs.get(job_id)
        running = job is not None and job.state is JobState.RUNNING
        return running and self.held[job_id][0] == worker


class FakeOldRows(Failing, OldRows):
    """The times of predictions by their ids; None for one that is not known."""

    def __init__(self, times: dict[int, datetime | None] | None = None) -> None:
        self.times = {} if times is None else times

    async def count(self, before: datetime) -> int:
        return len(self._old(before))

    async def oldest(self, before: datetime, *, limit: int) -> list[int]:
        return self._old(before)[:limit]

    def _old(self, before: datetime) -> list[int]:
        self.raise_if_failing()
        known = sorted((at, number) for number, at in self.times.items() if at is not None)
        return [number for at, number in known if at < before]


class FakeSubjects(Failing, Subjects):
    """Charts in memory: id and server of the patient, prediction and site of each."""

    def __init__(self, *charts: tuple[str, str | None, int, str | None]) -> None:
        self.charts = list(charts)

    async def find(
        self, subject: Subject, *, site: str | None
    ) -> Mapping[str | None, Sequence[int]]:
        self.raise_if_failing()
        found: dict[str | None, list[int]] = {}
        for id_, server, prediction, of in sorted(self.charts, key=lambda chart: chart[2]):
            own = None if server is None else server.rstrip("/")
            if id_ == subject.id and subject.server in {None, own} and site in {None, of}:
                found.setdefault(own, []).append(prediction)
        return found
