from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stroke.adapters.onnx.shapley import shapley_values
from stroke.domain.features import RAW_FEATURES

Columns = Mapping[str, NDArray[Any]]

REFERENCE: dict[str, Any] = {
    "gender": "Female",
    "age": 45.0,
    "hypertension": 0.0,
    "heart_disease": 0.0,
    "avg_glucose_level": 90.0,
    "bmi": 28.0,
    "smoking_status": "never smoked",
}
PATIENT: dict[str, Any] = {
    "gender": "Male",
    "age": 70.0,
    "hypertension": 1.0,
    "heart_disease": 0.0,
    "avg_glucose_level": 200.0,
    "bmi": 28.0,
    "smoking_status": "smokes",
}


def columns(*patients: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    return {
        name: np.array(
            [each[name] for each in patients],
            dtype=object if isinstance(REFERENCE[name], str) else np.float64,
        )
        for name in RAW_FEATURES
    }


def tangled(of: Columns) -> NDArray[np.float64]:
    """Log-odds with interactions of two and three features."""
    male = (of["gender"] == "Male").astype(float)
    smokes = (of["smoking_status"] == "smokes").astype(float)
    age, glucose = of["age"] / 50, of["avg_glucose_level"] / 100
    found: NDArray[np.float64] = (
        -4 + age * glucose + male * smokes * age - of["hypertension"] * glucose**2
    )
    return found


def by_definition(feature: str) -> float:
    """Shapley (1953): the mean gain over all orders in which features take the patient's value."""
    gains = []
    for order in permutations(RAW_FEATURES):
        mixed = dict(REFERENCE)
        for name in order[: order.index(feature)]:
            mixed[name] = PATIENT[name]
        before = tangled(columns(mixed))[0]
        mixed[feature] = PATIENT[feature]
        gains.append(tangled(columns(mixed))[0] - before)
    return float(np.mean(gains))


def test_values_are_those_of_the_definition() -> None:
    [values] = shapley_values(tangled, columns(PATIENT), REFERENCE)
    for name in ("gender", "avg_glucose_level", "hypertension"):
        assert abs(values[RAW_FEATURES.index(name)] - by_definition(name)) < 1e-9


def test_values_sum_to_the_distance_from_the_reference_patient() -> None:
    values = shapley_values(tangled, columns(PATIENT, REFERENCE), REFERENCE)
    distance = tangled(columns(PATIENT)) - tangled(columns(REFERENCE))
    assert abs(values[0].sum() - distance[0]) < 1e-9
    assert not values[1].any()


def test_a_feature_like_the_reference_patients_contributes_nothing() -> None:
    [values] = shapley_values(tangled, columns(PATIENT), REFERENCE)
    assert values[RAW_FEATURES.index("bmi")] == 0.0
    assert values[RAW_FEATURES.index("heart_disease")] == 0.0


def test_many_patients_are_valued_as_each_alone() -> None:
    crowd = [{**PATIENT, "age": float(age)} for age in range(600)]
    together = shapley_values(tangled, columns(*crowd), REFERENCE)
    for number in (0, 255, 256, 599):
        [alone] = shapley_values(tangled, columns(crowd[number]), REFERENCE)
        np.testing.assert_allclose(together[number], alone, rtol=0, atol=1e-12)


@given(st.lists(st.floats(min_value=-10, max_value=10), min_size=len(RAW_FEATURES), max_size=7))
def test_an_additive_models_values_are_its_own_terms(weights: list[float]) -> None:
    def additive(of: Columns) -> NDArray[np.float64]:
        total = np.zeros(len(of["age"]))
        for name, weight in zip(RAW_FEATURES, weights, strict=True):
            text = isinstance(REFERENCE[name], str)
            total += weight * (of[name] == PATIENT[name] if text else of[name])
        return total

    [values] = shapley_values(additive, columns(PATIENT), REFERENCE)
    for value, name, weight in zip(values, RAW_FEATURES, weights, strict=True):
        step = (
            float(PATIENT[name] != REFERENCE[name])
            if isinstance(REFERENCE[name], str)
            else PATIENT[name] - REFERENCE[name]
        )
        assert abs(value - weight * step) < 1e-9
