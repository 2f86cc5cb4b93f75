"""Each measure lies within its own interval, and the interval within what the measure can be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.application.quality.calibration import Floats, calibration_error_interval
from stroke.application.quality.performance import (
    calibration_curve,
    decision_curve,
    measures,
    sample_of,
)
from stroke.domain.outcome import JudgedPrediction
from stroke.domain.performance import Estimate
from stroke.domain.risk import RiskCategory

LIMITS = {
    "brier": (0, 1),
    "auc": (0, 1),
    "ece": (0, 1),
    "oe_ratio": (0, math.inf),
    "sensitivity_medium": (0, 1),
    "specificity_medium": (0, 1),
    "sensitivity_high": (0, 1),
    "specificity_high": (0, 1),
}
PROBABILITIES = st.one_of(
    st.floats(0, 1), st.sampled_from([0.0, -0.0, 1.0, 5e-324, 1e-12, 0.5, 1 - 1e-16])
)
PATIENTS = st.tuples(PROBABILITIES, st.sampled_from(RiskCategory), st.booleans())
ANY_SAMPLE = st.lists(PATIENTS, min_size=20, max_size=80).filter(
    lambda rows: 2 <= sum(stroke for _, _, stroke in rows) <= len(rows) - 2
)


@given(ANY_SAMPLE)
def test_whatever_the_sample_an_interval_holds_its_measure(
    rows: list[tuple[float, RiskCategory, bool]],
) -> None:
    sample = sample_of(
        [
            JudgedPrediction(at, probability, band.value, stroke, "Male", 50.0)
            for at, (probability, band, stroke) in enumerate(rows, start=1)
        ]
    )

    for name, (value, low, high) in measures(sample).items():
        least, most = LIMITS.get(name, (-math.inf, math.inf))
        assert least <= low <= value <= high <= most, name
    for point in calibration_curve(sample):
        assert 0 <= point.low <= point.observed <= point.high <= 1
    for benefit in decision_curve(sample):
        assert benefit.low <= benefit.net_benefit <= benefit.high


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_rounding_cannot_leave_a_value_out_of_its_interval(
    value: float, low: float, high: float
) -> None:
    found = Estimate.bounded(value, low, high, least=0, most=1)

    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.value == value


def error_of(truth: Floats, probability: Floats) -> float:
    """Return the calibration error of the true risks: what endless outcomes would give."""
    order = np.argsort(probability)
    parts = np.array_split(probability[order] - truth[order], 10)
    return float(sum(abs(part.sum()) for part in parts) / len(probability))


@pytest.mark.parametrize(
    ("shift", "slope"), [(0.0, 1.0), (0.1, 1.0), (0.3, 1.0), (1.0, 1.0), (0.0, 0.6), (-0.5, 1.5)]
)
@pytest.mark.parametrize("count", [400, 2600])
def test_nineteen_in_twenty_intervals_hold_the_true_calibration_error(
    shift: float, slope: float, count: int
) -> None:
    stream = np.random.default_rng(20261129)
    held = 0
    for _ in range(100):
        log_odds = stream.normal(-3, 1.2, count)
        probability = 1 / (1 + np.exp(-log_odds))
        truth = 1 / (1 + np.exp(-(slope * log_odds + shift)))
        outcome = (stream.random(count) < truth).astype(np.int64)
        _, low, high = calibration_error_interval(outcome, probability)
        held += low <= error_of(truth, probability) <= high

    assert held >= 91  # 95 expected at least; 91 or fewer by chance in one of 20 runs
