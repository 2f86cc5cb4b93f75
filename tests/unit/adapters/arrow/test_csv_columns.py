from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from builders.columnar import FIELDS, csv_row, header
from builders.predictions import patient_json
from runner.examples import examples
from stroke.adapters.arrow.csv_cells import judge
from stroke.adapters.arrow.csv_columns import read
from stroke.adapters.arrow.csv_rows import cut
from stroke.adapters.arrow.screening import CHOICES
from stroke.domain.errors import InvalidData, InvalidPatient
from stroke.domain.features import (
    AGE_GROUPS,
    BMI_CATEGORIES,
    ENGINEERED_FEATURES,
    GLUCOSE_CATEGORIES,
    engineer,
)
from stroke.domain.patient import GENDERS, SMOKING_STATUSES

ODD_NUMBERS = st.sampled_from(
    [
        *("", "N/A", "nan", "-nan", "inf", "-Infinity", "1e400", "1e-400", "+45", " 45 ", "\t7"),
        *("45.", ".5", "0x10", "4_5", "٤٥", "45 years", "1d2", "--1", "-0", "0", "1", "1.0"),
        *("true", "null", "120", "120.0000001", "-1", "19.999", "20", "600", "8", "100", "1e2"),
        *("5e", "e5", ".", "+", "7\x00"),
    ]
)
NUMBERS = st.one_of(
    st.floats(0, 120).map(str), st.integers(-5, 700).map(str), ODD_NUMBERS, st.text(max_size=4)
)
MOSTLY_GOOD: dict[str, st.SearchStrategy[str]] = {
    "gender": st.one_of(st.sampled_from(GENDERS), st.sampled_from(["male", "", " Male", "N/A"])),
    "smoking_status": st.one_of(st.sampled_from(SMOKING_STATUSES), st.text(max_size=4)),
    "hypertension": st.one_of(st.sampled_from(["0", "1"]), ODD_NUMBERS),
    "heart_disease": st.one_of(st.sampled_from(["0", "1"]), ODD_NUMBERS),
    "name": st.one_of(
        st.text(max_size=5), st.sampled_from(["é" * 100, "é" * 101, "x\x85", "\x00"])
    ),
    "country": st.text(max_size=52),
    "province": st.just("Québec"),
    "age_group": st.sampled_from(["", *AGE_GROUPS.labels, "old"]),
    "bmi_category": st.sampled_from(["", *BMI_CATEGORIES.labels]),
    "glucose_category": st.sampled_from(["", *GLUCOSE_CATEGORIES.labels]),
    "age_hypertension": st.one_of(st.sampled_from(["", "0", "45.5", "45.50001"]), ODD_NUMBERS),
}
ALL_FIELDS = (*FIELDS, *ENGINEERED_FEATURES)


@st.composite
def rows(draw: st.DrawFn) -> list[str]:
    """A plain patient with its engineered features, spoilt in a few cells or none."""
    row: dict[str, Any] = {**patient_json(), "age_group": "", "bmi_category": ""}
    row |= {"glucose_category": "", "age_hypertension": ""}
    for field in draw(st.lists(st.sampled_from(ALL_FIELDS), max_size=3)):
        row[field] = draw(MOSTLY_GOOD.get(field, NUMBERS))
    cells = [str(row[field]).encode("utf-8", "replace").decode() for field in ALL_FIELDS]
    return draw(st.sampled_from([cells] * 8 + [cells[:-1], [*cells, ""]]))


INFINITE = {**patient_json(age="inf"), **dict.fromkeys(ENGINEERED_FEATURES, "0")}


GAPS: list[tuple[str, ...]] = [(), ("avg_glucose_level",), ("bmi",), ("avg_glucose_level", "bmi")]


@given(st.lists(rows(), min_size=1, max_size=6), st.sampled_from(GAPS))
@example([[str(INFINITE[field]) for field in ALL_FIELDS]], ())
@settings(max_examples=examples(300))
def test_the_columns_and_the_domain_agree_on_every_row(
    table: list[list[str]], may_be_missing: tuple[str, ...]
) -> None:
    known = header(*ALL_FIELDS, may_be_missing=may_be_missing)
    data = "".join(csv_row(cells) + "\r\n" for cells in table).encode()
    block, used = cut(data, 2, known.width)
    assert (len(block), used) == (len(table), len(data))
    columns = read(block, known)
    for index in range(len(block)):
        if columns.suspect[index]:
            continue
        patient = judge(block.row(index), known.positions, known.width, known.may_be_missing)
        for name, values in columns.numbers.items():
            value = getattr(patient, name)
            assert np.isnan(values[index]) if value is None else values[index] == value
        for name, codes in columns.codes.items():
            assert CHOICES[name][codes[index]] == getattr(patient, name)


@pytest.mark.parametrize("spoilt", [{}, {"bmi": "N/A"}, {"bmi": "twenty"}])
def test_good_rows_are_not_looked_at_twice(spoilt: dict[str, str]) -> None:
    known = header(*ALL_FIELDS)
    good = patient_json(age_group="Young adult", bmi_category="", glucose_category="Normal")
    good |= {"age_hypertension": "0", "name": "Nguyễn Thị Ánh", "age": "45.5"}
    text = "".join(
        csv_row([str(row[field]) for field in ALL_FIELDS]) + "\n"
        for row in (good, {**good, **spoilt})
    )
    block, _ = cut(text.encode(), 2, known.width)
    assert read(block, known).suspect.tolist() == [False, bool(spoilt)]


@pytest.mark.parametrize("mark", ["", "N/A", "NaN", "nan", "NULL", "-", "?", "#N/A", "None"])
@pytest.mark.parametrize("missing", GAPS[1:])
@pytest.mark.parametrize("spoilt", [{}, {"age": "old"}])
def test_gaps_that_may_be_are_not_looked_at_twice(
    mark: str, missing: tuple[str, ...], spoilt: dict[str, str]
) -> None:
    known = header(*FIELDS, may_be_missing=missing)
    gaps = patient_json(**dict.fromkeys(missing, mark))
    text = "".join(
        csv_row([str(row[field]) for field in FIELDS]) + "\n" for row in (gaps, {**gaps, **spoilt})
    )
    block, _ = cut(text.encode(), 2, known.width)
    columns = read(block, known)
    assert columns.suspect.tolist() == [False, bool(spoilt)]
    for name in missing:
        assert np.isnan(columns.numbers[name]).all()


@pytest.mark.parametrize("cell", ["", "N/A", "nan", "inf", "x", "1e400", "-1"])
@pytest.mark.parametrize("field", ["age", "hypertension", "heart_disease"])
def test_a_gap_that_may_not_be_is_refused_beside_those_that_may(field: str, cell: str) -> None:
    known = header(*FIELDS, may_be_missing=("avg_glucose_level", "bmi"))
    row = csv_row([str(value) for value in patient_json(bmi="", **{field: cell}).values()])
    block, _ = cut(f"{row}\n".encode(), 2, known.width)
    assert read(block, known).suspect.all()
    with pytest.raises(InvalidPatient, match=field):
        judge(block.row(0), known.positions, known.width, known.may_be_missing)


@pytest.mark.parametrize("cell", ["x", "inf", "1e400", "-1", "7", "N/A x", "O,5"])
def test_what_is_neither_a_number_nor_a_gap_is_refused_though_it_may_be_missing(cell: str) -> None:
    known = header(*FIELDS, may_be_missing=("avg_glucose_level", "bmi"))
    row = csv_row([str(value) for value in patient_json(bmi=cell).values()])
    block, _ = cut(f"{row}\n".encode(), 2, known.width)
    assert read(block, known).suspect.all()
    with pytest.raises(InvalidPatient, match="bmi"):
        judge(block.row(0), known.positions, known.width, known.may_be_missing)


def test_a_claim_about_a_gap_is_looked_at() -> None:
    known = header(*ALL_FIELDS, may_be_missing=("bmi",))
    last = BMI_CATEGORIES.labels[-1]
    row = {**patient_json(bmi=""), **dict.fromkeys(ENGINEERED_FEATURES, ""), "bmi_category": last}
    row["age_hypertension"] = "0"
    text = csv_row([str(row[field]) for field in ALL_FIELDS]) + "\n"
    block, _ = cut(text.encode(), 2, known.width)
    assert read(block, known).suspect.all()
    with pytest.raises(InvalidPatient, match="bmi_category"):
        judge(block.row(0), known.positions, known.width, known.may_be_missing)


@pytest.mark.parametrize("cell", ["", "N/A", "nan", "inf", "x", "1e400", "-1"])
@pytest.mark.parametrize("field", ["age", "bmi", "avg_glucose_level", "hypertension"])
def test_no_bad_number_passes(field: str, cell: str) -> None:
    known = header(*FIELDS)
    row = csv_row([str(value) for value in patient_json(**{field: cell}).values()])
    block, _ = cut(f"{row}\n".encode(), 2, known.width)
    assert read(block, known).suspect.all()
    with pytest.raises((InvalidPatient, InvalidData)):
        judge(block.row(0), known.positions, known.width)


def test_a_row_that_the_domain_accepts_after_all_takes_its_values() -> None:
    known = header(*FIELDS)
    row = csv_row([str(value) for value in patient_json(age="+80", gender="Other").values()])
    block, _ = cut(f'{row}\n{row}" \n'.encode(), 2, known.width)
    columns = read(block, known)
    assert columns.suspect[1]
    columns.put(1, judge(block.row(1), known.positions, known.width))
    features = columns.features(np.array([False, True]))
    assert (features["age"].tolist(), features["gender"].tolist()) == ([80.0], ["Other"])


def test_the_bands_are_those_of_the_domain() -> None:
    known = header(*ALL_FIELDS)
    edges = [("age", v) for v in AGE_GROUPS.cuts] + [("bmi", v) for v in BMI_CATEGORIES.cuts]
    edges += [("avg_glucose_level", v) for v in GLUCOSE_CATEGORIES.cuts]
    text = ""
    for field, value in edges:
        row = patient_json(**{field: float(value)})
        derived = engineer(judge_of(row))
        text += csv_row([str({**row, **derived}[name]) for name in ALL_FIELDS]) + "\n"
    block, _ = cut(text.encode(), 2, known.width)
    assert not read(block, known).suspect.any()


def judge_of(row: dict[str, Any]) -> Any:
    known = header(*FIELDS)
    return judge(csv_row([str(row[f]) for f in FIELDS]).encode(), known.positions, known.width)
