from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.predictions import patient
from stroke.domain.features import (
    AGE_GROUPS,
    BMI_CATEGORIES,
    ENGINEERED_FEATURES,
    FEATURES,
    GLUCOSE_CATEGORIES,
    Bands,
    disagreements,
    engineer,
)

# Every cut of the tables: the value below it, and the label from it on.
CUTS = [
    (AGE_GROUPS, 50, "Young adult", "Middle-aged"),
    (AGE_GROUPS, 80, "Middle-aged", "Very old"),
    (BMI_CATEGORIES, 18.5, "Underweight", "Healthy Weight"),
    (BMI_CATEGORIES, 25, "Healthy Weight", "Overweight"),
    (BMI_CATEGORIES, 30, "Overweight", "Class 1 Obesity"),
    (BMI_CATEGORIES, 35, "Class 1 Obesity", "Class 2 Obesity"),
    (BMI_CATEGORIES, 40, "Class 2 Obesity", "Class 3 Obesity"),
    (GLUCOSE_CATEGORIES, 70, "Hypoglycemia", "Low Normal"),
    (GLUCOSE_CATEGORIES, 85, "Low Normal", "Normal"),
    (GLUCOSE_CATEGORIES, 100, "Normal", "Elevated"),
    (GLUCOSE_CATEGORIES, 110, "Elevated", "Pre-diabetic"),
    (GLUCOSE_CATEGORIES, 126, "Pre-diabetic", "Borderline Diabetic"),
    (GLUCOSE_CATEGORIES, 140, "Borderline Diabetic", "Diabetic"),
]


@pytest.mark.parametrize(("bands", "cut", "below", "from_on"), CUTS)
def test_bands_are_closed_on_the_left(bands: Bands, cut: float, below: str, from_on: str) -> None:
    assert bands.label(math.nextafter(cut, -math.inf)) == below
    assert bands.label(cut) == from_on
    assert bands.label(float(cut)) == from_on


def test_the_table_above_has_every_cut() -> None:
    for bands in (AGE_GROUPS, BMI_CATEGORIES, GLUCOSE_CATEGORIES):
        assert bands.cuts == tuple(cut for of, cut, *_ in CUTS if of is bands)


@pytest.mark.parametrize(
    ("age", "bmi", "glucose", "expected"),
    [
        (0.0, 8.0, 20.0, ("Young adult", "Underweight", "Hypoglycemia")),
        (120.0, 100.0, 600.0, ("Very old", "Class 3 Obesity", "Diabetic")),
    ],
)
def test_the_outermost_bands_reach_the_ends_of_the_plausible_ranges(
    age: float, bmi: float, glucose: float, expected: tuple[str, str, str]
) -> None:
    made = engineer(patient(age=age, bmi=bmi, avg_glucose_level=glucose))
    assert (made["age_group"], made["bmi_category"], made["glucose_category"]) == expected


def test_age_counts_as_age_hypertension_only_with_hypertension() -> None:
    assert engineer(patient(age=67.5, hypertension=1))["age_hypertension"] == 67.5
    assert engineer(patient(age=67.5, hypertension=0))["age_hypertension"] == 0.0


def test_engineered_features_come_under_their_names_and_in_their_order() -> None:
    assert tuple(engineer(patient())) == ENGINEERED_FEATURES
    assert len(FEATURES) == len(set(FEATURES)) == 11


@given(
    st.floats(min_value=0, max_value=120),
    st.floats(min_value=8, max_value=100),
    st.floats(min_value=20, max_value=600),
    st.integers(min_value=0, max_value=1),
)
def test_a_patients_own_features_never_disagree(
    age: float, bmi: float, glucose: float, hypertension: int
) -> None:
    made = patient(age=age, bmi=bmi, avg_glucose_level=glucose, hypertension=hypertension)
    assert disagreements(made, engineer(made)) == ()
    assert disagreements(made, {}) == ()
    assert disagreements(made, dict.fromkeys(ENGINEERED_FEATURES)) == ()


@given(st.floats(min_value=-1e3, max_value=1e3), st.floats(min_value=-1e3, max_value=1e3))
def test_a_larger_value_never_falls_into_an_earlier_band(one: float, other: float) -> None:
    low, high = sorted((one, other))
    for bands in (AGE_GROUPS, BMI_CATEGORIES, GLUCOSE_CATEGORIES):
        assert bands.labels.index(bands.label(low)) <= bands.labels.index(bands.label(high))


@pytest.mark.parametrize(
    ("feature", "claim"),
    [
        ("age_group", "Very old"),
        ("bmi_category", "overweight"),
        ("glucose_category", ""),
        ("age_hypertension", 0.001),
    ],
)
def test_a_claim_that_differs_is_named(feature: str, claim: object) -> None:
    [violation] = disagreements(patient(), {feature: claim})
    assert violation.field == feature


def test_a_claim_computed_in_32_bits_agrees() -> None:
    made = patient(age=45.3, hypertension=1)
    assert disagreements(made, {"age_hypertension": 45.29999923706055}) == ()


@pytest.mark.parametrize(
    ("cuts", "labels"), [((1, 1), ("a", "b", "c")), ((2, 1), ("a", "b", "c")), ((1,), ("a",))]
)
def test_bands_that_overlap_or_lack_a_label_cannot_be_made(
    cuts: tuple[float, ...], labels: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="rising cuts"):
        Bands(cuts, labels)


@given(st.booleans(), st.booleans())
def test_a_missing_measurement_has_no_category_and_leaves_the_other_features(
    bmi_missing: bool, glucose_missing: bool
) -> None:
    gaps = dict.fromkeys(["bmi"] * bmi_missing + ["avg_glucose_level"] * glucose_missing)
    whole, made = engineer(patient()), engineer(patient(**gaps))
    assert made == {
        **whole,
        **({"bmi_category": None} if bmi_missing else {}),
        **({"glucose_category": None} if glucose_missing else {}),
    }


def test_a_category_of_a_missing_measurement_cannot_be_claimed() -> None:
    claims = {"bmi_category": "Overweight", "glucose_category": None}
    incomplete = patient(bmi=None, avg_glucose_level=None)
    assert [each.field for each in disagreements(incomplete, claims)] == ["bmi_category"]
