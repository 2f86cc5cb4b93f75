from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.application.predictions.cells import (
    FLAG_WORDS,
    NO_VALUE,
    check_account,
    choice,
    flag,
    key_of,
    known_names,
    measurement,
    number_of,
    smoking_status,
    split,
    value_of,
    without_surplus,
)
from stroke.domain.errors import InvalidData, RowsUnaccounted
from stroke.domain.patient import flag_of

PADS = st.text(" \t\u00a0", max_size=3)
SPELLINGS = st.sampled_from([str.lower, str.upper, str.title])


@given(st.sampled_from(sorted(NO_VALUE)), SPELLINGS, PADS, PADS)
def test_a_mark_for_no_value_is_one_for_every_kind_of_column(
    mark: str, spell: object, before: str, after: str
) -> None:
    text = before + spell(mark) + after  # type: ignore[operator]
    assert measurement(text) is flag(text) is choice(text) is None
    assert smoking_status(text) == "Unknown"
    assert value_of("name", split(text)[0]) is None


@pytest.mark.parametrize("column", ["bmi", "gender", "hypertension", "stroke", "timestamp"])
def test_a_mark_in_quotes_is_no_value_where_it_cannot_be_text(column: str) -> None:
    assert value_of(column, split('"NA"')[0]) is None


@pytest.mark.parametrize("column", ["name", "country", "source", "model_version", "ward"])
def test_a_mark_in_quotes_is_text_where_there_is_text(column: str) -> None:
    assert value_of(column, split('"NULL"')[0]) == "NULL"
    assert value_of(column, split("NULL")[0]) is None
    assert value_of(column, split('" x "')[0]) == " x "
    assert value_of(column, split(" x ")[0]) == "x"


@given(st.sampled_from(sorted(FLAG_WORDS)), SPELLINGS, PADS)
def test_words_for_flags_are_flags_however_they_are_spelled(
    word: str, spell: object, pad: str
) -> None:
    assert flag(pad + spell(word) + pad) == FLAG_WORDS[word]  # type: ignore[operator]


@given(st.floats(allow_nan=False) | st.integers(-5, 5))
def test_a_flag_in_text_is_the_flag_that_its_number_is(value: float) -> None:
    found = flag_of(value)
    assert flag(str(value)) == (float(value) if found is None else found)
    assert flag(value) == (value if found is None else found)


@pytest.mark.parametrize("value", ["0.999999999999999", "2", "maybe", "0x1", Decimal("0.5"), 7])
def test_what_is_no_flag_is_not_made_one(value: object) -> None:
    assert flag(value) not in (0, 1, None)


def test_a_boolean_and_a_not_a_number_are_what_typed_files_write() -> None:
    assert (flag(True), flag(False)) == (1, 0)
    assert flag(float("nan")) is measurement(float("nan")) is None
    assert measurement(Decimal("36.6")) == 36.6


@given(st.floats(allow_nan=False), PADS)
def test_any_number_that_python_writes_is_read_back(value: float, pad: str) -> None:
    assert number_of(f"{pad}{value!r}{pad}") == value


@pytest.mark.parametrize(
    "name",
    ["Heart Disease", " heart_disease ", "HeartDisease", "HEART-DISEASE", "heart.disease\u00a0"],
)
def test_a_column_is_known_however_its_name_is_spelled(name: str) -> None:
    assert key_of(name) == key_of("heart_disease")
    assert known_names(["Ward", name], ["heart_disease"]) == ["Ward", "heart_disease"]


def test_blank_cells_after_the_last_name_do_not_count_and_others_do() -> None:
    assert [cell.text for cell in without_surplus(split('a,b,, ,""'), 2)] == ["a", "b"]
    for row in ("a", "a,b,c", "a,b,,c"):
        with pytest.raises(InvalidData, match="the header has 2"):
            without_surplus(split(row), 2)


def test_rows_that_do_not_add_up_are_an_error() -> None:
    check_account(read=3, kept=2, rejected=1)
    for kept, rejected in ((1, 1), (3, 1)):
        with pytest.raises(RowsUnaccounted, match="fault in stroke"):
            check_account(read=3, kept=kept, rejected=rejected)
