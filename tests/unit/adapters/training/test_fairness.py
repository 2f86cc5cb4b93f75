"""Training says how far apart a model treats groups of its patients."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stroke.adapters.onnx.manifest_parts import FairnessGap
from stroke.adapters.training.data import LabelledPatients
from stroke.adapters.training.fairness import fairness
from stroke.domain.risk import RiskBands

BANDS = RiskBands(medium=0.1, high=0.5)


def patients(gender: list[str], outcome: list[int]) -> LabelledPatients:
    """Return patients who differ in nothing but their gender and outcome."""
    features = pd.DataFrame(
        {
            "gender": gender,
            "age": 50.0,
            "hypertension": 0.0,
            "heart_disease": 0.0,
            "avg_glucose_level": 90.0,
            "bmi": 25.0,
            "smoking_status": "never smoked",
        }
    )
    return LabelledPatients(features, np.array(outcome, np.int64), "0" * 64)


def test_the_gap_is_the_difference_between_the_groups() -> None:
    """20 of 100 in either group had a stroke; High finds 15 of the women, and 5 of the men."""
    outcome = ([1] * 20 + [0] * 80) * 2
    risk = np.array([0.9] * 15 + [0.05] * 85 + [0.9] * 5 + [0.05] * 95)

    found = {
        each["measure"]: each
        for each in fairness(patients(["Female"] * 100 + ["Male"] * 100, outcome), risk, BANDS)
        if each["group"] == "gender"
    }

    odds, calibration = found["equalised_odds_high"], found["calibration_in_the_large"]
    assert odds["estimate"]["value"] == pytest.approx(15 / 20 - 5 / 20)
    assert (odds["highest"], odds["lowest"]) == ("Female", "Male")
    assert odds["estimate"]["low"] <= 0.5 <= odds["estimate"]["high"]
    assert calibration["estimate"]["value"] == pytest.approx(10 * 0.85 / 100)
    assert set(found) == {
        "equalised_odds_medium",
        "equalised_odds_high",
        "calibration_in_the_large",
    }


def test_a_group_of_few_is_named_and_takes_no_part() -> None:
    outcome = ([1] * 20 + [0] * 80) * 2 + [0]
    genders = ["Female"] * 100 + ["Male"] * 100 + ["Other"]

    found = fairness(patients(genders, outcome), np.linspace(0.01, 0.9, 201), BANDS)

    assert {tuple(each["left_out"]) for each in found if each["group"] == "gender"} == {("Other",)}


def test_where_only_one_group_is_large_enough_there_is_no_figure() -> None:
    outcome = [1] * 20 + [0] * 80 + [0]

    (gap,) = fairness(
        patients(["Female"] * 100 + ["Male"], outcome), np.linspace(0.01, 0.9, 101), BANDS
    )

    assert (gap["measure"], gap["estimate"], gap["left_out"]) == (None, None, ["Male"])
    assert FairnessGap.model_validate(gap).group == "gender"


@pytest.mark.parametrize(
    "wrong",
    [
        {"measure": "luck", "estimate": {"value": 0.1, "low": 0.0, "high": 0.2}},
        {"measure": "equalised_odds_high", "estimate": None},
        {"measure": None, "estimate": {"value": 0.1, "low": 0.0, "high": 0.2}},
    ],
)
def test_a_manifest_with_half_a_gap_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="gap"):
        FairnessGap.model_validate({"group": "gender", **wrong})
