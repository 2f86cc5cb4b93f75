"""Fairness: how far apart a model treats the levels of a group of patients."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import NormalDist
from typing import Final, NamedTuple

from stroke.application.quality.discrimination import proportion_interval
from stroke.application.quality.sums import Sums
from stroke.domain.performance import GAPS, Estimate, Gap

_ALPHA: Final = 0.05


class Level(NamedTuple):
    """One level of a group, and its patients: strokes, and patients without one."""

    name: str
    sums: Sums


class _Figure(NamedTuple):
    """A level's figure, and how far it may lie below and above by chance."""

    level: str
    value: float
    below: float
    above: float


def gaps_between(group: str, levels: Sequence[Level], left_out: Sequence[str]) -> list[Gap]:
    """Return the gaps of ``GAPS`` between ``levels``, of which there are two at least.

    A gap is the largest difference of any pair. Its interval holds for all pairs at once
    (Bonferroni): the largest of many differences is above 0 by chance alone. Differences of shares
    have Newcombe's interval (1998, Statistics in Medicine 17:873, method 10), others a normal one.
    """
    pairs = len(levels) * (len(levels) - 1) // 2
    found = []
    for measure in GAPS:
        figures = _figures(measure, levels, pairs)
        widest = [_widest(each) for each in figures]
        value, highest, lowest = max(each[:3] for each in widest)
        low, high = max(each[3] for each in widest), max(each[4] for each in widest)
        estimate = Estimate.bounded(value, low, high, least=0.0)
        found.append(Gap(group, measure, estimate, highest, lowest, left_out))
    return found


def _figures(measure: str, levels: Sequence[Level], pairs: int) -> list[list[_Figure]]:
    """Return the figures whose differences make the measure: one list, or two for odds."""
    if measure == "calibration_in_the_large":
        errors = _errors(pairs)
        return [[_difference(level, errors) for level in levels]]
    errors = _errors(2 * pairs)
    band = "high" if measure.endswith("high") else "medium"
    return [[_share(level, band, struck, errors) for level in levels] for struck in (1, 0)]


def _errors(comparisons: int) -> float:
    return NormalDist().inv_cdf(1 - _ALPHA / (2 * comparisons))


def _difference(level: Level, errors: float) -> _Figure:
    gap = level.sums.gap
    width = errors * (gap.variance / gap.count) ** 0.5
    return _Figure(level.name, gap.mean, width, width)


def _share(level: Level, band: str, struck: int, errors: float) -> _Figure:
    marked, patients = level.sums.marked[band][struck], level.sums.of_outcome[struck]
    value, low, high = proportion_interval(marked, patients, errors=errors)
    return _Figure(level.name, value, value - low, high - value)


def _widest(figures: Sequence[_Figure]) -> tuple[float, str, str, float, float]:
    """Return the largest difference of a pair, its levels, and the bounds of the largest."""
    value, highest, lowest, low, high = -1.0, "", "", 0.0, 0.0
    for pair in combinations(figures, 2):
        lower, upper = sorted(pair, key=lambda each: each.value)
        apart = upper.value - lower.value
        if apart > value:
            value, highest, lowest = apart, upper.level, lower.level
        low = max(low, apart - (upper.below**2 + lower.above**2) ** 0.5)
        high = max(high, apart + (upper.above**2 + lower.below**2) ** 0.5)
    return value, highest, lowest, low, high
