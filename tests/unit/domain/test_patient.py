from __future__ import annotations

import math
from dataclasses import fields
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.predictions import patient
from stroke.domain.errors import InvalidPatient
from stroke.domain.patient import (
    AGE,
    AVG_GLUCOSE_LEVEL,
    BMI,
    COUNTRY_LENGTH,
    GENDERS,
    NAME_LENGTH,
    PROVINCE_LENGTH,
    SMOKING_STATUSES,
    Patient,
    Range,
    flag_of,
    lacking,
)

RANGES = {"age": AGE, "avg_glucose_level": AVG_GLUCOSE_LEVEL, "bmi": BMI}
LENGTHS = {"name": NAME_LENGTH, "country": COUNTRY_LENGTH, "province": PROVINCE_LENGTH}


def violated(**changes: object) -> list[str]:
    with pytest.raises(InvalidPatient) as caught:
        patient(**changes)
    return [violation.field for violation in caught.value.violations]


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [("age", 0, 120), ("avg_glucose_level", 20, 600), ("bmi", 8, 100)],
)
def test_both_ends_of_a_plausible_range_are_plausible(field: str, low: float, high: float) -> None:
    assert getattr(patient(**{field: float(low)}), field) == low
    assert getattr(patient(**{field: float(high)}), field) == high


@pytest.mark.parametrize("field", RANGES)
def test_the_next_number_outside_a_range_is_refused(field: str) -> None:
    plausible = RANGES[field]
    assert violated(**{field: math.nextafter(plausible.low, -math.inf)}) == [field]
    assert violated(**{field: math.nextafter(plausible.high, math.inf)}) == [field]


@pytest.mark.parametrize("field", RANGES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "45", "", 10**400])
def test_what_is_no_finite_number_is_refused(field: str, value: object) -> None:
    assert violated(**{field: value}) == [field]


SUBSETS = [(), ("avg_glucose_level",), ("bmi",), ("avg_glucose_level", "bmi")]


@pytest.mark.parametrize("missing", SUBSETS)
def test_bmi_and_glucose_may_be_missing_and_are_then_named(missing: tuple[str, ...]) -> None:
    incomplete = patient(**dict.fromkeys(missing))
    assert incomplete.missing == missing
    assert [getattr(incomplete, name) for name in missing] == [None] * len(missing)


@pytest.mark.parametrize(
    "field", ["gender", "age", "hypertension", "heart_disease", "smoking_status"]
)
def test_no_other_measurement_may_be_missing(field: str) -> None:
    assert violated(**{field: None}) == [field]


@pytest.mark.parametrize("missing", SUBSETS)
@pytest.mark.parametrize("allowed", SUBSETS)
def test_what_the_model_needs_and_the_patient_lacks_is_named(
    missing: tuple[str, ...], allowed: tuple[str, ...]
) -> None:
    named = [violation.field for violation in lacking(missing, allowed)]
    assert named == [name for name in missing if name not in allowed]


def test_a_measurement_that_is_there_is_checked_though_another_is_missing() -> None:
    assert violated(bmi=None, avg_glucose_level=601.0) == ["avg_glucose_level"]
    assert type(patient(bmi=None, avg_glucose_level=90).avg_glucose_level) is float


@pytest.mark.parametrize("field", RANGES)
def test_a_whole_number_is_kept_as_a_float(field: str) -> None:
    value = getattr(patient(**{field: 45}), field)
    assert value == 45.0
    assert type(value) is float


@pytest.mark.parametrize("field", ["hypertension", "heart_disease"])
@pytest.mark.parametrize("value", [True, False, 2, -1, 0.5, 1.0, "1", None])
def test_a_flag_is_the_number_0_or_1_and_nothing_else(field: str, value: object) -> None:
    assert violated(**{field: value}) == [field]


@pytest.mark.parametrize("value", [*GENDERS])
def test_every_gender_of_the_data_set_is_known(value: str) -> None:
    assert patient(gender=value).gender == value


@pytest.mark.parametrize("value", [*SMOKING_STATUSES])
def test_every_smoking_status_of_the_data_set_is_known(value: str) -> None:
    assert patient(smoking_status=value).smoking_status == value


@pytest.mark.parametrize("field", ["gender", "smoking_status"])
@pytest.mark.parametrize("value", ["", "male", "unknown", None, 1])
def test_an_unknown_category_is_refused(field: str, value: object) -> None:
    assert violated(**{field: value}) == [field]


@pytest.mark.parametrize("field", LENGTHS)
def test_text_may_fill_its_column_in_code_points_but_not_overflow_it(field: str) -> None:
    fits = "é😀" * (LENGTHS[field] // 2)
    assert getattr(patient(**{field: fits}), field) == fits
    assert violated(**{field: fits + "x"}) == [field]


@pytest.mark.parametrize("field", LENGTHS)
@pytest.mark.parametrize("value", ["a\x00", "a\nb", "\x7f", "\x85", "\ud800"])
def test_control_characters_and_lone_surrogates_are_refused(field: str, value: str) -> None:
    assert violated(**{field: value}) == [field]


@pytest.mark.parametrize("field", LENGTHS)
@pytest.mark.parametrize("value", [None, 0, b"Ada", ["Ada"], 1.5, True])
def test_a_personal_field_that_is_no_text_is_refused(field: str, value: object) -> None:
    assert violated(**{field: value}) == [field]


ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text()
    | st.binary()
    | st.lists(st.text(), max_size=2)
    | st.dictionaries(st.text(), st.none(), max_size=1)
    | st.complex_numbers()
    | st.fractions()
)


@given(st.sampled_from([field.name for field in fields(Patient)]), ANYTHING)
def test_whatever_a_field_holds_it_is_taken_or_refused_by_name(field: str, value: object) -> None:
    try:
        made = patient(**{field: value})
    except InvalidPatient as error:
        named = [violation.field for violation in error.violations]
    else:
        named = [field] if getattr(made, field) == value else []
    assert named == [field]


@pytest.mark.parametrize(
    "value", ["", "José Ñuñez", "田中 太郎", "O\u2019Neil", "a\u00a0b", "أحمد"]
)
def test_names_of_the_world_are_fine(value: str) -> None:
    assert patient(name=value).name == value


def test_every_violation_is_named_at_once() -> None:
    assert violated(age=-1.0, bmi=math.nan, gender="?", name="\n") == [
        "age",
        "bmi",
        "gender",
        "name",
    ]


@given(
    st.text(alphabet="QXZ0123456789", min_size=6),
    st.floats(min_value=700, allow_infinity=False, allow_nan=False),
)
def test_no_message_quotes_a_value(text: str, number: float) -> None:
    with pytest.raises(InvalidPatient) as caught:
        patient(gender=text, avg_glucose_level=number, name=text + "\n")
    assert text not in str(caught.value)
    assert repr(number) not in str(caught.value)


@given(st.floats(min_value=0, max_value=120), st.floats(min_value=20, max_value=600))
def test_every_number_within_its_range_is_kept_exactly(age: float, glucose: float) -> None:
    made = patient(age=age, avg_glucose_level=glucose)
    assert (made.age, made.avg_glucose_level) == (age, glucose)


def test_a_range_reads_as_a_person_would_say_it() -> None:
    assert str(Range(20, 600, "mg/dL")) == "20 to 600 mg/dL"


NEAR = st.sampled_from([0.0, 1.0]).flatmap(
    lambda flag: st.floats(flag - 1e-6, flag + 1e-6) | st.just(math.nextafter(flag, 2))
)


@given(NEAR | st.floats() | st.integers() | st.decimals(allow_nan=False))
def test_a_flag_is_exactly_0_or_1_and_nothing_is_rounded(value: float | Decimal) -> None:
    exact = {Fraction(0): 0, Fraction(1): 1}
    assert flag_of(value) == (exact.get(Fraction(value)) if math.isfinite(value) else None)
    assert type(flag_of(value)) in (int, type(None))


@pytest.mark.parametrize(
    "value",
    [0.999999999999999, 1 - 2**-53, 1 + 2**-52, 5e-324, True, False, "1", None, Decimal("sNaN")],
)
def test_what_is_nearly_a_flag_is_none(value: object) -> None:
    assert flag_of(value) is None
