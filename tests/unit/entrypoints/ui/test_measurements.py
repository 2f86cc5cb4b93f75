from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.further import OF_ALL_KINDS, WAIST
from builders.patients import TYPED
from stroke.domain.errors import InvalidPatient
from stroke.domain.further import FeatureKind, FurtherFeature
from stroke.domain.patient import AVG_GLUCOSE_LEVEL, OPTIONAL
from stroke.entrypoints.ui.languages import languages
from stroke.entrypoints.ui.measurements import (
    FIELDS,
    Form,
    field_of,
    glucose_range,
    read_form,
    read_number,
    read_signed,
)
from stroke.entrypoints.ui.words import MG_PER_MMOL

ENGLISH = languages()["en"]


def read(may_be_missing: tuple[str, ...] = OPTIONAL, **changes: str) -> Form:
    return read_form({**TYPED, **changes}, ENGLISH, may_be_missing)


def test_a_whole_form_is_a_patient() -> None:
    patient = read(name=" John\tDoe ").patient
    assert patient is not None
    assert (patient.age, patient.bmi, patient.avg_glucose_level) == (67.0, 36.6, 228.69)
    assert (patient.hypertension, patient.heart_disease, patient.name) == (0, 1, "John Doe")


def test_bmi_and_glucose_may_be_left_out_where_the_model_can_do_without() -> None:
    patient = read(bmi="", avg_glucose_level=" ").patient
    assert patient is not None
    assert (patient.bmi, patient.avg_glucose_level) == (None, None)
    form = read((), bmi="")
    assert (form.patient, form.missing) == (None, ["bmi"])


@pytest.mark.parametrize("text", ["36,6", "36.6", "036.60", " 36.6 "])
def test_a_number_may_have_a_point_or_a_comma(text: str) -> None:
    assert read_number(text) == 36.6


@pytest.mark.parametrize(
    "text", ["", "1e3", "nan", "inf", "-5", "1,234.5", "٣", "5 kg", "0x10", "1_0", "9" * 30]
)
def test_what_is_no_plain_number_is_none(text: str) -> None:
    assert read_number(text) is None


@settings(max_examples=40)
@given(st.text())
def test_no_text_breaks_the_form(text: str) -> None:
    form = read(age=text, bmi=text, avg_glucose_level=text, name=text, gender=text)
    assert form.patient is None or form.patient.age == read_number(text)


@settings(max_examples=40)
@given(st.floats(1.0, 34.0))
def test_glucose_in_the_other_unit_is_taken_exactly_within_the_range_that_is_said(
    millimoles: float,
) -> None:
    typed = f"{millimoles:.2f}"
    form = read(avg_glucose_level=typed, glucose_unit="mmol/L")
    said = glucose_range("mmol/L")
    assert (form.patient is not None) == (said.low <= float(typed) <= said.high)
    if form.patient is not None:
        assert form.patient.avg_glucose_level == round(float(typed) * MG_PER_MMOL, 2)


def test_the_ends_of_the_range_in_the_other_unit_are_ones_that_the_domain_takes() -> None:
    said = glucose_range("mmol/L")
    assert (said.low, said.high) == (1.12, 33.3)
    assert round(said.low * MG_PER_MMOL, 2) in AVG_GLUCOSE_LEVEL
    assert round(said.high * MG_PER_MMOL, 2) in AVG_GLUCOSE_LEVEL


def test_a_value_that_fits_the_other_unit_asks_whether_that_is_meant() -> None:
    assert read(avg_glucose_level="5.4").errors["avg_glucose_level"] == (
        "5.4 is far too low in mg/dL. Is it mmol/L?"
    )


def test_height_and_weight_are_a_way_to_the_bmi_metric_and_imperial() -> None:
    metric = read(bmi="", height_cm="180", weight_kg="81")
    imperial = read(
        bmi="", height_system="imperial", height_ft="5", height_in="11", weight_lb="180"
    )
    assert metric.patient is not None
    assert imperial.patient is not None
    assert metric.patient.bmi == metric.bmi_from_height == 25.0
    assert imperial.patient.bmi == 25.1


def test_a_bmi_that_was_typed_counts_more_than_height_and_weight() -> None:
    form = read(bmi="30", height_cm="180", weight_kg="81")
    assert form.patient is not None
    assert form.patient.bmi == 30.0


def test_height_and_weight_that_make_no_plausible_bmi_are_refused() -> None:
    form = read(bmi="", height_cm="40", weight_kg="200")
    assert form.patient is None
    assert "BMI of 1,250" in form.errors["bmi"]


def test_what_is_wrong_is_said_with_what_is_right() -> None:
    form = read(age="670", bmi="x", hypertension="2", gender="robot", country="x" * 51)
    assert form.errors == {
        "age": "Age is 0 to 120 years.",
        "bmi": "Type a number, such as 27.4.",
        "hypertension": "Choose yes or no.",
        "gender": "Choose one of these.",
        "country": "At most 50 characters.",
    }


def test_a_wrong_name_keeps_no_estimate_back() -> None:
    form = read(name="x" * 101)
    assert form.errors.keys() == {"name"}
    assert form.patient is not None


@pytest.mark.parametrize(
    "name",
    [
        "مه\u200cدی",
        "\N{WOMAN}\u200d\N{MICROSCOPE} Zoë",
        "\u200fمحمد",
        "क्\u200dष",
        "'; DROP",
        "=1+1",
    ],
)
def test_a_name_of_any_script_is_taken_as_it_is(name: str) -> None:
    patient = read(name=name, province=name).patient
    assert patient is not None
    assert (patient.name, patient.province) == (name, name)


@given(st.text(max_size=60))
def test_the_form_takes_each_text_that_a_patient_may_have(text: str) -> None:
    form, plain = read(name=text), read().patient
    assert plain is not None
    name = " ".join(text.split())
    try:
        replace(plain, name=name)
    except InvalidPatient:
        assert form.errors.keys() == {"name"}
    else:
        assert form.values["name"] == name


def test_an_empty_form_says_what_is_missing_and_that_it_is_empty() -> None:
    form = read_form({}, ENGLISH, OPTIONAL)
    assert form.is_empty
    assert form.missing == ["age", "gender", "hypertension", "heart_disease", "smoking_status"]


OWN = {"own_waist": "96.5", "own_diabetes": "0", "own_alcohol": "some"}


def read_own(*further: FurtherFeature, **typed: str) -> Form:
    return read_form({**TYPED, **typed}, ENGLISH, OPTIONAL, further)


def test_a_form_with_features_of_a_models_own_is_a_patient_with_them() -> None:
    patient = read_own(*OF_ALL_KINDS, **OWN).patient
    assert patient is not None
    assert patient.further == (("waist", 96.5), ("diabetes", 0), ("alcohol", "some"))


def test_a_field_that_the_model_does_not_declare_is_not_kept() -> None:
    form = read_own(WAIST, **OWN)
    assert "own_diabetes" not in form.typed
    assert form.patient is not None
    assert form.patient.further == (("waist", 96.5),)


def test_no_feature_has_the_name_of_another_field_of_the_form() -> None:
    for name in ("form_key", "what_if_bmi", "glucose_unit", "height_cm"):
        assert field_of(name) not in FIELDS


@settings(max_examples=60)
@given(st.floats(-1e6, 1e6), st.sampled_from(["-", "\N{MINUS SIGN}"]))
def test_a_number_of_a_models_own_is_taken_exactly_within_its_range(
    value: float, minus: str
) -> None:
    typed = f"{value:.6f}"
    excess = FurtherFeature("base_excess", FeatureKind.NUMBER, -30, 30.5, "mmol/L")
    form = read_own(excess, own_base_excess=typed.replace("-", minus))
    assert (form.patient is not None) == (-30 <= float(typed) <= 30.5)
    if form.patient is not None:
        assert form.patient.further == (("base_excess", float(typed)),)
    else:
        assert form.errors == {"own_base_excess": "base excess is \N{MINUS SIGN}30 to 30.5 mmol/L."}


@settings(max_examples=40)
@given(st.text())
def test_no_text_breaks_the_fields_of_a_models_own(text: str) -> None:
    form = read_own(*OF_ALL_KINDS, **dict.fromkeys(OWN, text))
    if form.patient is not None:
        assert dict(form.patient.further)["diabetes"] in (0, 1)


@pytest.mark.parametrize("text", ["--5", "5-", "1e3", "nan", "+5", "- 5", ""])
def test_what_is_no_plain_number_with_a_sign_is_none(text: str) -> None:
    assert read_signed(text) is None


def test_a_range_without_a_unit_ends_its_sentence() -> None:
    score = FurtherFeature("score", FeatureKind.NUMBER, 0, 10)
    assert read_own(score, own_score="11").errors == {"own_score": "score is 0 to 10."}
