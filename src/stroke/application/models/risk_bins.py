"""Bins of equal count by risk, of patients who are read piece by piece."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stroke.application.models.columns import Whole
from stroke.application.models.ordered import Ordered, in_order
from stroke.application.quality.calibration import ECE_BINS, Floats, Labels
from stroke.application.quality.moments import Moments


class RiskBins:
    """Adds up what ``calibration.gaps_by_risk`` does, of patients in their order.

    Patients of one risk can lie on both sides of an edge. The first of them are then in the lower
    bin, as in a stable sort.
    """

    def __init__(self, classes: Sequence[Ordered]) -> None:
        """``classes`` are the same patients' probabilities, in order."""
        patients = sum(map(len, classes))
        sizes = [(patients + ECE_BINS - 1 - place) // ECE_BINS for place in range(ECE_BINS)]
        self._starts = np.cumsum(sizes)[:-1]
        self._edges = _at(classes, self._starts)
        # A risk that lies on an edge: where its patients begin, and how many of them were seen.
        self._tied = np.unique(self._edges)
        self._next = np.zeros(len(self._tied), np.int64)
        for each in classes:
            smaller, _ = each.counts(self._tied)
            self._next += smaller
        self.gaps = [Moments() for _ in sizes]
        """Of probability less outcome, for each bin."""

    def add(self, outcome: Labels, probability: Floats) -> None:
        """Take the next patients, ``(N,)``."""
        bins = np.searchsorted(self._edges, probability, "right")
        for place, risk in enumerate(self._tied):
            alike = np.flatnonzero(probability == risk)
            ranks = self._next[place] + np.arange(len(alike))
            bins[alike] = np.searchsorted(self._starts, ranks, "right")
            self._next[place] += len(alike)
        gap = probability - outcome
        for place, gaps in enumerate(self.gaps):
            gaps.add(gap[bins == place])


def _at(classes: Sequence[Ordered], places: Whole) -> Floats:
    """Return the values at ``places``, which rise, in the order of all."""
    found: list[float] = []
    passed = 0
    for piece in in_order([each.run() for each in classes]):
        within = places[len(found) :]
        within = within[within < passed + len(piece)]
        found += piece[within - passed].tolist()
        passed += len(piece)
    return np.array(found)
