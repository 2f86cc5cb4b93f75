"""Erasure jobs: what callers asked for, which workers take up and carry out."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from stroke.application.erasure.erasure import Erased
from stroke.application.erasure.ports import (
    ErasureJob,
    ErasureJobs,
    JobResult,
    JobState,
    Subject,
    Subjects,
)
from stroke.application.erasure.subjects import predictions_of
from stroke.domain.errors import (
    ErasureJobNotFound,
    IdempotencyKeyReused,
    NothingToErase,
    ReplicaBehind,
    StoreUnavailable,
    StrokeError,
)

# A job that failed is tried again after so many leases at the most.
_LONGEST_PAUSE: Final = 32
_TROUBLE: Final = 500


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for an erasure. ``site`` is None for one that may erase the rows of all sites."""

    actor: str
    site: str | None
    request_id: str | None


class ErasureJobService:
    """Takes requests for erasures, and says how far they are.

    Jobs that ended longer ago than ``keep`` are forgotten when another one is asked for. ``copies``
    says whether there are places beside the service's database.
    """

    def __init__(
        self,
        jobs: ErasureJobs,
        subjects: Subjects,
        *,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        keep: timedelta,
        copies: bool = False,
    ) -> None:
        self._jobs = jobs
        self._copies = copies
        self._subjects = subjects
        self._now = now
        self._new_id = new_id
        self._keep = keep
        self._asked = asyncio.Event()

    async def ask(
        self,
        ids: Collection[int],
        *,
        of: Asker,
        key: str | None = None,
        subjects: Sequence[Subject] = (),
    ) -> ErasureJob:
        """Store a job for these predictions, and those of ``subjects``, and return it.

        Or the one that has this ``key``. A caller with a site has only rows of its site erased. The
        others are among ``unknown``. Raises ``NothingToErase`` where none is left,
        ``IdempotencyKeyReused``, ``SubjectsAlike``, and ``StoreUnavailable``.
        """
        theirs = await predictions_of(self._subjects, subjects, site=of.site)
        wanted = tuple(sorted({*ids, *theirs}))
        now = self._now()
        await self._jobs.forget(now - self._keep)
        job = ErasureJob(
            id=self._new_id(),
            ids=wanted,
            unknown=(),
            site=of.site,
            actor=of.actor,
            request_id=of.request_id,
            asked_at=now,
        )
        stored = await self._jobs.add(job, key=_key_of(of, key, ids, subjects))
        if stored is None:
            raise NothingToErase("there is no prediction of these ids or subjects")
        if not subjects and stored.id != job.id and stored.asked_for != frozenset(wanted):
            raise IdempotencyKeyReused("the key belongs to an erasure of other predictions")
        self._asked.set()
        return stored

    async def ask_for_copies(self, prediction_id: int, *, of: Asker) -> None:
        """Store a job for a prediction that is about to be erased; nothing without copies.

        Raises ``StoreUnavailable``.
        """
        if self._copies:
            with suppress(NothingToErase):  # somebody else was faster
                await self.ask([prediction_id], of=of)

    async def find(self, job_id: str, *, site: str | None) -> ErasureJob:
        """Return a job; of a caller with a site, only those of its site.

        Raises ``ErasureJobNotFound`` and ``StoreUnavailable``.
        """
        job = await self._jobs.find(job_id)
        if job is None or (site is not None and job.site != site):
            raise ErasureJobNotFound("no erasure job has this id")
        return job

    async def wait(self, seconds: float) -> None:
        """Return when a job was asked for in this process, or after ``seconds``."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._asked.wait(), seconds)
        self._asked.clear()


def _key_of(
    of: Asker, key: str | None, ids: Collection[int], subjects: Sequence[Subject]
) -> str | None:
    """Return the key of a request as it is kept. A key belongs to its site, as a prediction's does.

    Once subjects are erased nobody knows which predictions were theirs. So what was asked for is
    part of the key.
    """
    if key is None:
        return None
    own = f"{of.site or ''}\n{key}"
    if not subjects:
        return own
    patients = sorted({(each.server or "", each.id) for each in subjects})
    asked = json.dumps([sorted(set(ids)), patients])
    return f"{own}\n{hashlib.sha256(asked.encode()).hexdigest()}"


class ErasureWorker:
    """Carries out jobs, one after the other; ``name`` is that of no other worker.

    A job is taken for ``lease``, and again and again while ``erase`` works on it. So another worker
    takes up what a worker left that died. What fails is tried again after pauses that grow.
    """

    def __init__(
        self,
        jobs: ErasureJobs,
        erase: Callable[[ErasureJob], Awaitable[Erased]],
        *,
        name: str,
        lease: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._jobs = jobs
        self._erase = erase
        self._name = name
        self._lease = lease
        self._now = now

    async def work_once(self) -> ErasureJob | None:
        """Carry out the job that waits longest, and return it as it ended; None if none waits.

        Trouble of a place is noted in the job, which waits again. Raises ``StoreUnavailable``.
        """
        now = self._now()
        job = await self._jobs.claim(self._name, now=now, until=now + self._lease)
        if job is None:
            return None
        working = asyncio.ensure_future(self._erase(job))
        try:
            done = await self._while_held(job, working)
        except StrokeError as error:
            pause = self._lease * min(2 ** (job.attempts - 1), _LONGEST_PAUSE)
            trouble = str(error)[:_TROUBLE]
            again = self._now() + pause
            await self._jobs.put_back(job.id, self._name, trouble, not_before=again)
            return replace(job, state=JobState.QUEUED, trouble=trouble)
        if done is None:
            return replace(job, trouble="another worker took it up")
        unknown = tuple(sorted({*done.unknown, *job.unknown}))
        result = JobResult(tuple(sorted(done.stored)), unknown, done.removed, tuple(done.retained))
        ended = self._now()
        await self._jobs.finish(job.id, self._name, result, at=ended)
        return replace(job, state=JobState.DONE, result=result, ended_at=ended, trouble=None)

    async def work(self, wait: Callable[[], Awaitable[object]]) -> None:
        """Carry out jobs for ever; ``wait`` returns when it is time to look again."""
        while True:
            try:
                found = await self.work_once()
            except StoreUnavailable:  # the database is away; requests answer 503
                found = None
            if found is None:
                await wait()

    async def _while_held(self, job: ErasureJob, working: asyncio.Future[Erased]) -> Erased | None:
        """Return what the work did; None if another worker has taken the job meanwhile."""
        try:
            while True:
                done, _ = await asyncio.wait({working}, timeout=self._lease.total_seconds() / 3)
                if done:
                    return working.result()
                held = True
                with suppress(StoreUnavailable):
                    until = self._now() + self._lease
                    held = await self._jobs.renew(job.id, self._name, until=until)
                if not held:
                    return None
        finally:
            if not working.done():
                working.cancel()
                with suppress(asyncio.CancelledError, StrokeError):
                    await working


class AttendedErasure:
    """Stores jobs, and waits until they are carried out, by its own worker or by another one.

    A job is stored before anything of it is erased. So of a run that was killed the next one, or
    any worker, carries out what was begun, in the copies too. ``pause`` is waited for while another
    worker has the job.
    """

    def __init__(
        self,
        jobs: ErasureJobService,
        worker: ErasureWorker,
        *,
        asker: Asker,
        pause: Callable[[], Awaitable[object]],
    ) -> None:
        self._jobs = jobs
        self._worker = worker
        self._asker = asker
        self._pause = pause

    async def finish_waiting(self) -> None:
        """Carry out what others asked for. Raises ``ReplicaBehind`` where a place is away."""
        while (waiting := await self._worker.work_once()) is not None:
            _check(waiting.trouble)

    async def erase(self, ids: Collection[int], subjects: Sequence[Subject] = ()) -> JobResult:
        """Erase predictions from every place. Raises ``ReplicaBehind``, and what ``ask`` raises."""
        asked = await self._jobs.ask(ids, of=self._asker, subjects=subjects)
        while True:
            worked = await self._worker.work_once()
            job = await self._jobs.find(asked.id, site=None)
            _check(job.trouble)
            if job.state is JobState.DONE and job.result is not None:
                return job.result
            if worked is None:
                await self._pause()


def _check(trouble: str | None) -> None:
    if trouble is not None:
        raise ReplicaBehind(
            f"an erasure is not finished yet: {trouble}. Run the same command again; what was "
            "begun goes on"
        )
