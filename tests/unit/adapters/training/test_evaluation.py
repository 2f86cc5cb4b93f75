from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stroke.adapters.training.evaluation import (
    calibration_line,
    evaluate,
    expected_calibration_error,
    logit,
    observed_to_expected,
)

Sample = tuple[NDArray[np.int64], NDArray[np.float64]]


@pytest.fixture(scope="module")
def calibrated() -> Sample:
    """Outcomes drawn from the predicted probabilities themselves."""
    stream = np.random.default_rng(1)
    probability = stream.beta(1, 12, 200_000)
    return (stream.random(len(probability)) < probability).astype(np.int64), probability


def test_a_calibrated_model_has_slope_1_and_intercept_0(calibrated: Sample) -> None:
    slope, intercept = calibration_line(*calibrated)
    assert slope == pytest.approx(1, abs=0.03)
    assert intercept == pytest.approx(0, abs=0.06)


def test_the_calibration_line_undoes_a_distortion_of_the_log_odds(calibrated: Sample) -> None:
    outcome, probability = calibrated
    distorted = 1 / (1 + np.exp(-(2 * logit(probability) + 1)))
    slope, intercept = calibration_line(outcome, distorted)
    straight_slope, straight_intercept = calibration_line(outcome, probability)
    assert slope == pytest.approx(straight_slope / 2, rel=1e-6)
    assert intercept == pytest.approx(straight_intercept - straight_slope / 2, rel=1e-6)


def test_ece_is_the_mean_gap_over_bins_of_equal_count() -> None:
    outcome = np.array([0] * 10 + [1] * 10)
    probability = np.array([0.1] * 10 + [0.7] * 10)
    assert expected_calibration_error(outcome, probability) == pytest.approx((0.1 + 0.3) / 2)


def test_ece_of_a_calibrated_model_is_small_and_of_a_doubled_one_is_not(
    calibrated: Sample,
) -> None:
    outcome, probability = calibrated
    assert expected_calibration_error(outcome, probability) < 0.003
    doubled = np.minimum(2 * probability, 1)
    assert expected_calibration_error(outcome, doubled) == pytest.approx(
        float(doubled.mean() - outcome.mean()), rel=0.05
    )


def test_observed_to_expected_counts_strokes_per_predicted_one() -> None:
    assert observed_to_expected(np.array([1, 0, 1, 0]), np.array([0.25] * 4)) == 2.0


def test_intervals_hold_their_values_and_narrow_with_more_patients(calibrated: Sample) -> None:
    outcome, probability = calibrated
    few = evaluate(outcome[:1000], [probability[:1000]], samples=40)
    many = evaluate(outcome[:16_000], [probability[:16_000]], samples=40)
    for name, metric in many.items():
        assert metric["low"] <= metric["high"]
        if name != "ece":  # which is biased upwards in small samples, and so is its bootstrap
            assert metric["low"] <= metric["value"] <= metric["high"]
            assert metric["high"] - metric["low"] < few[name]["high"] - few[name]["low"]


def test_the_same_predictions_give_the_same_figures(calibrated: Sample) -> None:
    outcome, probability = calibrated[0][:500], calibrated[1][:500]
    assert evaluate(outcome, [probability], samples=20) == evaluate(
        outcome, [probability], samples=20
    )
