"""Cuts ids into ranges of few rows each, however the ids are spread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from stroke.application.pipeline.consistency import runs

# A range without rows of the source may be full of rows that only a copy has.
_CHUNKS_UNKNOWN: Final = 16
_GROWTH: Final = 4
# Debezium stores these conditions with its offsets: they must fit into one message.
_RUNS_PER_BATCH: Final = 2_000


class IdWalk:
    """Steps from ``first`` to ``last``, each step with about ``chunk_size`` rows of the source.

    Wide gaps are crossed in ever wider steps.
    """

    def __init__(self, first: int, last: int, chunk_size: int) -> None:
        self.first = first
        self._last = last
        self._least_width = self._width = chunk_size * _CHUNKS_UNKNOWN

    def end(self, boundary: int | None) -> int:
        """Return the last id of the step; ``boundary`` is where the source's chunk is full."""
        wanted = min(self._last, self.first + self._width - 1)
        return wanted if boundary is None else min(wanted, boundary)

    def advance(self, end: int, *, empty: bool) -> None:
        """Go on after ``end``, knowing whether there was any row up to it."""
        self.first = end + 1
        self._width = self._width * _GROWTH if empty else self._least_width


def covering(ids: Sequence[int], chunk_size: int) -> Iterator[tuple[int, int]]:
    """Return few ranges, none wider than ``chunk_size``, that hold all of the ascending ids."""
    start = 0
    for index in range(1, len(ids) + 1):
        if index == len(ids) or ids[index] - ids[start] >= chunk_size:
            yield ids[start], ids[index - 1]
            start = index


def batches(ids: Sequence[int]) -> Iterator[list[int]]:
    """Cut ascending ids into batches that one signal to Debezium can ask for."""
    ranges = runs(ids)
    while batch := list(islice(ranges, _RUNS_PER_BATCH)):
        yield [number for first, last in batch for number in range(first, last + 1)]
