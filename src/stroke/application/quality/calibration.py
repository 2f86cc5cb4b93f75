"""Calibration: how well predicted probabilities match outcomes. Arrays have the shape ``(N,)``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stroke.application.quality.moments import Moments
from stroke.domain.performance import Estimate

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Passes = Callable[[], Iterable[tuple[Labels, Floats]]]
"""Gives outcomes and log-odds of all patients, piece by piece, as often as it is called."""

ECE_BINS: Final = 10
NORMAL_95: Final = 1.959963984540054
"""The 97.5 % quantile of the normal distribution: an interval is this many standard errors wide."""

_AT_ONCE: Final = 1 << 16
_NEWTON_STEPS: Final = 50
_HALVINGS: Final = 30
_CERTAIN: Final = 1e-12
_CONVERGED: Final = 1e-10  # far below any reported digit
_DRAWS: Final = 5_000
_NO_SPREAD: Final = 1e-10  # of squares: log-odds that differ by a hundred-thousandth


def logit(probability: Floats) -> Floats:
    """Return log-odds; 0 and 1 count as 1e-12 away from themselves."""
    clipped = np.clip(probability, _CERTAIN, 1 - _CERTAIN)
    log_odds: Floats = np.log(clipped) - np.log1p(-clipped)
    return log_odds


def calibration_line(outcome: Labels, probability: Floats) -> tuple[float, float]:
    """Return slope and intercept of the outcome's log-odds over the predicted ones.

    1 and 0 when calibrated (Cox 1958, Biometrika 45:562). The logistic regression is solved by
    Newton's method.
    """
    line, _, _ = _fitted(partial(_pieces, outcome, logit(probability)))
    return float(line[0]), float(line[1])


def calibration_intervals(
    outcome: Labels, probability: Floats
) -> tuple[Estimate, Estimate] | tuple[None, None]:
    """Return slope and intercept with Wald intervals, from the regression's information.

    None where the outcomes leave them open: when all predictions are equal, or when one
    probability parts strokes from the rest.
    """
    return line_intervals(partial(_pieces, outcome, logit(probability)))


def line_intervals(passes: Passes) -> tuple[Estimate, Estimate] | tuple[None, None]:
    """Return what ``calibration_intervals`` does, of patients who are read some ten times."""
    line, information, settled = _fitted(passes)
    if not settled or _is_open(information):
        return None, None
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    slope, intercept = (
        Estimate.bounded(float(at), float(at - NORMAL_95 * error), float(at + NORMAL_95 * error))
        for at, error in zip(line, errors, strict=True)
    )
    return slope, intercept


def _is_open(information: Floats) -> bool:
    """Return whether predictions differ so little that they say nothing of the slope.

    The determinant is the spread of the log-odds; rounding leaves some where they are all equal.
    """
    (of_slope, both), (_, of_intercept) = information
    product = of_slope * of_intercept
    return bool(product - both**2 <= _NO_SPREAD * product)


class _Fit(NamedTuple):
    """How well a line fits, and the information matrix and the score there."""

    likelihood: float
    information: Floats
    score: Floats


def _fitted(passes: Passes) -> tuple[Floats, Floats, bool]:
    """Return slope and intercept, the information matrix there, and whether they settled."""
    line, settled = np.array([1.0, 0.0]), False
    fit = _fit_of(passes, line)
    for _ in range(_NEWTON_STEPS):
        # Least squares: equal predictions for all leave the slope open, which is then 0.
        step = np.linalg.lstsq(fit.information, fit.score, rcond=None)[0]
        reached = _fit_of(passes, line + step)
        # A model that is far too sure would send whole steps ever further away.
        for _ in range(_HALVINGS):
            if reached.likelihood >= fit.likelihood:
                break
            step = step / 2
            reached = _fit_of(passes, line + step)
        line, fit = line + step, reached
        settled = float(np.abs(step).max()) < _CONVERGED
        if settled:
            break
    return line, fit.information, settled


def _fit_of(passes: Passes, line: Floats) -> _Fit:
    likelihood, information, score = 0.0, np.zeros((2, 2)), np.zeros(2)
    for struck, odds in passes():
        design = np.column_stack([odds, np.ones(len(odds))])
        moved = design @ line
        fitted = (1 + np.tanh(moved / 2)) / 2
        likelihood += float((struck * moved - np.logaddexp(0, moved)).sum())
        information += design.T @ (design * (fitted * (1 - fitted))[:, None])
        score += design.T @ (struck - fitted)
    return _Fit(likelihood, information, score)


def _pieces(outcome: Labels, log_odds: Floats) -> Iterator[tuple[Labels, Floats]]:
    """Yield patients piece by piece: what is made of all at once is several times as large."""
    for start in range(0, len(outcome), _AT_ONCE):
        end = start + _AT_ONCE
        yield outcome[start:end], log_odds[start:end]


def expected_calibration_error(outcome: Labels, probability: Floats) -> float:
    """Return the mean distance of predicted from observed risk over 10 bins of equal count.

    Bins of equal width would put nearly all patients of a rare outcome into the first one.
    """
    return _mean_gap(gaps_by_risk(outcome, probability))


def calibration_error_interval(outcome: Labels, probability: Floats) -> Estimate:
    """Return the expected calibration error with an interval that holds it.

    The error is ``sum(w |m|)`` over bins with the share ``w`` of the patients and the mean gap
    ``m``, whose standard error is ``s``. Chance alone makes it too high: a calibrated model has
    one above 0. So the two bounds differ. By the triangle inequality the true error is at least
    ``sum(w |m|) - sum(w |e|)``, with ``e`` the bins' errors of chance: the lower bound takes the
    97.5 % quantile of ``sum(w |e|)`` (5,000 draws with a fixed seed). And it is at most
    ``sum(w |m|) + sum(w e)`` with signs that do not matter, since ``e`` is symmetric: the upper
    bound takes the normal quantile of that. Both hold for every true error, 0 included. There
    must be 20 patients.
    """
    return error_interval(gaps_by_risk(outcome, probability))


def gaps_by_risk(outcome: Labels, probability: Floats) -> list[Moments]:
    """Return probability less outcome in ten bins of equal count, by rising probability."""
    order = np.argsort(probability, kind="stable")
    gap = probability[order] - outcome[order]
    return [Moments.of(part) for part in np.array_split(gap, ECE_BINS)]


def error_interval(bins: Sequence[Moments]) -> Estimate:
    """Return what ``calibration_error_interval`` does, of the gaps of each of the ten bins."""
    patients = sum(each.count for each in bins)
    weighted = np.array([(each.variance * each.count) ** 0.5 for each in bins]) / patients
    by_chance = np.abs(np.random.default_rng(0).standard_normal((_DRAWS, ECE_BINS))) @ weighted
    error = _mean_gap(bins)
    low = error - float(np.quantile(by_chance, 0.975))
    high = error + NORMAL_95 * float(np.sqrt((weighted**2).sum()))
    return Estimate.bounded(error, low, high, least=0.0, most=1.0)


def _mean_gap(bins: Sequence[Moments]) -> float:
    return sum(abs(each.total) for each in bins) / sum(each.count for each in bins)


def observed_to_expected(outcome: Labels, probability: Floats) -> float:
    """Return observed strokes per predicted one."""
    return float(outcome.sum() / probability.sum())


def observed_to_expected_interval(outcome: Labels, probability: Floats) -> Estimate:
    """Return observed strokes per predicted one, with an interval on the logarithm's scale.

    The logarithm's standard error is ``sqrt((1 - rate) / observed)`` (Debray et al. 2017, BMJ
    356:i6460). There must be a stroke.
    """
    return ratio_interval(int(outcome.sum()), len(outcome), float(probability.sum()))


def ratio_interval(strokes: int, patients: int, expected: float) -> Estimate:
    """Return what ``observed_to_expected_interval`` does, of the sum of the probabilities."""
    ratio = strokes / expected
    factor = float(np.exp(NORMAL_95 * ((1 - strokes / patients) / strokes) ** 0.5))
    return Estimate.bounded(ratio, ratio / factor, ratio * factor, least=0.0)


def brier_score(outcome: Labels, probability: Floats) -> float:
    """Return the mean squared distance of probability from outcome (Brier 1950)."""
    return float(np.mean((probability - outcome) ** 2))


def brier_interval(outcome: Labels, probability: Floats) -> Estimate:
    """Return the Brier score with a normal interval: it is a mean over patients."""
    return mean_interval((probability - outcome) ** 2, least=0.0, most=1.0)


def mean_interval(values: Floats, *, least: float = -np.inf, most: float = np.inf) -> Estimate:
    """Return the mean of at least two values with a normal interval within the bounds given."""
    return interval_of(Moments.of(values), least=least, most=most)


def interval_of(values: Moments, *, least: float = -np.inf, most: float = np.inf) -> Estimate:
    """Return what ``mean_interval`` does, of values that were added up."""
    width = NORMAL_95 * (values.variance / values.count) ** 0.5
    return Estimate.bounded(
        values.mean, values.mean - width, values.mean + width, least=least, most=most
    )
