"""The vectorised features against the domain's; graphs themselves are run in integration/."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from builders.predictions import patient
from stroke.adapters.onnx.graph import engineered
from stroke.domain.features import (
    AGE_GROUPS,
    BMI_CATEGORIES,
    ENGINEERED_FEATURES,
    GLUCOSE_CATEGORIES,
    engineer,
)

ages = st.floats(min_value=0, max_value=120) | st.sampled_from([*map(float, AGE_GROUPS.cuts)])
bmis = st.floats(min_value=8, max_value=100) | st.sampled_from([*map(float, BMI_CATEGORIES.cuts)])
glucoses = st.floats(min_value=20, max_value=600) | st.sampled_from(
    [*map(float, GLUCOSE_CATEGORIES.cuts)]
)
patients = st.builds(
    patient,
    age=ages,
    bmi=bmis,
    avg_glucose_level=glucoses,
    hypertension=st.integers(min_value=0, max_value=1),
)


@given(st.lists(patients, min_size=1, max_size=20))
def test_many_patients_features_are_those_that_the_domain_gives_each(people: list[object]) -> None:
    columns = {
        name: np.array([getattr(each, name) for each in people], dtype=np.float64)
        for name in ("age", "bmi", "avg_glucose_level", "hypertension")
    }
    made = engineered(columns, list(ENGINEERED_FEATURES))
    for number, each in enumerate(people):
        expected = engineer(each)  # type: ignore[arg-type]
        assert {name: made[name][number] for name in ENGINEERED_FEATURES} == expected


def test_only_what_is_asked_for_is_derived() -> None:
    columns = {"age": np.array([50.0]), "hypertension": np.array([1.0])}
    assert set(engineered(columns, ["age_hypertension"])) == {"age_hypertension"}
