"""What is added up over the patients of a group, and the measures that it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stroke.application.quality.calibration import (
    Floats,
    Labels,
    error_interval,
    interval_of,
    ratio_interval,
)
from stroke.application.quality.discrimination import (
    Placements,
    interval_of_area,
    proportion_interval,
)
from stroke.application.quality.moments import Moments
from stroke.domain.performance import Estimate

Mask = NDArray[np.bool_]

BANDS: Final = ("medium", "high")
"""Answers of Medium or High, and answers of High."""

# Over a smaller sum of probabilities, observed / expected is a number with no meaning.
_FEWEST_EXPECTED: Final = 1e-6


def _by_outcome() -> dict[str, list[int]]:
    return {band: [0, 0] for band in BANDS}


@dataclass(slots=True)
class Sums:
    """One model on one group of patients, who are read once, piece by piece."""

    probability: Moments = field(default_factory=Moments)
    gap: Moments = field(default_factory=Moments)
    """Of outcome less probability."""
    brier: Moments = field(default_factory=Moments)
    of_outcome: list[int] = field(default_factory=lambda: [0, 0])
    """How many patients have no stroke, and how many have one."""
    marked: dict[str, list[int]] = field(default_factory=_by_outcome)
    """How many of either are in each band."""

    def add(self, outcome: Labels, probability: Floats, medium: Mask, high: Mask) -> None:
        """Take more patients, ``(N,)``."""
        gap = outcome - probability
        self.probability.add(probability)
        self.gap.add(gap)
        self.brier.add(np.square(gap))
        struck = outcome == 1
        for value, chosen in enumerate((~struck, struck)):
            self.of_outcome[value] += int(chosen.sum())
            for band, positive in zip(BANDS, (medium, high), strict=True):
                self.marked[band][value] += int((positive & chosen).sum())

    @property
    def patients(self) -> int:
        """How many patients there are."""
        return sum(self.of_outcome)

    @property
    def strokes(self) -> int:
        """How many of them had a stroke."""
        return self.of_outcome[1]


def measured(
    sums: Sums,
    placed: Placements,
    line: tuple[Estimate, Estimate] | tuple[None, None],
    bins: Sequence[Moments],
) -> dict[str, Estimate]:
    """Return every measure that the outcomes decide.

    ``line`` is calibration's slope and intercept, ``bins`` the gaps of ten groups of equal count.
    There must be 20 patients, and two of either kind. A measure that has no finite value, or no
    finite interval, is left out.
    """
    slope, intercept = line
    expected = sums.probability.total
    found = {
        "auc": interval_of_area(placed),
        "brier": interval_of(sums.brier, least=0.0, most=1.0),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        "oe_ratio": ratio_interval(sums.strokes, sums.patients, expected)
        if expected >= _FEWEST_EXPECTED
        else None,
        "ece": error_interval(bins),
    }
    others, strokes = sums.of_outcome
    for band in BANDS:
        false, true = sums.marked[band]
        found[f"sensitivity_{band}"] = proportion_interval(true, strokes)
        found[f"specificity_{band}"] = proportion_interval(others - false, others)
    return {n: each for n, each in found.items() if each is not None and all(map(isfinite, each))}
