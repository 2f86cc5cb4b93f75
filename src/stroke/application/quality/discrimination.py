"""Discrimination: how well probabilities separate patients with a stroke from the others."""

from __future__ import annotations

from typing import Final

import numpy as np

from stroke.application.quality.calibration import NORMAL_95, Floats, Labels
from stroke.domain.performance import Estimate

_AT_ONCE: Final = 1 << 16


def area_under_curve(outcome: Labels, probability: Floats) -> float:
    """Return the share of pairs, one with a stroke and one without, that are in the right order.

    Equal probabilities count half. NaN unless there are both.
    """
    strokes = int(outcome.sum())
    others = len(outcome) - strokes
    if not strokes or not others:
        return float("nan")
    ranks = _midranks(probability)[outcome == 1]
    return float((ranks.sum() - strokes * (strokes + 1) / 2) / (strokes * others))


def area_interval(outcome: Labels, probability: Floats) -> Estimate:
    """Return the area with DeLong's interval, on the log-odds' scale, which keeps it within 0 to 1.

    DeLong, DeLong and Clarke-Pearson 1988 (Biometrics 44:837), by ranks as Sun and Xu 2014 (IEEE
    Signal Processing Letters 21:1389). Where every pair is in order (or none is), that variance
    is 0; the interval is then Wilson's for as many trials as there are in the smaller class.
    Needs two patients of each class.
    """
    struck = outcome == 1
    strokes, others = int(struck.sum()), int((~struck).sum())
    ranks = _midranks(probability)
    area = area_under_curve(outcome, probability)
    of_stroke = (ranks[struck] - _midranks(probability[struck])) / others
    of_other = 1 - (ranks[~struck] - _midranks(probability[~struck])) / strokes
    variance = of_stroke.var(ddof=1) / strokes + of_other.var(ddof=1) / others
    if variance == 0 or not 0 < area < 1:
        fewest = min(strokes, others)
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
    struck = outcome == 1
    strokes, others = int(struck.sum()), int((~struck).sum())
    of_stroke, of_other = np.zeros(strokes), np.zeros(others)
    for probability, sign in ((first, 1), (second, -1)):
        ranks = _midranks(probability)
        of_stroke += sign * (ranks[struck] - _midranks(probability[struck])) / others
        of_other += sign * (1 - (ranks[~struck] - _midranks(probability[~struck])) / strokes)
    error = float(np.sqrt(of_stroke.var(ddof=1) / strokes + of_other.var(ddof=1) / others))
    value = float(of_stroke.mean())
    width = NORMAL_95 * error
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


def _midranks(values: Floats) -> Floats:
    """Return ranks from 1 on; equal values share the mean of theirs.

    Piece by piece: beside the result, only a sorted copy is as long as the values.
    """
    ordered = np.sort(values)
    ranks = np.empty(len(values))
    for start in range(0, len(values), _AT_ONCE):
        some = values[start : start + _AT_ONCE]
        order = np.argsort(some)  # neighbours are found together, several times as fast
        below = np.searchsorted(ordered, some[order], side="left")
        up_to = np.searchsorted(ordered, some[order], side="right")
        ranks[start : start + _AT_ONCE][order] = (below + up_to + 1) / 2
    return ranks
