"""A purge erases predictions that are older than their retention, a bounded number at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from stroke.application.erasure.jobs import AttendedErasure
from stroke.application.erasure.ports import OldRows, Retained

Progress = Callable[[int], None]
"""Receives how many predictions are erased."""


@dataclass(slots=True)
class Purged:
    """What a purge did. ``removed`` counts items by the name of the place."""

    predictions: int = 0
    removed: Counter[str] = field(default_factory=Counter)
    retained: tuple[Retained, ...] = ()

    def add(self, erased: int, removed: Mapping[str, int], retained: tuple[Retained, ...]) -> None:
        """Count what one job did."""
        self.predictions += erased
        self.removed.update(removed)
        self.retained = retained


class Purge:
    """Erases the oldest ``rows``, ``at_once`` of them as one erasure job of ``erasure``."""

    def __init__(self, rows: OldRows, erasure: AttendedErasure, *, at_once: int) -> None:
        self._rows = rows
        self._erasure = erasure
        self._at_once = at_once

    async def count(self, before: datetime) -> int:
        """Return how many predictions were made before a time (aware)."""
        return await self._rows.count(before)

    async def run(self, before: datetime, *, on_progress: Progress) -> Purged:
        """Erase the predictions that were made before a time (aware), from every place.

        Carries out erasures that wait already, first. Raises ``ReplicaBehind`` when a place is away
        or behind: what was begun waits, and the same call goes on with it.
        """
        purged = Purged()
        await self._erasure.finish_waiting()
        while ids := await self._rows.oldest(before, limit=self._at_once):
            result = await self._erasure.erase(ids)
            purged.add(len(result.erased), result.removed, result.retained)
            on_progress(purged.predictions)
        return purged
