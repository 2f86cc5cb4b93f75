"""Erasure jobs in the service's database."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from stroke.adapters.sql.engine import transaction
from stroke.adapters.sql.erasure import storable_ids
from stroke.adapters.sql.faults import again_after_deadlock
from stroke.adapters.sql.tables import erasure_jobs as table
from stroke.adapters.sql.tables import predictions
from stroke.application.erasure.ports import ErasureJob, ErasureJobs, JobResult, JobState, Retained
from stroke.domain.errors import IdempotencyKeyTaken, PredictionRejected

_CHUNK: Final = 1_000


class SqlErasureJobs(ErasureJobs):
    """The table ``erasure_jobs``. Every call is one transaction on one connection of ``engine``.

    A call that takes longer than ``statement_timeout`` seconds raises ``StoreUnavailable``.
    """

    def __init__(self, engine: AsyncEngine, *, statement_timeout: float) -> None:
        self._transaction = partial(transaction, engine, seconds=statement_timeout)

    async def add(self, job: ErasureJob, *, key: str | None = None) -> ErasureJob | None:
        digest = None if key is None else hashlib.sha256(key.encode()).hexdigest()
        try:
            return await self._add(job, digest)
        except (IdempotencyKeyTaken, PredictionRejected) as error:
            if isinstance(error.__cause__, IntegrityError) and digest is not None:
                async with self._transaction() as connection:
                    return await _of_key(connection, digest)
            raise

    @again_after_deadlock
    async def _add(self, job: ErasureJob, digest: str | None) -> ErasureJob | None:
        async with self._transaction(writes=True) as connection:
            if digest is not None and (found := await _of_key(connection, digest)) is not None:
                return found
            if job.site is not None:
                own = await _of_site(connection, job.ids, job.site)
                job = replace(
                    job,
                    ids=tuple(number for number in job.ids if number in own),
                    unknown=tuple(number for number in job.ids if number not in own),
                )
            if not job.ids:
                return None
            await connection.execute(insert(table).values(_row(job, digest)))
        return job

    async def find(self, job_id: str) -> ErasureJob | None:
        async with self._transaction() as connection:
            row = (await connection.execute(select(table).where(table.c.id == job_id))).first()
        return None if row is None else _job(row)

    @again_after_deadlock
    async def claim(self, worker: str, *, now: datetime, until: datetime) -> ErasureJob | None:
        is_waiting = (table.c.state != JobState.DONE, table.c.waits_from <= _naive(now))
        waiting = select(table.c.id).where(*is_waiting).order_by(table.c.asked_at, table.c.id)
        async with self._transaction(writes=True) as connection:
            # Locked by its own id: a search that locks would lock each job that it looks at, for a
            # moment, and hide them all from the other workers.
            for job_id in (await connection.scalars(waiting)).all():
                mine = select(table).where(table.c.id == job_id, *is_waiting)
                row = (await connection.execute(mine.with_for_update(skip_locked=True))).first()
                if row is not None:
                    break
            else:
                return None
            taken = {
                "state": JobState.RUNNING,
                "worker": worker,
                "waits_from": _naive(until),
                "attempts": min(row.attempts + 1, 32_000),
                "started_at": row.started_at or _naive(now),
            }
            await connection.execute(update(table).where(table.c.id == row.id).values(taken))
        job = _job(row)
        return replace(
            job,
            state=JobState.RUNNING,
            attempts=taken["attempts"],
            started_at=job.started_at or now,
        )

    async def renew(self, job_id: str, worker: str, *, until: datetime) -> bool:
        return await self._change(job_id, worker, waits_from=_naive(until))

    async def finish(self, job_id: str, worker: str, result: JobResult, *, at: datetime) -> bool:
        return await self._change(
            job_id,
            worker,
            state=JobState.DONE,
            ended_at=_naive(at),
            result=_as_json(result),
            trouble=None,
        )

    async def put_back(
        self, job_id: str, worker: str, trouble: str, *, not_before: datetime
    ) -> bool:
        return await self._change(
            job_id,
            worker,
            state=JobState.QUEUED,
            worker=None,
            trouble=trouble,
            waits_from=_naive(not_before),
        )

    async def forget(self, ended_before: datetime) -> int:
        gone = delete(table).where(
            table.c.state == JobState.DONE, table.c.ended_at < _naive(ended_before)
        )
        async with self._transaction(writes=True) as connection:
            return (await connection.execute(gone)).rowcount

    @again_after_deadlock
    async def _change(self, job_id: str, holder: str, /, **values: Any) -> bool:
        mine = (table.c.id == job_id, table.c.worker == holder, table.c.state == JobState.RUNNING)
        async with self._transaction(writes=True) as connection:
            # MySQL counts rows that changed, and the same time again is no change: ask first.
            held = select(table.c.id).where(*mine).with_for_update()
            if (await connection.execute(held)).first() is None:
                return False
            await connection.execute(update(table).where(*mine).values(values))
        return True


async def _of_key(connection: AsyncConnection, digest: str) -> ErasureJob | None:
    query = select(table).where(table.c.idempotency_key == digest)
    row = (await connection.execute(query)).first()
    return None if row is None else _job(row)


async def _of_site(connection: AsyncConnection, ids: tuple[int, ...], site: str) -> set[int]:
    wanted = storable_ids(ids)
    own: set[int] = set()
    for start in range(0, len(wanted), _CHUNK):
        query = select(predictions.c.id).where(
            predictions.c.id.in_(wanted[start : start + _CHUNK]), predictions.c.site == site
        )
        own.update(await connection.scalars(query))
    return own


def _row(job: ErasureJob, digest: str | None) -> dict[str, Any]:
    return {
        "id": job.id,
        "idempotency_key": digest,
        "ids": list(job.ids),
        "unknown_ids": list(job.unknown),
        "site": job.site,
        "actor": job.actor,
        "request_id": job.request_id,
        "asked_at": _naive(job.asked_at),
        "waits_from": _naive(job.asked_at),
        "attempts": 0,
        "state": JobState.QUEUED,
    }


def _job(row: Row[Any]) -> ErasureJob:
    return ErasureJob(
        id=row.id,
        ids=tuple(row.ids),
        unknown=tuple(row.unknown_ids),
        site=row.site,
        actor=row.actor,
        request_id=row.request_id,
        asked_at=row.asked_at.replace(tzinfo=UTC),
        state=JobState(row.state),
        attempts=row.attempts,
        started_at=_aware(row.started_at),
        ended_at=_aware(row.ended_at),
        result=None if row.result is None else _of_json(row.result),
        trouble=row.trouble,
    )


def _as_json(result: JobResult) -> dict[str, Any]:
    kept = [[each.what, each.until.isoformat() if each.until else None] for each in result.retained]
    return {
        "erased": list(result.erased),
        "unknown": list(result.unknown),
        "removed": dict(result.removed),
        "kept": kept,
    }


def _of_json(said: dict[str, Any]) -> JobResult:
    return JobResult(
        tuple(said["erased"]),
        tuple(said["unknown"]),
        said["removed"],
        tuple(
            Retained(what, datetime.fromisoformat(until) if until else None)
            for what, until in said["kept"]
        ),
    )


def _aware(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)
