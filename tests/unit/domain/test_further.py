"""Features that a model declares for itself: what may be declared, and what is a value of one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from builders.further import ALCOHOL, DIABETES, OF_ALL_KINDS, WAIST
from builders.predictions import patient, prediction
from stroke.adapters.onnx.declared_features import DeclaredFeature
from stroke.application.predictions.cells import PATIENT_COLUMNS
from stroke.application.predictions.scored_columns import CONTEXT, added_names
from stroke.domain.errors import InvalidPatient
from stroke.domain.features import FEATURES, RAW_FEATURES
from stroke.domain.further import (
    MOST_CATEGORIES,
    MOST_FURTHER,
    FeatureKind,
    FurtherFeature,
    check_declared,
    values_of,
)
from stroke.domain.patient import Patient, extended
from stroke.domain.prediction import PredictionRecord, prediction_data

TAKEN = {
    *FEATURES,
    *Patient.__slots__,
    *PredictionRecord.__slots__,
    *PATIENT_COLUMNS,
    *added_names(RAW_FEATURES, variants=True, context=True),
    *CONTEXT,
    *prediction_data(prediction()),
    *("accuracy", "idempotency_key", "stroke", "prediction_id"),
}


def number(name: str = "waist", **changes: Any) -> FurtherFeature:
    return FurtherFeature(name, FeatureKind.NUMBER, **{"low": 40.0, "high": 200.0, **changes})


def words(*categories: str, **changes: Any) -> FurtherFeature:
    return FurtherFeature("work", FeatureKind.CATEGORY, categories=categories, **changes)


@pytest.mark.parametrize("name", sorted(TAKEN))
def test_no_feature_has_the_name_of_something_else_in_any_spelling_of_files(name: str) -> None:
    for spelled in (name, name.upper(), name.replace("_", ""), name.title().replace("_", "")):
        with pytest.raises(ValueError, match="is the name of something else already"):
            number(spelled)


@pytest.mark.parametrize("name", ["", "1st", "_waist", "a b", "a-b", "a.b", "é", "x" * 41, "a\n"])
def test_a_name_is_one_word(name: str) -> None:
    with pytest.raises(ValueError, match="a name has 1 to 40 letters"):
        number(name)


@pytest.mark.parametrize(
    ("low", "high"), [(1.0, 1.0), (2.0, 1.0), (math.nan, 1.0), (0.0, math.inf), (-math.inf, 0.0)]
)
def test_a_range_rises_and_is_finite(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="the range of waist"):
        number(low=low, high=high)


@pytest.mark.parametrize(
    "categories",
    [
        (),
        ("one",),
        ("a", "a"),
        ("a", ""),
        ("a", " b"),
        ("a", "b\n"),
        ("a", "\u0000"),
        ("a", "b" * 101),
    ],
)
def test_categories_are_several_short_words_that_differ(categories: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="work"):
        words(*categories)
    with pytest.raises(ValueError, match="needs 2 to 50 categories"):
        words(*map(str, range(MOST_CATEGORIES + 1)))


def test_the_reference_is_a_value() -> None:
    for wrong in (39.9, "90", True, 10**400):
        with pytest.raises(ValueError, match="the reference of waist is none of its values"):
            number(reference=wrong)
    with pytest.raises(ValueError, match="the reference of work is none of its values"):
        words("a", "b", reference="c")
    assert number().reference == 120.0
    assert words("a", "b").reference == "a"
    assert DIABETES.reference == 0


def test_a_model_declares_few_features_and_each_once() -> None:
    check_declared(tuple(number(f"n{at}") for at in range(MOST_FURTHER)))
    with pytest.raises(ValueError, match="at most 20"):
        check_declared(tuple(number(f"n{at}") for at in range(MOST_FURTHER + 1)))
    with pytest.raises(ValueError, match="the same name"):
        check_declared((number("work_type"), number("WorkType")))


HUGE = st.builds(
    lambda sign, digits: sign * 10**digits, st.sampled_from((1, -1)), st.integers(300, 4000)
)


@given(st.floats(allow_nan=True) | st.integers() | HUGE | st.booleans() | st.text() | st.none())
@example(10**400)
@example(-(10**400))
def test_a_value_is_taken_exactly_when_it_is_one(value: Any) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    taken = {
        "waist": value is None or (is_number and 40 <= value <= 200),
        "diabetes": is_number and value in (0, 1),
        "alcohol": value is None or value in ("none", "some"),
    }
    for each in OF_ALL_KINDS:
        if taken[each.name]:
            found = each.value_of(value)
            assert found == value
            assert type(found) is (float if each is WAIST and value is not None else type(found))
        else:
            with pytest.raises(InvalidPatient, match=each.name):
                each.value_of(value)


def test_everything_that_is_wrong_is_named_and_nothing_is_quoted() -> None:
    with pytest.raises(InvalidPatient) as caught:
        values_of(OF_ALL_KINDS, {"waist": 4711, "alcohol": "secret", "diabetes": None})
    assert [each.field for each in caught.value.violations] == ["waist", "diabetes", "alcohol"]
    assert "4711" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert values_of(OF_ALL_KINDS, {"diabetes": 1.0}) == (
        ("waist", None),
        ("diabetes", 1),
        ("alcohol", None),
    )


def test_a_patient_without_such_values_stays_the_same_object() -> None:
    known = patient()
    assert extended(known, ()) is known
    assert known.further == ()
    more = extended(known, (("alcohol", "some"),))
    assert more.further == (("alcohol", "some"),)
    assert all(getattr(more, name) == getattr(known, name) for name in Patient.__slots__)
    assert more != known


def test_a_row_keeps_the_values_and_the_explanation_of_them() -> None:
    more = extended(patient(), (("alcohol", "some"), ("waist", None)))
    data = prediction_data(replace(prediction(), patient=more))
    assert (data["alcohol"], data["waist"]) == ("some", None)
    assert set(data) - {"alcohol", "waist"} == set(prediction_data(prediction()))


def test_a_declaration_comes_back_from_its_data() -> None:
    for each in (*OF_ALL_KINDS, ALCOHOL):
        assert DeclaredFeature.model_validate(each.as_data()).value == each
