from __future__ import annotations

import math

import pytest

from stroke.domain.performance import MEASURES, Estimate, has_dropped


def close(value: float, width: float = 0.01) -> Estimate:
    return Estimate(value, value - width, value + width)


@pytest.mark.parametrize(
    ("measure", "reference", "worse", "better"),
    [
        ("auc", 0.80, 0.67, 0.69),
        ("auc", 0.80, 0.67, 0.99),
        ("sensitivity_medium", 0.93, 0.78, 0.80),
        ("specificity_high", 0.90, 0.75, 0.78),
        ("brier", 0.40, 0.47, 0.45),
        ("brier", 0.40, 0.47, 0.10),
        ("ece", 0.20, 0.25, 0.10),
        ("calibration_slope", 1.00, 0.80, 0.90),
        ("calibration_slope", 1.00, 1.20, 1.10),
        ("oe_ratio", 1.00, 1.20, 0.90),
        ("calibration_intercept", 0.00, 0.20, 0.10),
        ("calibration_intercept", -0.10, -0.30, -0.20),
    ],
)
def test_each_measure_has_its_own_bad_side(
    measure: str, reference: float, worse: float, better: float
) -> None:
    assert has_dropped(measure, close(worse), reference, 0.15)
    assert not has_dropped(measure, close(better), reference, 0.15)


@pytest.mark.parametrize("measure", MEASURES)
def test_what_may_be_chance_is_no_drop(measure: str) -> None:
    for value in (0.1, 1.9):
        assert not has_dropped(measure, Estimate(value, 0.0, 2.0), 1.0, 0.15)


def test_a_shift_of_the_intercept_is_one_of_the_odds() -> None:
    share = 0.15
    just_less, just_more = math.log(1.149), math.log(1.151)
    assert not has_dropped("calibration_intercept", close(just_less), 0.0, share)
    assert has_dropped("calibration_intercept", close(just_more), 0.0, share)


def test_only_measures_of_calibration_have_an_ideal() -> None:
    assert {name: m.ideal for name, m in MEASURES.items() if m.ideal is not None} == {
        "calibration_slope": 1.0,
        "calibration_intercept": 0.0,
        "oe_ratio": 1.0,
    }
