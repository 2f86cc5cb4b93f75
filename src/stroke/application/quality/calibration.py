"""Calibration: how well predicted probabilities match outcomes. Arrays have the shape ``(N,)``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stroke.domain.performance import Estimate

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

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
    line, _, _ = _fitted(outcome, probability)
    return float(line[0]), float(line[1])


def calibration_intervals(
    outcome: Labels, probability: Floats
) -> tuple[Estimate, Estimate] | tuple[None, None]:
    """Return slope and intercept with Wald intervals, from the regression's information.

    None where the outcomes leave them open: when all predictions are equal, or when one
    probability parts strokes from the rest.
    """
    line, information, settled = _fitted(outcome, probability)
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


def _fitted(outcome: Labels, probability: Floats) -> tuple[Floats, Floats, bool]:
    """Return slope and intercept, the information matrix there, and whether they settled."""
    log_odds = logit(probability)
    line, settled = np.array([1.0, 0.0]), False
    likelihood = _log_likelihood(outcome, log_odds, line)
    for _ in range(_NEWTON_STEPS):
        information, score = np.zeros((2, 2)), np.zeros(2)
        for struck, odds in _pieces(outcome, log_odds):
            design = np.column_stack([odds, np.ones(len(odds))])
            fitted = (1 + np.tanh(design @ line / 2)) / 2
            information += design.T @ (design * (fitted * (1 - fitted))[:, None])
            score += design.T @ (struck - fitted)
        # Least squares: equal predictions for all leave the slope open, which is then 0.
        step = np.linalg.lstsq(information, score, rcond=None)[0]
        # A model that is far too sure would send whole steps ever further away.
        for _ in range(_HALVINGS):
            reached = _log_likelihood(outcome, log_odds, line + step)
            if reached >= likelihood:
                break
            step = step / 2
        line, likelihood = line + step, reached
        settled = float(np.abs(step).max()) < _CONVERGED
        if settled:
            break
    return line, information, settled


def _log_likelihood(outcome: Labels, log_odds: Floats, line: Floats) -> float:
    found = 0.0
    for struck, odds in _pieces(outcome, log_odds):
        moved = np.column_stack([odds, np.ones(len(odds))]) @ line
        found += float((struck * moved - np.logaddexp(0, moved)).sum())
    return found


def _pieces(outcome: Labels, log_odds: Floats) -> Iterator[tuple[Labels, Floats]]:
    """Yield patients piece by piece: what is made of all at once is several times as large."""
    for start in range(0, len(outcome), _AT_ONCE):
        end = start + _AT_ONCE
        yield outcome[start:end], log_odds[start:end]


def expected_calibration_error(outcome: Labels, probability: Floats) -> float:
    """Return the mean distance of predicted from observed risk over 10 bins of equal count.

    Bins of equal width would put nearly all patients of a rare outcome into the first one.
    """
    order = np.argsort(probability, kind="stable")
    return _mean_gap(probability[order] - outcome[order])


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
    order = np.argsort(probability, kind="stable")
    gap = probability[order] - outcome[order]
    bins = np.array_split(gap, ECE_BINS)
    weighted = np.array([part.std(ddof=1) * len(part) ** 0.5 for part in bins]) / len(gap)
    by_chance = np.abs(np.random.default_rng(0).standard_normal((_DRAWS, ECE_BINS))) @ weighted
    error = _mean_gap(gap)
    low = error - float(np.quantile(by_chance, 0.975))
    high = error + NORMAL_95 * float(np.sqrt((weighted**2).sum()))
    return Estimate.bounded(error, low, high, least=0.0, most=1.0)


def _mean_gap(gap: Floats) -> float:
    return float(sum(abs(part.sum()) for part in np.array_split(gap, ECE_BINS)) / len(gap))


def observed_to_expected(outcome: Labels, probability: Floats) -> float:
    """Return observed strokes per predicted one."""
    return float(outcome.sum() / probability.sum())


def observed_to_expected_interval(outcome: Labels, probability: Floats) -> Estimate:
    """Return observed strokes per predicted one, with an interval on the logarithm's scale.

    The logarithm's standard error is ``sqrt((1 - rate) / observed)`` (Debray et al. 2017, BMJ
    356:i6460). There must be a stroke.
    """
    ratio = observed_to_expected(outcome, probability)
    factor = float(np.exp(NORMAL_95 * np.sqrt((1 - outcome.mean()) / outcome.sum())))
    return Estimate.bounded(ratio, ratio / factor, ratio * factor, least=0.0)


def brier_score(outcome: Labels, probability: Floats) -> float:
    """Return the mean squared distance of probability from outcome (Brier 1950)."""
    return float(np.mean((probability - outcome) ** 2))


def brier_interval(outcome: Labels, probability: Floats) -> Estimate:
    """Return the Brier score with a normal interval: it is a mean over patients."""
    return mean_interval((probability - outcome) ** 2, least=0.0, most=1.0)


def mean_interval(values: Floats, *, least: float = -np.inf, most: float = np.inf) -> Estimate:
    """Return the mean of at least two values with a normal interval within the bounds given."""
    mean = float(values.mean())
    width = NORMAL_95 * float(values.std(ddof=1)) / len(values) ** 0.5
    return Estimate.bounded(mean, mean - width, mean + width, least=least, most=most)
