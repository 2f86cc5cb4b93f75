from __future__ import annotations

import pytest

from builders.columnar import FIELDS, csv_row, header
from builders.predictions import patient, patient_json
from stroke.adapters.arrow.csv_cells import judge, number, split
from stroke.domain.errors import InvalidData, InvalidPatient
from stroke.domain.patient import Patient


def judged(extra: tuple[str, ...] = (), /, **changes: str) -> Patient:
    known = header(*FIELDS, *extra)
    row = {**patient_json(), **changes}
    text = csv_row([str(row[name]) for name in (*FIELDS, *extra)])
    return judge(text.encode(), known.positions, known.width)


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        ("", [""]),
        ("a,,b,", ["a", "", "b", ""]),
        ('"a,b","c""d",""', ["a,b", 'c"d', ""]),
        ('"a"b,c"d', ["ab", 'c"d']),
        ('"a\nb\r\n",c', ["a\nb\r\n", "c"]),
    ],
)
def test_a_row_is_split_as_rfc_4180_has_it(row: str, cells: list[str]) -> None:
    assert split(row) == cells


@pytest.mark.parametrize("text", ["45", " 45\t", "+45", "4.5e1", "45.", "0045.0", "450E-1"])
def test_numbers_are_taken_as_people_write_them(text: str) -> None:
    assert number(text) == 45.0


@pytest.mark.parametrize("text", ["", "N/A", "4_5", "0x2d", "٤٥", "45 years", "4,5", "1e", "infe3"])
def test_what_is_no_number_stays_text(text: str) -> None:
    assert number(text) == text


def test_a_good_row_is_its_patient() -> None:
    assert judged(age="80", hypertension="1.0") == patient(age=80.0, hypertension=1)


@pytest.mark.parametrize("mark", ["", " ", "NA", "n/a", "NULL", "?", "\\N", "\u00a0"])
def test_a_patient_without_a_smoking_status_has_an_unknown_one(mark: str) -> None:
    assert judged(smoking_status=mark) == patient(smoking_status="Unknown")


def test_blanks_around_a_value_do_not_count_but_for_text_in_quotes() -> None:
    padded = judged(gender="Male  ", age=" 45.5 ", hypertension="\u00a00", name="Jo  ")
    assert padded == patient(gender="Male", name="Jo")
    cells = csv_row([str(value) for value in patient_json().values()]).split(",")
    known = header(*FIELDS)
    cells[FIELDS.index("gender")], cells[FIELDS.index("name")] = '"Male "', '"Jo "'
    quoted = judge(",".join(cells).encode(), known.positions, known.width)
    assert (quoted.gender, quoted.name) == ("Male", "Jo ")


@pytest.mark.parametrize(
    ("word", "flag"), [("yes", 1), ("NO", 0), ("True", 1), ("f", 0), ("ja", 1), ("Nein", 0)]
)
def test_a_flag_may_be_a_word(word: str, flag: int) -> None:
    assert judged(hypertension=word, age="80").hypertension == flag


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bmi": "N/A"}, "bmi must be a number"),
        ({"bmi": ""}, "bmi must be a number"),
        ({"age": "nan"}, "age must be a number"),
        ({"age": "inf"}, "age must be a finite number"),
        ({"age": "-inf"}, "age must be a finite number"),
        ({"age": "121"}, "age must be 0 to 120 years"),
        ({"hypertension": "2"}, "hypertension must be 0 or 1"),
        ({"heart_disease": "maybe"}, "heart_disease must be 0 or 1"),
        ({"heart_disease": "0.999999999999999"}, "heart_disease must be 0 or 1"),
        ({"heart_disease": ""}, "heart_disease must be 0 or 1"),
        ({"gender": "male"}, "gender must be one of 'Male', 'Female', 'Other'"),
        ({"name": "x" * 101}, "name must have at most 100 characters"),
        ({"country": "a\tb"}, "country must not contain control characters"),
    ],
)
def test_the_reason_is_the_domains_own(changes: dict[str, str], reason: str) -> None:
    with pytest.raises(InvalidPatient) as refusal:
        judged((), **changes)
    assert str(refusal.value) == reason


def test_every_fault_of_a_row_is_named() -> None:
    with pytest.raises(InvalidPatient, match=r"age .*; bmi .*; gender "):
        judged(age="old", bmi="1000", gender="?")


@pytest.mark.parametrize(
    ("feature", "right", "wrong"),
    [
        ("age_group", "Young adult", "Very old"),
        ("bmi_category", "Overweight", "Underweight"),
        ("glucose_category", "Normal", "nonsense"),
        ("age_hypertension", "0", "45.5"),
        ("age_hypertension", "0.0", "none of them"),
    ],
)
def test_an_engineered_column_must_agree_or_be_empty(feature: str, right: str, wrong: str) -> None:
    assert judged((feature,), **{feature: right}) == patient()
    assert judged((feature,), **{feature: ""}) == patient()
    assert judged((feature,), **{feature: "N/A"}) == patient()
    with pytest.raises(InvalidPatient, match=f"{feature} disagrees with the measurements"):
        judged((feature,), **{feature: wrong})


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"a,b", "has 2 cells, the header has 10"),
        (b"a,\xff", "is not UTF-8 text"),
        (b"a\rb,c", "has a carriage return outside quotes"),
    ],
)
def test_a_row_that_is_no_row_of_the_file_is_refused(row: bytes, reason: str) -> None:
    known = header(*FIELDS)
    with pytest.raises(InvalidData) as refusal:
        judge(row, known.positions, known.width)
    assert str(refusal.value) == reason
