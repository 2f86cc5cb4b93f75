"""Training writes the curves and groups behind its metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from stroke.adapters.onnx.manifest_parts import CrossValidated
from stroke.adapters.training.cross_validated import cross_validated
from stroke.adapters.training.data import LabelledPatients
from stroke.domain.risk import RiskBands

BANDS = RiskBands(medium=0.1, high=0.5)


def made(count: int) -> dict[str, Any]:
    """Return what training writes of patients, half of them 80, of whom a fifth had a stroke."""
    features = pd.DataFrame(
        {
            "gender": ["Female", "Male"] * (count // 2),
            "age": [80.0] * (count // 2) + [10.0] * (count // 2),
            "hypertension": 0.0,
            "heart_disease": 0.0,
            "avg_glucose_level": 90.0,
            "bmi": 25.0,
            "smoking_status": "never smoked",
        }
    )
    outcome = np.zeros(count, np.int64)
    outcome[: count // 2 : 5] = 1
    unseen = np.where(features["age"] > 50, 0.2, 0.01)
    return cross_validated(LabelledPatients(features, outcome, "0" * 64), unseen, BANDS)


def test_bins_hold_everybody_and_each_has_an_interval_around_what_happened() -> None:
    bins = made(1000)["calibration"]

    assert [each["samples"] for each in bins] == [100] * 10
    assert all(each["low"] <= each["observed"] <= each["high"] for each in bins)
    assert [each["observed"] for each in bins] == [0.0] * 5 + [0.2] * 5


def test_net_benefit_is_given_for_rising_thresholds() -> None:
    points = made(1000)["decision_curve"]

    thresholds = [each["threshold"] for each in points]
    assert len(points) == 40
    assert thresholds == sorted(thresholds)
    # From a threshold of 0.1 on, the 500 of whom 100 had a stroke are acted on.
    at = next(each for each in points if each["threshold"] >= 0.1)
    odds = at["threshold"] / (1 - at["threshold"])
    assert at["net_benefit"] == pytest.approx(0.1 - 0.4 * odds)


def test_groups_are_those_that_the_manifest_counts_and_small_ones_have_no_measure() -> None:
    groups = {(each["group"], each["level"]): each for each in made(1000)["groups"]}

    assert set(groups) == {
        ("gender", "Female"),
        ("gender", "Male"),
        ("smoking_status", "never smoked"),
        ("age_band", "0-17"),
        ("age_band", "75+"),
    }
    assert groups["age_band", "75+"]["measures"]["oe_ratio"]["value"] == pytest.approx(1.0)
    assert groups["age_band", "0-17"]["measures"] == {}  # nobody had a stroke


def test_of_few_patients_there_is_no_curve() -> None:
    found = made(90)

    assert (found["calibration"], found["decision_curve"]) == ([], [])
    assert all(each["measures"] == {} for each in found["groups"])
    assert CrossValidated.model_validate(found).calibration == ()


def test_a_manifest_with_a_measure_that_nobody_knows_is_refused() -> None:
    group = {"group": "gender", "level": "Male", "samples": 100, "events": 20}
    wrong = {**group, "measures": {"luck": {"value": 1, "low": 0, "high": 2}}}

    with pytest.raises(ValueError, match="unknown measures: luck"):
        CrossValidated.model_validate({"calibration": [], "decision_curve": [], "groups": [wrong]})
