"""Discrimination: how well probabilities separate patients with a stroke from the others."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from stroke.application.quality.calibration import NORMAL_95, Floats, Labels
from stroke.application.quality.moments import Moments
from stroke.domain.performance import Estimate

_AT_ONCE: Final = 1 << 16


class Placements(NamedTuple):
    """Where patients of either outcome stand among those of the other one.

    For a patient with a stroke, the share of the others who have a lower probability; for one
    without, the share of strokes with a higher one. Equal probabilities count half. Both have the
    area under the curve as their mean.
    """

    of_stroke: Moments
    of_other: Moments


def area_under_curve(outcome: Labels, probability: Floats) -> float:
    """Return the share of pairs, one with a stroke and one without, that are in the right order.

    Equal probabilities count half. NaN unless there are both.
    """
    struck = outcome == 1
    if not struck.any() or struck.all():
        return float("nan")
    return float(_share_below(np.sort(probability[~struck]), probability[struck]).mean())


def area_interval(outcome: Labels, probability: Floats) -> Estimate:
    """Return the area with DeLong's interval, on the log-odds' scale, which keeps it within 0 to 1.

    DeLong, DeLong and Clarke-Pearson 1988 (Biometrics 44:837), by ranks as Sun and Xu 2014 (IEEE
    Signal Processing Letters 21:1389). Where every pair is in order (or none is), that variance
    is 0; the interval is then Wilson's for as many trials as there are in the smaller class.
    Needs two patients of each class.
    """
    return interval_of_area(placements(outcome, probability))


def placements(outcome: Labels, probability: Floats) -> Placements:
    """Return the placements of patients ``(N,)``, with one of either outcome."""
    return Placements(*map(Moments.of, _placed(outcome, probability)))


def interval_of_area(placed: Placements) -> Estimate:
    """Return what ``area_interval`` does, of placements that were added up."""
    of_stroke, of_other = placed
    area = of_stroke.mean
    variance = of_stroke.variance / of_stroke.count + of_other.variance / of_other.count
    if variance == 0 or not 0 < area < 1:
        fewest = min(of_stroke.count, of_other.count)
        _, low, high = proportion_interval(round(area * fewest), fewest)
        return Estimate.bounded(area, low, high)
    centre = np.log(area / (1 - area))
    width = NORMAL_95 * np.sqrt(variance) / (area * (1 - area))
    low, high = 1 / (1 + np.exp(-(centre - width))), 1 / (1 + np.exp(-(centre + width)))
    return Estimate.bounded(area, float(low), float(high))


def area_difference(outcome: Labels, first: Floats, second: Floats) -> tuple[Estimate, float]:
    """Return how much larger the area of ``first`` is than that of ``second``, and its error.

    Both are probabilities of the same patients, so their areas go together: the covariance is
    DeLong's (1988, see ``area_interval``). The interval is normal; the second value is the
    standard error. Needs two patients of each class.
    """
    mine, theirs = _placed(outcome, first), _placed(outcome, second)
    return difference_of_areas(
        Placements(*(Moments.of(one - other) for one, other in zip(mine, theirs, strict=True)))
    )


def difference_of_areas(apart: Placements) -> tuple[Estimate, float]:
    """Return what ``area_difference`` does, of each patient's difference of placements."""
    of_stroke, of_other = apart
    error = (of_stroke.variance / of_stroke.count + of_other.variance / of_other.count) ** 0.5
    value, width = of_stroke.mean, NORMAL_95 * error
    return Estimate.bounded(value, value - width, value + width, least=-1.0, most=1.0), error


def expected_area(probability: Floats) -> float:
    """Return the area that a calibrated model would have on patients with these probabilities.

    The model-based concordance of van Klaveren et al. 2016 (Statistics in Medicine 35:4136).
    """
    _, place = np.unique(probability, return_inverse=True)
    strokes = np.bincount(place, weights=probability)
    others = np.bincount(place, weights=1 - probability)
    below = np.cumsum(others) - others / 2
    return float((strokes * below).sum() / (strokes.sum() * others.sum()))


def proportion_interval(part: int, whole: int, *, errors: float = NORMAL_95) -> Estimate:
    """Return ``part / whole`` with Wilson's interval (1927, JASA 22:209), ``errors`` wide."""
    share, squared = part / whole, errors**2
    centre = (share + squared / (2 * whole)) / (1 + squared / whole)
    width = (
        errors
        / (1 + squared / whole)
        * (share * (1 - share) / whole + squared / (4 * whole**2)) ** 0.5
    )
    return Estimate.bounded(share, centre - width, centre + width, least=0.0, most=1.0)


def _placed(outcome: Labels, probability: Floats) -> tuple[Floats, Floats]:
    """Return the placements of strokes and of the others, in the patients' order."""
    struck = outcome == 1
    strokes, others = probability[struck], probability[~struck]
    return _share_below(np.sort(others), strokes), 1 - _share_below(np.sort(strokes), others)


def _share_below(ordered: Floats, values: Floats) -> Floats:
    """Return for each value the share of ``ordered`` below it; equal ones count half."""
    found = np.empty(len(values))
    for start in range(0, len(values), _AT_ONCE):
        some = values[start : start + _AT_ONCE]
        order = np.argsort(some)  # neighbours are found together, several times as fast
        below = np.searchsorted(ordered, some[order], side="left")
        up_to = np.searchsorted(ordered, some[order], side="right")
        found[start : start + _AT_ONCE][order] = (below + up_to) / 2
    return found / len(ordered)
