"""How far predicted probabilities can be taken at their word. Arrays have the shape ``(N,)``."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

ECE_BINS: Final = 10
NORMAL_95: Final = 1.959963984540054
"""The 97.5 % quantile of the normal distribution: an interval is this many standard errors wide."""

_NEWTON_STEPS: Final = 50
_HALVINGS: Final = 30
_CERTAIN: Final = 1e-12
_CONVERGED: Final = 1e-10  # far below any reported digit
_DRAWS: Final = 5_000


class Interval(NamedTuple):
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float


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
) -> tuple[Interval, Interval] | tuple[None, None]:
    """Return slope and intercept with Wald intervals, from the regression's information.

    None where the outcomes leave them open: when all predictions are equal, or when one
    probability parts strokes from the rest.
    """
    line, information, settled = _fitted(outcome, probability)
    if not settled or np.linalg.matrix_rank(information, hermitian=True) < len(line):
        return None, None
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    slope, intercept = (
        Interval(float(at), float(at - NORMAL_95 * error), float(at + NORMAL_95 * error))
        for at, error in zip(line, errors, strict=True)
    )
    return slope, intercept


def _fitted(outcome: Labels, probability: Floats) -> tuple[Floats, Floats, bool]:
    """Return slope and intercept, the information matrix there, and whether they settled."""
    design = np.column_stack([logit(probability), np.ones(len(outcome))])
    line, settled = np.array([1.0, 0.0]), False
    likelihood = _log_likelihood(outcome, design @ line)
    for _ in range(_NEWTON_STEPS):
        fitted = (1 + np.tanh(design @ line / 2)) / 2
        information = design.T @ (design * (fitted * (1 - fitted))[:, None])
        # Least squares: equal predictions for all leave the slope open, which is then 0.
        step = np.linalg.lstsq(information, design.T @ (outcome - fitted), rcond=None)[0]
        # A model that is far too sure would send whole steps ever further away.
        for _ in range(_HALVINGS):
            reached = _log_likelihood(outcome, design @ (line + step))
            if reached >= likelihood:
                break
            step = step / 2
        line, likelihood = line + step, reached
        settled = float(np.abs(step).max()) < _CONVERGED
        if settled:
            break
    return line, information, settled


def _log_likelihood(outcome: Labels, log_odds: Floats) -> float:
    return float((outcome * log_odds - np.logaddexp(0, log_odds)).sum())


def expected_calibration_error(outcome: Labels, probability: Floats) -> float:
    """Return the mean distance of predicted from observed risk over 10 bins of equal count.

    Bins of equal width would put nearly all patients of a rare outcome into the first one.
    """
    order = np.argsort(probability, kind="stable")
    return _mean_gap(probability[order] - outcome[order])


def calibration_error_interval(outcome: Labels, probability: Floats) -> Interval:
    """Return the expected calibration error with a bootstrap interval.

    The bins' mean gaps are drawn 5,000 times from their normal distributions, with a fixed seed;
    the interval holds the middle 95 % (a parametric bootstrap, Efron and Tibshirani 1993, ch. 6).
    The error of a sample is too high by what chance adds, and so is the interval; both shrink as
    outcomes come in. There must be 20 patients.
    """
    order = np.argsort(probability, kind="stable")
    gap = probability[order] - outcome[order]
    bins = np.array_split(gap, ECE_BINS)
    counts = np.array([len(part) for part in bins])
    means = np.array([part.mean() for part in bins])
    errors = np.array([part.std(ddof=1) for part in bins]) / np.sqrt(counts)
    drawn = np.random.default_rng(0).normal(means, errors, (_DRAWS, ECE_BINS))
    low, high = np.quantile(np.abs(drawn) @ counts / len(gap), (0.025, 0.975))
    return Interval(_mean_gap(gap), float(low), float(high))


def _mean_gap(gap: Floats) -> float:
    return float(sum(abs(part.sum()) for part in np.array_split(gap, ECE_BINS)) / len(gap))


def observed_to_expected(outcome: Labels, probability: Floats) -> float:
    """Return observed strokes per predicted one."""
    return float(outcome.sum() / probability.sum())


def observed_to_expected_interval(outcome: Labels, probability: Floats) -> Interval:
    """Return observed strokes per predicted one, with an interval on the logarithm's scale.

    The logarithm's standard error is ``sqrt((1 - rate) / observed)`` (Debray et al. 2017, BMJ
    356:i6460). There must be a stroke.
    """
    ratio = observed_to_expected(outcome, probability)
    factor = float(np.exp(NORMAL_95 * np.sqrt((1 - outcome.mean()) / outcome.sum())))
    return Interval(ratio, ratio / factor, ratio * factor)


def brier_score(outcome: Labels, probability: Floats) -> float:
    """Return the mean squared distance of probability from outcome (Brier 1950)."""
    return float(np.mean((probability - outcome) ** 2))


def brier_interval(outcome: Labels, probability: Floats) -> Interval:
    """Return the Brier score with a normal interval: it is a mean over patients."""
    return mean_interval((probability - outcome) ** 2)


def mean_interval(values: Floats) -> Interval:
    """Return the mean of at least two values with a normal interval."""
    mean = float(values.mean())
    width = NORMAL_95 * float(values.std(ddof=1)) / len(values) ** 0.5
    return Interval(mean, mean - width, mean + width)
