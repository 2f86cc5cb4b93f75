"""Probabilities in order, however many there are, and where others stand among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Final

import numpy as np

from stroke.application.models.columns import Whole
from stroke.application.models.ports import NewScratch, Scratch
from stroke.application.quality.calibration import Floats

_RUN: Final = 1 << 18  # values that are sorted in memory at once
_BLOCK: Final = 1 << 16  # values that are read at once
_FEWEST: Final = 1 << 9  # of a run, however many runs there are


class Ordered:
    """Takes probabilities in any order. ``sort`` them before anything is asked.

    Some 2 MB are in memory, and the rest in scratch: an external merge sort.
    """

    def __init__(self, scratch: NewScratch) -> None:
        self._scratch = scratch
        self._values = scratch(np.float64)
        self._runs: list[tuple[int, int]] = []
        self._waiting: list[Floats] = []

    def __len__(self) -> int:
        return len(self._values)

    def add(self, values: Floats) -> None:
        """Take more of them, ``(N,)``."""
        self._waiting.append(values)
        if sum(map(len, self._waiting)) >= _RUN:
            self._end_run()

    def sort(self) -> None:
        """Bring all that were taken into one order."""
        self._end_run()
        if len(self._runs) <= 1:
            return
        block = max(_FEWEST, _RUN // len(self._runs))
        with ExitStack() as closes:
            merged = closes.enter_context(closing(self._scratch(np.float64)))
            for values in in_order([_Run(self._values, *run, block) for run in self._runs]):
                merged.append(values)
            closes.pop_all()
        self._values.close()
        self._values, self._runs = merged, [(0, len(merged))]

    def pieces(self) -> Iterator[Floats]:
        """Yield all values by rising size, piece by piece."""
        for start in range(0, len(self), _BLOCK):
            yield self._values.read(start, start + _BLOCK)

    def run(self) -> _Run:
        """Return all values as one that can be merged with another."""
        return _Run(self._values, 0, len(self), _BLOCK)

    def counts(self, values: Floats) -> tuple[Whole, Whole]:
        """Return for each of ``values``, ``(N,)``, how many are smaller, and how many no larger."""
        order = np.argsort(values)
        asked = values[order]
        smaller, up_to = np.zeros((2, len(asked)), np.int64)
        for piece in self.pieces():
            # What lies beyond a piece has all of it below, and what lies before it nothing.
            begin = int(np.searchsorted(asked, piece[0], "left"))
            end = int(np.searchsorted(asked, piece[-1], "right"))
            smaller[begin:end] += np.searchsorted(piece, asked[begin:end], "left")
            up_to[begin:end] += np.searchsorted(piece, asked[begin:end], "right")
            for counts in (smaller, up_to):
                counts[end:] += len(piece)
            if len(asked) and asked[-1] < piece[-1]:
                break
        found = np.empty((2, len(asked)), np.int64)
        found[:, order] = smaller, up_to
        return found[0], found[1]

    def shares_below(self, values: Floats) -> Floats:
        """Return the share of all that is smaller than each of ``values``; equal count half."""
        smaller, up_to = self.counts(values)
        return (smaller + up_to) / 2 / len(self)

    def close(self) -> None:
        """Let the values go."""
        self._values.close()

    def _end_run(self) -> None:
        if not (count := sum(map(len, self._waiting))):
            return
        start = len(self._values)
        self._values.append(np.sort(np.concatenate(self._waiting)))
        self._runs.append((start, start + count))
        self._waiting.clear()


class _Run:
    """Values in order from ``start`` to below ``stop``, of which a block is in memory."""

    def __init__(self, values: Scratch, start: int, stop: int, block: int) -> None:
        self._values, self._next, self._stop, self._block = values, start, stop, block
        self.held: Floats = np.zeros(0)
        self.fill()

    def fill(self) -> bool:
        """Read the next block if none is held; return whether there is one."""
        if not len(self.held):
            until = min(self._next + self._block, self._stop)
            self.held = self._values.read(self._next, until)
            self._next = until
        return len(self.held) > 0

    def take(self, bound: float) -> Floats:
        """Return, and let go, what is held of values up to ``bound``."""
        end = int(np.searchsorted(self.held, bound, "right"))
        taken, self.held = self.held[:end], self.held[end:]
        return taken


def in_order(runs: Sequence[_Run]) -> Iterator[Floats]:
    """Yield the values of all runs by rising size, piece by piece."""
    left = [run for run in runs if run.fill()]
    while left:
        # Whatever is not held yet is no smaller than the last value that its run holds.
        bound = min(float(run.held[-1]) for run in left)
        yield np.sort(np.concatenate([run.take(bound) for run in left]))
        left = [run for run in left if run.fill()]
