"""Erasure removes predictions from the service's database, then from every copy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from stroke.application.erasure.ports import (
    ErasablePlace,
    Retained,
    Retention,
    SearchedPlace,
    Trace,
    ValueSearch,
    ValueTrace,
)
from stroke.application.erasure.values import SoughtValues

Announce = Callable[[Collection[int]], Awaitable[None]]
"""Receives ids of which the database keeps something, before it is removed."""

WriteDown = Callable[[Mapping[int, bool]], Awaitable[None]]
"""Receives ids of which the database kept something (True) or nothing (False)."""

Progress = Callable[[str, int, int], None]
"""Receives the name of a place, how much of it is done, and how much there is."""


def _silent(_place: str, _done: int, _total: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did. ``removed`` counts items by the name of the place."""

    stored: frozenset[int]
    """The ids of which the database kept something."""
    unknown: frozenset[int]
    removed: Mapping[str, int]
    retained: Sequence[Retained]
    """What cannot be searched, and may hold them."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What is left of predictions.

    ``traces`` is by the name of each place that was searched for ids, and ``values`` of each that
    was searched for values; what is ``retained`` cannot be searched.
    """

    traces: Mapping[str, Sequence[Trace]]
    retained: Sequence[Retained] = ()
    values: Mapping[str, Sequence[ValueTrace]] = field(default_factory=dict)

    def is_good(self, now: datetime) -> bool:
        """Return whether all that is left says until when, and that is to come."""
        return not self.lasting(now) and all(each.until is not None for each in self.retained)

    def lasting(self, now: datetime) -> list[tuple[str, Trace | ValueTrace]]:
        """Return what no place has said it will forget, or should have forgotten by ``now``."""
        found: list[tuple[str, Sequence[Trace | ValueTrace]]] = [
            *self.traces.items(),
            *self.values.items(),
        ]
        return [
            (place, trace)
            for place, traces in found
            for trace in traces
            if trace.until is None or trace.until <= now
        ]


class Erasure:
    """Erases from ``database`` first, and from ``copies`` once that has settled.

    ``settled`` waits until the copies have heard of it, so many seconds, and until the database's
    own files have no more of it. ``searched`` are places that forget by themselves, and say until
    when. ``value_searches`` makes what a proof searches for values. ``announce`` receives what is
    to be erased before each ``batch`` of ids, so that the trail also shows an erasure that was cut
    off, and ``write_down`` what was erased after it. ``erased_at`` says when the last of some ids
    was, if that is known. Everything may be done again: what is gone changes nothing.
    """

    def __init__(
        self,
        database: ErasablePlace,
        copies: Sequence[ErasablePlace],
        *,
        settled: Callable[[float], Awaitable[None]],
        announce: Announce,
        write_down: WriteDown,
        batch: int,
        searched: Sequence[SearchedPlace] = (),
        value_searches: Callable[[], Sequence[ValueSearch]] = tuple,
        retentions: Sequence[Retention],
        erased_at: Callable[[Collection[int]], Awaitable[datetime | None]],
        now: Callable[[], datetime],
    ) -> None:
        self._database: Final = database
        self._copies: Final = tuple(copies)
        self._searched: Final = tuple(searched)
        self._value_searches = value_searches
        self._settled = settled
        self._announce = announce
        self._write_down = write_down
        self._batch = batch
        self._retentions = tuple(retentions)
        self._erased_at = erased_at
        self._now = now

    async def erase(
        self, ids: Collection[int], *, wait: float, on_progress: Progress = _silent
    ) -> Erased:
        """Remove these predictions from every place.

        A copy that does not follow within ``wait`` seconds raises ``ReplicaBehind``, and one that
        is away its own error: run it again then, with the same ids.
        """
        wanted = sorted(set(ids))
        stored: set[int] = set()
        removed = dict.fromkeys((place.name for place in (self._database, *self._copies)), 0)
        for start in range(0, len(wanted), self._batch):
            some = wanted[start : start + self._batch]
            found = {trace.prediction_id for trace in await self._database.find(some)}
            await self._announce(sorted(found))
            removed[self._database.name] += await self._database.erase(some)
            await self._write_down({number: number in found for number in some})
            stored |= found
            on_progress(self._database.name, start + len(some), len(wanted))
        await self._settled(wait)
        for done, place in enumerate(self._copies, start=1):
            removed[place.name] += await place.erase(wanted)
            on_progress(place.name, done, len(self._copies))
        kept = await self._retained(wanted)
        return Erased(frozenset(stored), frozenset(wanted) - stored, removed, kept)

    async def prove(
        self,
        ids: Collection[int],
        sought: SoughtValues | None = None,
        *,
        on_progress: Progress = _silent,
    ) -> Proof:
        """Search every place for these predictions, and say what cannot be; change nothing.

        With ``sought``, search for those values, too.
        """
        places = (self._database, *self._copies, *self._searched)
        searches = self._value_searches() if sought is not None else ()
        steps = len(places) + len(searches)
        traces: dict[str, Sequence[Trace]] = {}
        for done, place in enumerate(places, start=1):
            traces[place.name] = await place.find(sorted(set(ids)))
            on_progress(place.name, done, steps)
        values: dict[str, Sequence[ValueTrace]] = {}
        if sought is not None:
            for done, search in enumerate(searches, start=len(places) + 1):
                values[search.name] = await search.find_values(sought)
                on_progress(search.name, done, steps)
        return Proof(traces, await self._retained(ids), values)

    async def _retained(self, ids: Collection[int]) -> list[Retained]:
        now = self._now()
        erased = await self._erased_at(ids) or now
        return [
            each
            for retention in self._retentions
            for each in await retention.retained(erased, now=now)
        ]
