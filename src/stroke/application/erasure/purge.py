"""A purge erases predictions that are older than their retention, a bounded number at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from stroke.application.erasure.jobs import Asker, ErasureJobService, ErasureWorker
from stroke.application.erasure.ports import JobState, Kept, OldRows
from stroke.domain.errors import ReplicaBehind

Progress = Callable[[int], None]
"""Receives how many predictions are erased."""


@dataclass(slots=True)
class Purged:
    """What a purge did. ``removed`` counts items by the name of the place."""

    predictions: int = 0
    removed: Counter[str] = field(default_factory=Counter)
    kept: tuple[Kept, ...] = ()

    def add(self, erased: int, removed: Mapping[str, int], kept: tuple[Kept, ...]) -> None:
        """Count what one job did."""
        self.predictions += erased
        self.removed.update(removed)
        self.kept = kept


class Purge:
    """Erases the oldest ``rows``, ``at_once`` of them as one erasure job.

    A job is stored before anything of it is erased. So of a purge that is killed the next one, or
    any worker, carries out what was begun, in the copies too. ``pause`` is waited for while another
    worker has a job of it.
    """

    def __init__(
        self,
        rows: OldRows,
        jobs: ErasureJobService,
        worker: ErasureWorker,
        *,
        asker: Asker,
        at_once: int,
        pause: Callable[[], Awaitable[object]],
    ) -> None:
        self._rows = rows
        self._jobs = jobs
        self._worker = worker
        self._asker = asker
        self._at_once = at_once
        self._pause = pause

    async def count(self, before: datetime) -> int:
        """Return how many predictions were made before a time (aware)."""
        return await self._rows.count(before)

    async def run(self, before: datetime, *, on_progress: Progress) -> Purged:
        """Erase the predictions that were made before a time (aware), from every place.

        Carries out erasures that wait already, first. Raises ``ReplicaBehind`` when a place is away
        or behind: what was begun waits, and the same call goes on with it.
        """
        purged = Purged()
        while (waiting := await self._worker.work_once()) is not None:
            _check(waiting.trouble)
        while ids := await self._rows.oldest(before, limit=self._at_once):
            asked = await self._jobs.ask(ids, of=self._asker)
            await self._carried_out(asked.id, purged)
            on_progress(purged.predictions)
        return purged

    async def _carried_out(self, job_id: str, purged: Purged) -> None:
        while True:
            worked = await self._worker.work_once()
            job = await self._jobs.find(job_id, site=None)
            _check(job.trouble)
            if job.state is JobState.DONE and job.result is not None:
                result = job.result
                purged.add(len(result.erased), result.removed, result.kept)
                return
            if worked is None:
                await self._pause()


def _check(trouble: str | None) -> None:
    if trouble is not None:
        raise ReplicaBehind(
            f"an erasure is not finished yet: {trouble}. Run the same command again; what was "
            "begun goes on"
        )
