"""The made-up patients on whom models are tried."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from stroke.application.predictions.trial_patients import extreme_patients, trial_patients
from stroke.domain.features import AGE_GROUPS, BMI_CATEGORIES, GLUCOSE_CATEGORIES, RAW_FEATURES
from stroke.domain.patient import (
    AGE,
    AVG_GLUCOSE_LEVEL,
    BMI,
    GENDERS,
    SMOKING_STATUSES,
    Patient,
    Range,
)

MEASURED = [
    ("age", AGE, AGE_GROUPS.cuts),
    ("avg_glucose_level", AVG_GLUCOSE_LEVEL, GLUCOSE_CATEGORIES.cuts),
    ("bmi", BMI, BMI_CATEGORIES.cuts),
]


def people(count: int) -> list[Patient]:
    rows = zip(*(values.tolist() for values in trial_patients(count).values()), strict=True)
    patients = [dict(zip(RAW_FEATURES, row, strict=True)) for row in rows]
    flags = ("hypertension", "heart_disease")
    return [Patient(**{**one, **{name: int(one[name]) for name in flags}}) for one in patients]


def test_every_probe_is_a_plausible_patient_and_the_same_each_time() -> None:
    assert len(people(100)) > 100  # a patient that is not plausible cannot be made
    again = trial_patients(100)
    for name, values in trial_patients(100).items():
        np.testing.assert_array_equal(values, again[name])


def test_every_combination_of_extremes_is_among_them() -> None:
    ends = [(each.low, each.high) for each in (AGE, AVG_GLUCOSE_LEVEL, BMI)]
    wanted = set(product(GENDERS, ends[0], (0, 1), (0, 1), ends[1], ends[2], SMOKING_STATUSES))
    extremes = extreme_patients()
    made = set(zip(*(extremes[name].tolist() for name in RAW_FEATURES), strict=True))
    assert made == wanted
    tried = trial_patients(1)
    assert made <= set(zip(*(tried[name].tolist() for name in RAW_FEATURES), strict=True))


@pytest.mark.parametrize(("name", "plausible", "cuts"), MEASURED)
def test_each_whole_number_and_each_cut_with_its_neighbours_is_among_them(
    name: str, plausible: Range, cuts: tuple[float, ...]
) -> None:
    values = set(trial_patients(0)[name].tolist())
    assert {plausible.low, plausible.high} <= values
    assert set(map(float, range(int(plausible.low), int(plausible.high) + 1))) <= values
    for cut in cuts:
        assert {cut, np.nextafter(cut, -np.inf), np.nextafter(cut, np.inf)} <= values
