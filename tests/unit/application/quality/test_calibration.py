from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from stroke.application.quality.calibration import (
    brier_interval,
    brier_score,
    calibration_error_interval,
    calibration_intervals,
    calibration_line,
    expected_calibration_error,
    logit,
    mean_interval,
    observed_to_expected,
    observed_to_expected_interval,
)

Sample = tuple[NDArray[np.int64], NDArray[np.float64]]


def drawn(seed: int, count: int, *, shape: float = 12) -> Sample:
    """Return outcomes drawn from the predicted probabilities themselves, and those."""
    stream = np.random.default_rng(seed)
    probability = stream.beta(1, shape, count)
    return (stream.random(count) < probability).astype(np.int64), probability


@pytest.fixture(scope="module")
def calibrated() -> Sample:
    return drawn(1, 200_000)


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


def test_the_calibration_line_is_the_logistic_regression_that_scikit_learn_fits() -> None:
    outcome, probability = drawn(2, 3000)
    fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    fitted.fit(logit(probability)[:, None], outcome)

    slope, intercept = calibration_line(outcome, probability)

    assert slope == pytest.approx(fitted.coef_[0, 0], abs=1e-5)
    assert intercept == pytest.approx(fitted.intercept_[0], abs=1e-5)


def test_wald_s_intervals_are_those_of_the_likelihood_s_curvature() -> None:
    outcome, probability = drawn(3, 3000)
    found = calibration_intervals(outcome, probability)
    log_odds = logit(probability)

    def log_likelihood(slope: float, intercept: float) -> float:
        at = slope * log_odds + intercept
        return float((outcome * at - np.logaddexp(0, at)).sum())

    line, step = [each.value for each in found if each is not None], 1e-3
    curvature = np.zeros((2, 2))
    for i in range(2):
        for j in range(2):
            for one, other, sign in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)):
                at = np.array(line)
                at[i] += one * step
                at[j] += other * step
                curvature[i, j] -= sign * log_likelihood(*at) / (4 * step**2)
    errors = np.sqrt(np.diag(np.linalg.inv(curvature)))

    for each, error in zip(found, errors, strict=True):
        assert each is not None
        assert each.high - each.value == pytest.approx(1.96 * error, rel=1e-3)
        assert each.value - each.low == pytest.approx(1.96 * error, rel=1e-3)


def test_the_line_of_a_model_that_is_far_too_sure_is_found() -> None:
    outcome, probability = drawn(6, 5000, shape=8)
    straight = calibration_line(outcome, probability)
    for factor in (2, 5, 10):
        sure = 1 / (1 + np.exp(-factor * logit(probability)))
        within = (sure > 1e-11) & (sure < 1 - 1e-11)  # beyond, the log-odds are cut
        slope, intercept = calibration_line(outcome[within], sure[within])
        expected = calibration_line(outcome[within], probability[within])
        assert slope * factor == pytest.approx(expected[0], rel=1e-4)
        assert intercept == pytest.approx(expected[1], rel=1e-3)
    assert straight[0] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("outcome", "probability"),
    [
        ([0, 1] * 10, [0.3] * 20),
        ([0] * 10 + [1] * 10, [0.1] * 10 + [0.9] * 10),
        ([0] * 10 + [1] * 10, list(np.linspace(0.01, 0.99, 20))),
    ],
)
def test_a_slope_that_the_outcomes_leave_open_is_not_shown(
    outcome: list[int], probability: list[float]
) -> None:
    assert calibration_intervals(np.array(outcome), np.array(probability)) == (None, None)


def test_intervals_hold_the_truth_of_a_calibrated_model_about_19_times_in_20() -> None:
    held = {"slope": 0, "intercept": 0, "oe": 0}
    rounds = 200
    for seed in range(rounds):
        outcome, probability = drawn(100 + seed, 1500, shape=8)
        slope, intercept = calibration_intervals(outcome, probability)
        assert slope is not None
        assert intercept is not None
        ratio = observed_to_expected_interval(outcome, probability)
        held["slope"] += slope.low <= 1 <= slope.high
        held["intercept"] += intercept.low <= 0 <= intercept.high
        held["oe"] += ratio.low <= 1 <= ratio.high
    # Of a binomial with 200 trials of 0.95, all but one in a thousand lie here.
    assert all(0.90 * rounds <= count for count in held.values()), held


def test_a_brier_score_is_scikit_learn_s_and_its_interval_that_of_a_mean() -> None:
    outcome, probability = drawn(4, 500)
    score = brier_score(outcome, probability)
    assert score == pytest.approx(brier_score_loss(outcome, probability), abs=1e-15)
    value, low, high = brier_interval(outcome, probability)
    error = np.std((probability - outcome) ** 2, ddof=1) / 500**0.5
    assert (value, low, high) == pytest.approx(
        (score, score - 1.96 * error, score + 1.96 * error), abs=1e-6
    )


def test_a_mean_has_a_normal_interval() -> None:
    assert mean_interval(np.array([1.0, 3.0])) == pytest.approx((2.0, 2 - 1.96, 2 + 1.96), abs=1e-3)


def test_observed_to_expected_has_an_interval_on_the_logarithm_s_scale() -> None:
    outcome = np.array([1] * 25 + [0] * 75)
    value, low, high = observed_to_expected_interval(outcome, np.full(100, 0.2))
    assert value == pytest.approx(1.25)
    assert np.log(high / value) == pytest.approx(1.96 * (0.75 / 25) ** 0.5, rel=1e-4)
    assert value / low == pytest.approx(high / value)


def test_the_calibration_error_s_interval_is_the_same_each_time_and_shrinks() -> None:
    few = calibration_error_interval(*drawn(5, 500))
    many = calibration_error_interval(*drawn(5, 50_000))
    assert few == calibration_error_interval(*drawn(5, 500))
    assert many.high - many.low < few.high - few.low
    assert few.low <= few.high
    doubled = np.minimum(2 * drawn(5, 5000)[1], 1)
    wrong = calibration_error_interval(drawn(5, 5000)[0], doubled)
    assert wrong.low < wrong.value < wrong.high
    assert wrong.low > few.value
