"""Proves that the copies equal MySQL, and repairs rows that differ."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from stroke.application.pipeline.catch_up import CatchingUp
from stroke.application.pipeline.consistency import (
    Comparison,
    Discrepancy,
    ReplicaChunk,
    SourceChunk,
)
from stroke.application.pipeline.id_ranges import IdWalk, batches, covering
from stroke.application.pipeline.ports import Replica, SourceOfTruth
from stroke.domain.errors import ReplicaBehind

CHUNK_SIZE: Final = 10_000
TIMEOUT: Final = 120.0
# Ids that disagree are read again in batches of so many: that bounds the memory.
_DOUBTS: Final = 50_000
# A row that changes again between two readings is read once more, but not for ever.
_READINGS: Final = 5

Progress = Callable[[int, int], None]
"""Receives how many ids are done, and how many there are."""


def _silent(_done: int, _total: int) -> None:
    pass


@dataclass(slots=True)
class Repair:
    """What was sent to repair copies, and how they compare afterwards.

    MySQL cannot say of the ids in ``passed_over`` that they are gone.
    """

    sent: int = 0
    deleted: int = 0
    passed_over: list[int] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)


class PipelineVerifier:
    """Compares copies with MySQL, row by row, while rows come and go."""

    def __init__(
        self,
        source: SourceOfTruth,
        replicas: Sequence[Replica],
        catching_up: CatchingUp,
    ) -> None:
        self._source = source
        self._replicas = replicas
        self._catching_up = catching_up

    async def verify(
        self,
        *,
        chunk_size: int = CHUNK_SIZE,
        timeout: float = TIMEOUT,  # noqa: ASYNC109 -- of each wait for the copies, not of the call
        on_progress: Progress = _silent,
    ) -> list[Comparison]:
        """Return one comparison per replica, from one pass over all ids in constant memory.

        What disagrees is read again once the copies have caught up: only what still disagrees,
        and did not change meanwhile, is reported. Raises ``ReplicaBehind`` when a copy does not
        catch up within ``timeout`` seconds.
        """
        await self._catching_up.wait(self._replicas, seconds=timeout)
        comparisons = [Comparison(replica.name) for replica in self._replicas]
        doubts: list[set[int]] = [set() for _ in self._replicas]
        bounds = await self._bounds()
        if bounds is None:
            return comparisons
        low, high = bounds
        walk = IdWalk(low, high, chunk_size)
        while walk.first <= high:
            end = walk.end(await self._source.boundary(walk.first, chunk_size))
            truth, copies = await self._chunks(walk.first, end)
            for replica, copy, comparison, doubtful in zip(
                self._replicas, copies, comparisons, doubts, strict=True
            ):
                comparison.rows += len(truth.digests)
                comparison.duplicates += copy.duplicates
                doubtful.update(_disagreeing(truth.digests, copy.digests))
                if doubtful and (len(doubtful) >= _DOUBTS or end == high):
                    await self._settle(replica, doubtful, comparison, chunk_size, timeout)
                    doubtful.clear()
            walk.advance(end, empty=not (truth.digests or any(c.digests for c in copies)))
            on_progress(end - low + 1, high - low + 1)
        return comparisons

    async def repair(
        self,
        comparisons: Sequence[Comparison],
        *,
        chunk_size: int = CHUNK_SIZE,
        timeout: float = TIMEOUT,  # noqa: ASYNC109 -- as of ``verify``
        on_progress: Progress = _silent,
    ) -> Repair:
        """Send once more what disagrees, wait until the copies have it, and verify again.

        Rows that are stored are asked for by incremental snapshots, in batches; of others MySQL's
        binlog has the deletion. An id that no copy settles within ``timeout`` seconds is left
        to the comparison at the end. Ids beyond those listed have their turn after one.
        """
        repair = Repair(comparisons=list(comparisons))
        while True:
            await self._send(repair, chunk_size, timeout, on_progress)
            unlisted = any(comparison.unlisted for comparison in repair.comparisons)
            before = sum(map(_wrong, repair.comparisons))
            repair.comparisons = await self.verify(chunk_size=chunk_size, timeout=timeout)
            if not unlisted or sum(map(_wrong, repair.comparisons)) >= before:
                return repair

    async def _send(
        self, repair: Repair, chunk_size: int, seconds: float, on_progress: Progress
    ) -> None:
        wrong: set[int] = set()
        extra: set[int] = set()
        for comparison in repair.comparisons:
            wrong.update(comparison.missing, comparison.different)
            extra.update(comparison.extra)
        extra.difference_update(repair.passed_over)
        total, done = len(wrong) + len(extra), 0
        for batch in batches(sorted(wrong)):
            await self._source.send_again(batch)
            await self._agreement(batch, chunk_size, seconds)
            repair.sent += len(batch)
            on_progress(done := done + len(batch), total)
        for batch in batches(sorted(extra)):
            deleted = await self._source.send_deletes(batch)
            await self._agreement(deleted, chunk_size, seconds)
            repair.deleted += len(deleted)
            repair.passed_over += sorted({*batch} - {*deleted})
            on_progress(done := done + len(batch), total)

    async def _bounds(self) -> tuple[int, int] | None:
        found = [await self._source.bounds()]
        found += [await replica.bounds() for replica in self._replicas]
        known = [bounds for bounds in found if bounds is not None]
        if not known:
            return None
        return min(low for low, _ in known), max(high for _, high in known)

    async def _chunks(self, first: int, last: int) -> tuple[SourceChunk, list[ReplicaChunk]]:
        reading = (replica.chunk(first, last) for replica in self._replicas)
        return await asyncio.gather(self._source.chunk(first, last), asyncio.gather(*reading))

    async def _settle(
        self,
        replica: Replica,
        doubtful: set[int],
        comparison: Comparison,
        chunk_size: int,
        seconds: float,
    ) -> None:
        """Report which of the doubtful ids disagree although the replica has caught up.

        A row that is the same before and after the replica was read is the one to compare with.
        """
        left = sorted(doubtful)
        for reading in range(1, _READINGS + 1):
            before = await _read(self._source.chunk, left, chunk_size)
            await self._catching_up.wait([replica], seconds=seconds)
            copied = await _read(replica.chunk, left, chunk_size)
            after = await _read(self._source.chunk, left, chunk_size)
            moving = []
            for number in left:
                if copied.get(number) == after.get(number):
                    continue
                if before.get(number) != after.get(number) and reading < _READINGS:
                    moving.append(number)
                else:
                    comparison.add(_kind(after.get(number), copied.get(number)), number)
            left = moving
            if not left:
                break
        for kind in Discrepancy:
            comparison.ids(kind).sort()  # those that moved came later

    async def _agreement(self, ids: Sequence[int], chunk_size: int, seconds: float) -> None:
        """Return once all replicas agree with the source about ``ids``, or after ``seconds``."""

        async def agreed() -> bool:
            for replica in self._replicas:
                await replica.reached({})  # to see what came since it was read last
            truth = await _read(self._source.chunk, ids, chunk_size)
            copies = [await _read(r.chunk, ids, chunk_size) for r in self._replicas]
            return all(copy == truth for copy in copies)

        try:
            await self._catching_up.until(agreed, seconds=seconds)
        except ReplicaBehind:
            return  # the next verify says what is left


def _disagreeing(truth: Mapping[int, bytes], copy: Mapping[int, bytes]) -> Iterator[int]:
    return (number for number, _ in truth.items() ^ copy.items())


def _wrong(comparison: Comparison) -> int:
    return sum(comparison.count(kind) for kind in Discrepancy)


def _kind(truth: bytes | None, copy: bytes | None) -> Discrepancy:
    if truth is None:
        return Discrepancy.EXTRA
    return Discrepancy.MISSING if copy is None else Discrepancy.DIFFERENT


async def _read(
    chunk: Callable[[int, int], Awaitable[SourceChunk | ReplicaChunk]],
    ids: Sequence[int],
    chunk_size: int,
) -> dict[int, bytes]:
    """Return the digests of those of the ascending ``ids`` that are there."""
    wanted = frozenset(ids)
    found: dict[int, bytes] = {}
    for first, last in covering(ids, chunk_size):
        digests = (await chunk(first, last)).digests
        found.update((number, digests[number]) for number in digests.keys() & wanted)
    return found
