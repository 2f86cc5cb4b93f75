from __future__ import annotations

import math
from math import erfc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from stroke.application.quality.discrimination import (
    area_difference,
    area_interval,
    area_under_curve,
    expected_area,
    proportion_interval,
)

# Few values, so that many are equal.
_RISKS = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])
_SAMPLES = st.lists(st.tuples(st.integers(0, 1), _RISKS), min_size=4, max_size=60).filter(
    lambda rows: 2 <= sum(y for y, _ in rows) <= len(rows) - 2
)


def arrays(rows: list[tuple[int, float]]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    return np.array([y for y, _ in rows]), np.array([p for _, p in rows])


@given(rows=_SAMPLES)
def test_the_area_is_scikit_learn_s(rows: list[tuple[int, float]]) -> None:
    outcome, probability = arrays(rows)
    assert area_under_curve(outcome, probability) == pytest.approx(
        roc_auc_score(outcome, probability), abs=1e-12
    )


@given(rows=_SAMPLES)
def test_the_interval_is_delong_s_as_his_formula_has_it(rows: list[tuple[int, float]]) -> None:
    outcome, probability = arrays(rows)
    struck, spared = probability[outcome == 1], probability[outcome == 0]
    # Each pair's worth; DeLong's components are the means over the other class.
    pairs = (struck[:, None] > spared) + 0.5 * (struck[:, None] == spared)
    variance = pairs.mean(1).var(ddof=1) / len(struck) + pairs.mean(0).var(ddof=1) / len(spared)
    area = pairs.mean()

    value, low, high = area_interval(outcome, probability)

    assert value == pytest.approx(area, abs=1e-12)
    assert 0 <= low <= value <= high <= 1
    if variance > 1e-12 and 0 < area < 1:
        width = 1.959964 * math.sqrt(variance) / (area * (1 - area))
        assert math.log(high / (1 - high)) == pytest.approx(
            math.log(area / (1 - area)) + width, rel=1e-4, abs=1e-4
        )


def test_without_a_pair_in_the_wrong_order_the_interval_is_still_one() -> None:
    outcome, probability = np.array([0] * 30 + [1] * 10), np.linspace(0.1, 0.9, 40)
    value, low, high = area_interval(outcome, probability)
    assert (value, high) == (1.0, 1.0)
    assert low == pytest.approx(proportion_interval(10, 10).low)
    assert area_interval(outcome, -probability).low == 0.0


def test_of_one_class_alone_there_is_no_area() -> None:
    assert math.isnan(area_under_curve(np.zeros(5, dtype=np.int64), np.linspace(0, 1, 5)))


def test_the_expected_area_is_the_mean_over_outcomes_drawn_from_the_probabilities() -> None:
    stream = np.random.default_rng(7)
    probability = np.round(stream.beta(1, 6, 400), 2)
    areas = [
        area_under_curve((stream.random(400) < probability).astype(np.int64), probability)
        for _ in range(400)
    ]
    assert expected_area(probability) == pytest.approx(np.mean(areas), abs=0.01)


def test_a_model_that_knows_nothing_expects_half() -> None:
    assert expected_area(np.full(10, 0.3)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17:857, table I (method 3).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_s_intervals_are_those_of_newcombe_s_table(
    part: int, whole: int, low: float, high: float
) -> None:
    assert proportion_interval(part, whole) == pytest.approx((part / whole, low, high), abs=5e-5)


FIRST = np.array([0.1, 0.2, 0.05, 0.3, 0.1, 0.6, 0.6, 0.7, 0.8, 0.99, 0.8, 0.67, 0.5])
SECOND = np.array([0.3, 0.6, 0.2, 0.1, 0.1, 0.9, 0.23, 0.7, 0.9, 0.4, 0.77, 0.3, 0.89])
STRUCK = np.array([0] * 6 + [1] * 7)


def test_the_difference_of_two_areas_has_a_published_error() -> None:
    """Draelos 2020, Comparing AUCs with DeLong's test; R's pROC says Z = 1.672, p = 0.09453."""
    estimate, error = area_difference(STRUCK, FIRST, SECOND)

    assert estimate.value == pytest.approx(40.5 / 42 - 31 / 42)
    z = estimate.value / error
    assert z == pytest.approx(1.672, abs=5e-4)
    assert erfc(z / 2**0.5) == pytest.approx(0.09453, abs=5e-6)
    assert estimate.low < 0 < estimate.high


scored_twice = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(0, 4)), min_size=4, max_size=25
).filter(lambda rows: 2 <= sum(row[0] for row in rows) <= len(rows) - 2)


@given(scored_twice)
def test_the_error_is_that_of_the_definition(rows: list[tuple[int, int, int]]) -> None:
    """DeLong 1988, by its sums over all pairs."""
    outcome, first, second = np.array(rows).T
    components = []
    for scores in (first, second):
        struck, other = scores[outcome == 1][:, None], scores[outcome == 0][None]
        wins = (struck > other) + 0.5 * (struck == other)
        components.append((wins.mean(axis=1), wins.mean(axis=0)))
    (of_stroke, of_other), (of_stroke_2, of_other_2) = components
    covariance = np.cov(of_stroke, of_stroke_2) / len(of_stroke)
    covariance = covariance + np.cov(of_other, of_other_2) / len(of_other)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]

    estimate, error = area_difference(outcome, first.astype(float), second.astype(float))

    assert estimate.value == pytest.approx(of_stroke.mean() - of_stroke_2.mean(), abs=1e-12)
    assert error**2 == pytest.approx(variance, abs=1e-12)
