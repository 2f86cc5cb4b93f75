"""How right probabilities are: discrimination, calibration, and intervals for both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

ECE_BINS: Final = 10
BOOTSTRAP_SAMPLES: Final = 1000
_NEWTON_STEPS: Final = 50
_CERTAIN: Final = 1e-12


def logit(probability: Floats) -> Floats:
    """Return log-odds; 0 and 1 count as 1e-12 away from themselves."""
    clipped = np.clip(probability, _CERTAIN, 1 - _CERTAIN)
    log_odds: Floats = np.log(clipped) - np.log1p(-clipped)
    return log_odds


def calibration_line(outcome: Labels, probability: Floats) -> tuple[float, float]:
    """Return slope and intercept of the outcome's log-odds over the predicted ones.

    1 and 0 when calibrated (Cox 1958). The logistic regression is solved by Newton's method.
    """
    design = np.column_stack([logit(probability), np.ones(len(outcome))])
    line = np.array([1.0, 0.0])
    for _ in range(_NEWTON_STEPS):
        fitted = 1 / (1 + np.exp(-design @ line))
        curvature = design.T @ (design * (fitted * (1 - fitted))[:, None])
        # Least squares: equal predictions for all leave the slope open, which is then 0.
        step = np.linalg.lstsq(curvature, design.T @ (outcome - fitted), rcond=None)[0]
        line += step
        if float(np.abs(step).max()) < 1e-10:  # noqa: PLR2004 - far below any reported digit
            break
    return float(line[0]), float(line[1])


def expected_calibration_error(outcome: Labels, probability: Floats) -> float:
    """Return the mean distance of predicted from observed risk over 10 bins of equal count.

    Bins of equal width would put nearly all patients of a rare outcome into the first one.
    """
    order = np.argsort(probability, kind="stable")
    gap = probability[order] - outcome[order]
    return float(sum(abs(part.sum()) for part in np.array_split(gap, ECE_BINS)) / len(outcome))


def observed_to_expected(outcome: Labels, probability: Floats) -> float:
    """Return observed strokes per predicted one."""
    return float(outcome.sum() / probability.sum())


METRICS: Final[dict[str, Callable[[Labels, Floats], float]]] = {
    "auc": lambda y, p: float(roc_auc_score(y, p)),
    "average_precision": lambda y, p: float(average_precision_score(y, p)),
    "brier": lambda y, p: float(brier_score_loss(y, p)),
    "log_loss": lambda y, p: float(log_loss(y, p)),
    "calibration_slope": lambda y, p: calibration_line(y, p)[0],
    "calibration_intercept": lambda y, p: calibration_line(y, p)[1],
    "ece": expected_calibration_error,
    "observed_to_expected": observed_to_expected,
}


def evaluate(
    outcome: Labels,
    predictions: list[Floats],
    *,
    samples: int = BOOTSTRAP_SAMPLES,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, dict[str, float]]:
    """Return each metric's value and 95 % percentile interval.

    ``predictions`` holds one ``(N,)`` array per repeat of a cross-validation (or just one array);
    a value is the mean over repeats. The bootstrap resamples patients, taking the repeats in
    turn, from a fixed seed; ``progress`` is called after each of the ``samples``.
    """
    drawn: dict[str, list[float]] = {name: [] for name in METRICS}
    stream = np.random.default_rng(0)
    for sample in range(samples):
        chosen = stream.integers(0, len(outcome), len(outcome))
        labels = outcome[chosen]
        if 0 < labels.sum() < len(labels):
            probability = predictions[sample % len(predictions)][chosen]
            for name, metric in METRICS.items():
                drawn[name].append(metric(labels, probability))
        progress()
    return {
        name: {
            "value": float(np.mean([metric(outcome, each) for each in predictions])),
            "low": float(np.quantile(drawn[name], 0.025)),
            "high": float(np.quantile(drawn[name], 0.975)),
        }
        for name, metric in METRICS.items()
    }
