"""Erasure jobs: who takes them, and how the service carries them out in its own database."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.assessments import SqlSubjects
from stroke.adapters.sql.binlog import BinlogRetention
from stroke.adapters.sql.erasure import SqlBatchKeys, SqlPredictionPlace, forget_free_pages
from stroke.adapters.sql.erasure_jobs import SqlErasureJobs
from stroke.application.audit.ports import AuditFilter
from stroke.application.audit.trail import AuditTrail
from stroke.application.erasure.erasure import Erased, Erasure
from stroke.application.erasure.jobs import Asker, ErasureJobService, ErasureWorker
from stroke.application.erasure.ports import ErasureJob, ErasureJobs, Subjects
from stroke.config import DatabaseSettings, ErasureSettings, Settings
from stroke.domain.audit import AuditAction, AuditOutcome

_ERASE = AuditAction.PREDICTION_ERASE


@dataclass(frozen=True, slots=True)
class ErasureRecord:
    """What the audit trail says, and is to say, of the erasures that ``asker`` asked for."""

    trail: AuditTrail
    asker: Asker
    batch: int
    already: frozenset[int] = frozenset()
    """What an earlier attempt erased, which was written down then."""
    begun: frozenset[int] = frozenset()
    """What an earlier attempt was about to erase when it was cut off."""

    async def announce(self, ids: Collection[int]) -> None:
        """Write an entry for each prediction that is about to be erased."""
        await self._record(dict.fromkeys(ids, AuditOutcome.ASKED))

    async def write_down(self, found: Mapping[int, bool]) -> None:
        """Write an entry for each prediction: whether the database kept something of it.

        It did, too, where an earlier attempt had found it, and was cut off.
        """
        new = {number: there for number, there in found.items() if number not in self.already}
        begun = await self._unfinished([number for number, there in new.items() if not there])
        await self._record(
            {
                number: AuditOutcome.DONE if there or number in begun else AuditOutcome.NOT_FOUND
                for number, there in new.items()
            }
        )

    async def _record(self, outcomes: Mapping[int, AuditOutcome]) -> None:
        if not outcomes:
            return
        await self.trail.record_each(
            _ERASE,
            actor=self.asker.actor,
            outcomes={str(number): outcome for number, outcome in outcomes.items()},
            site=self.asker.site,
            request_id=self.asker.request_id,
        )

    async def _unfinished(self, ids: Collection[int]) -> set[int]:
        """Return the predictions whose erasure this asker began, and the trail has no end of."""
        last: dict[str, str] = {}
        targets = [str(each) for each in ids]
        for start in range(0, len(targets), self.batch):
            some = targets[start : start + self.batch]
            mine = AuditFilter(actor=self.asker.actor, action=_ERASE, targets=some)
            async for each in self.trail.entries(mine):
                last[each.event.target or ""] = each.event.outcome
        return {int(target) for target, outcome in last.items() if outcome == AuditOutcome.ASKED}

    async def erased_at(self, ids: Collection[int]) -> datetime | None:
        """Return when the last of some predictions was erased; None if none was."""
        return await self.trail.last_done(_ERASE, [str(each) for each in ids], batch=self.batch)

    async def resumed(self, job: ErasureJob) -> ErasureRecord:
        """Return the record of a job, with what was erased since it was asked for.

        By an earlier attempt, or by whoever asked.
        """
        targets = [str(each) for each in job.ids]
        already: set[int] = set()
        for start in range(0, len(targets), self.batch):
            done = AuditFilter(
                action=_ERASE,
                outcome=AuditOutcome.DONE,
                since=job.asked_at,
                targets=targets[start : start + self.batch],
            )
            already |= {int(each.event.target or 0) async for each in self.trail.entries(done)}
        begun = await self._unfinished([each for each in job.ids if each not in already])
        return replace(self, already=frozenset(already), begun=frozenset(begun))

    def complete(self, done: Erased) -> Erased:
        """Return what an attempt did, with what the earlier ones did."""
        before = self.already | self.begun
        return replace(done, stored=done.stored | before, unknown=done.unknown - before)


def asker_of(job: ErasureJob) -> Asker:
    """Return who asked for a job."""
    return Asker(job.actor, job.site, job.request_id)


def jobs_of(engine: AsyncEngine, settings: DatabaseSettings) -> SqlErasureJobs:
    """Return the jobs of an open database."""
    return SqlErasureJobs(engine, statement_timeout=settings.statement_timeout_seconds)


def subjects_of(engine: AsyncEngine, settings: DatabaseSettings) -> SqlSubjects:
    """Return the patients of record systems in an open database."""
    return SqlSubjects(engine, statement_timeout=settings.statement_timeout_seconds)


def job_service(
    jobs: ErasureJobs, subjects: Subjects, settings: ErasureSettings, now: Callable[[], datetime]
) -> ErasureJobService:
    """Return what takes requests for erasures."""
    keep = timedelta(days=settings.job_days)
    return ErasureJobService(
        jobs,
        subjects,
        now=now,
        new_id=lambda: uuid4().hex,
        keep=keep,
        copies=settings.worker == "pipeline",
    )


def worker_on(
    jobs: ErasureJobs,
    erase: Callable[[ErasureJob], Awaitable[Erased]],
    settings: ErasureSettings,
    now: Callable[[], datetime],
) -> ErasureWorker:
    """Return a worker whose name no other one has."""
    name = f"{socket.gethostname()[:30]}-{os.getpid()}-{uuid4().hex[:8]}"
    lease = timedelta(seconds=settings.lease_seconds)
    return ErasureWorker(jobs, erase, name=name, lease=lease, now=now)


def service_worker(
    jobs: ErasureJobs,
    engine: AsyncEngine,
    trail: AuditTrail,
    settings: Settings,
    now: Callable[[], datetime],
) -> ErasureWorker | None:
    """Return the worker of a service that has no copies; None where a pipeline carries jobs out."""
    erasing, seconds = settings.erasure, settings.database.statement_timeout_seconds
    if erasing.worker != "service":
        return None

    async def erase(job: ErasureJob) -> Erased:
        record = await ErasureRecord(trail, asker_of(job), erasing.batch_rows).resumed(job)
        erasure = Erasure(
            *database_places(engine, seconds, erasing.batch_rows),
            settled=lambda _: forget_free_pages(engine, seconds=seconds),
            announce=record.announce,
            write_down=record.write_down,
            batch=erasing.batch_rows,
            retentions=[BinlogRetention(engine, statement_timeout=seconds)],
            erased_at=record.erased_at,
            now=now,
        )
        return record.complete(await erasure.erase(job.ids, wait=erasing.wait_seconds))

    return worker_on(jobs, erase, erasing, now)


def database_places(
    engine: AsyncEngine, seconds: float, batch: int
) -> tuple[SqlPredictionPlace, list[SqlBatchKeys]]:
    """Return the place of the rows, and those of what else the database has of them."""
    return (
        SqlPredictionPlace(engine, statement_timeout=seconds),
        [SqlBatchKeys(engine, statement_timeout=seconds, page=batch)],
    )
