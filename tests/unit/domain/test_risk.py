from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.predictions import assessment
from stroke.domain.risk import Contribution, RiskAssessment, RiskBands, RiskCategory

probabilities = st.floats(min_value=0, max_value=1)


def test_bands_are_closed_on_the_left() -> None:
    bands = RiskBands(medium=0.3, high=0.7)
    assert bands.categorise(math.nextafter(0.3, 0)) is RiskCategory.LOW
    assert bands.categorise(0.3) is RiskCategory.MEDIUM
    assert bands.categorise(math.nextafter(0.7, 0)) is RiskCategory.MEDIUM
    assert bands.categorise(0.7) is RiskCategory.HIGH


@given(probabilities, probabilities)
def test_a_higher_probability_never_has_a_lower_category(one: float, other: float) -> None:
    order = list(RiskCategory)
    low, high = sorted((one, other))
    bands = RiskBands(medium=0.02, high=0.2)
    assert order.index(bands.categorise(low)) <= order.index(bands.categorise(high))


@pytest.mark.parametrize(
    ("medium", "high"), [(0.0, 0.5), (0.5, 0.5), (0.7, 0.3), (0.5, 1.0), (math.nan, 0.5)]
)
def test_bands_that_leave_a_category_empty_cannot_be_made(medium: float, high: float) -> None:
    with pytest.raises(ValueError, match="medium < high"):
        RiskBands(medium, high)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_a_probability_lies_between_0_and_1(value: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        RiskAssessment(value, RiskCategory.LOW, (), 0.0)


def test_factors_are_the_three_strongest_whichever_way_they_point() -> None:
    made = assessment(age=0.5, bmi=-0.7, hypertension=0.1, avg_glucose_level=0.2)
    assert made.factors == ["bmi", "age", "avg_glucose_level"]


def test_a_feature_that_contributes_nothing_is_no_factor() -> None:
    assert assessment(age=0.5, bmi=0.0).factors == ["age"]


@pytest.mark.parametrize(("log_odds", "expected"), [(0.1, "raises"), (-0.1, "lowers"), (0, "none")])
def test_a_contribution_says_which_way_it_moves_the_risk(log_odds: float, expected: str) -> None:
    assert Contribution("age", 45.5, log_odds).direction == expected
