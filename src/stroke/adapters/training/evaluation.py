"""How right probabilities are: discrimination, calibration, and intervals for both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from sklearn.metrics import average_precision_score, log_loss

from stroke.application.quality.calibration import (
    Floats,
    Labels,
    brier_score,
    calibration_error_interval,
    calibration_line,
    expected_calibration_error,
    observed_to_expected,
)
from stroke.application.quality.discrimination import area_under_curve
from stroke.domain.performance import Estimate

BOOTSTRAP_SAMPLES: Final = 1000

METRICS: Final[dict[str, Callable[[Labels, Floats], float]]] = {
    "auc": area_under_curve,
    "average_precision": lambda y, p: float(average_precision_score(y, p)),
    "brier": brier_score,
    "log_loss": lambda y, p: float(log_loss(y, p)),
    "calibration_slope": lambda y, p: calibration_line(y, p)[0],
    "calibration_intercept": lambda y, p: calibration_line(y, p)[1],
    "ece": expected_calibration_error,
    "observed_to_expected": observed_to_expected,
}


def compare_areas(
    outcome: Labels,
    full: list[Floats],
    companion: list[Floats],
    *,
    samples: int = BOOTSTRAP_SAMPLES,
) -> dict[str, Any]:
    """Return both areas under the curve, and by how much the companion's is smaller.

    ``full`` and ``companion`` hold one ``(N,)`` array per repeat of a cross-validation, on the
    same folds. The interval (95 %, percentiles) is of differences: each bootstrap sample scores
    both models on the same patients.
    """
    areas = [
        (area_under_curve(outcome, one), area_under_curve(outcome, other))
        for one, other in zip(full, companion, strict=True)
    ]
    of_full, of_companion = (float(value) for value in np.mean(areas, axis=0))
    stream, lost = np.random.default_rng(0), []
    for sample in range(samples):
        chosen = stream.integers(0, len(outcome), len(outcome))
        labels = outcome[chosen]
        if 0 < labels.sum() < len(labels):
            repeat = sample % len(full)
            lost.append(
                area_under_curve(labels, full[repeat][chosen])
                - area_under_curve(labels, companion[repeat][chosen])
            )
    return {
        "patients": len(outcome),
        "auc": of_companion,
        "auc_of_full_model": of_full,
        "auc_lost": {
            "value": of_full - of_companion,
            "low": float(np.quantile(lost, 0.025)),
            "high": float(np.quantile(lost, 0.975)),
        },
    }


def evaluate(
    outcome: Labels,
    predictions: list[Floats],
    *,
    samples: int = BOOTSTRAP_SAMPLES,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, dict[str, float]]:
    """Return each metric's value and its 95 % interval, which holds the value.

    ``predictions`` holds one ``(N,)`` array per repeat of a cross-validation (or just one array);
    a value is the mean over repeats. Intervals are percentiles of a bootstrap, which resamples
    patients, taking the repeats in turn, from a fixed seed; ``progress`` is called after each of
    the ``samples``. The calibration error is above 0 by chance alone, and a bootstrap adds that
    chance once more: its bounds are means over repeats of ``calibration_error_interval``.
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
    found = {
        name: Estimate.bounded(
            float(np.mean([metric(outcome, each) for each in predictions])),
            float(np.quantile(drawn[name], 0.025)),
            float(np.quantile(drawn[name], 0.975)),
        )
        for name, metric in METRICS.items()
    }
    errors = [calibration_error_interval(outcome, each) for each in predictions]
    found["ece"] = Estimate(*(float(bound) for bound in np.mean(errors, axis=0)))
    return {name: estimate._asdict() for name, estimate in found.items()}
