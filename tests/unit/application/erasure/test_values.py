"""Values that are sought: how they may be written, and what nothing says of them."""

from __future__ import annotations

import json
import unicodedata
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.application.erasure.ports import ValueTrace
from stroke.application.erasure.values import MOST_VALUES, FoundValues, SoughtValues
from stroke.domain.errors import InvalidData

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=2, max_size=20)


@given(TEXTS, TEXTS, TEXTS)
def test_a_text_is_found_however_it_is_written(text: str, before: str, after: str) -> None:
    sought = SoughtValues([text])
    for written in (text, text.casefold(), unicodedata.normalize("NFC", text)):
        whole = f"{before}{written}{after}"
        assert sought.in_text(whole) == {1}
        assert sought.in_bytes(b"\xff\xc3" + whole.encode() + b"\x00") == {1}
        assert sought.in_value({"rows": [[{"name": whole}, None]]}) == {1}
        assert sought.in_text(json.dumps({"name": whole})) == {1}
        assert sought.in_text(json.dumps({whole: 1}, ensure_ascii=False)) == {1}
        assert sought.in_text(json.dumps([json.dumps({"name": whole})])) == {1}


@pytest.mark.parametrize("name", ["\u00c9l\u00e9onore", "\u00e9L\u00c9onore", "\u00c9L\u00c9ONORE"])
def test_an_escape_of_json_has_no_case(name: str) -> None:
    sought = SoughtValues(["\u00e9l\u00e9onore"])
    for text in (json.dumps([name]), json.dumps({name: "\\u12"}), "\\u00C9l\\u00C9onore"):
        assert sought.in_text(text) == {1}


def test_other_escapes_of_json_are_known_too() -> None:
    name = "\U0001f600 O'Ne\"il\\"
    assert SoughtValues([name.lower()]).in_text(json.dumps([name])) == {1}
    assert SoughtValues(["a\\ub"]).in_text("a\\ub \\ud800") == {1}  # none, though it looks so


@pytest.mark.parametrize(
    "value",
    [7341, 7341.0, Decimal("7341.00"), "MRN 7341", b"7341", {"a": [7341]}, {7341: None}],
)
def test_a_number_is_found_in_numbers_and_in_texts(value: object) -> None:
    assert SoughtValues(["no", "7341", "7341.0"]).in_value(value) >= {2}


@pytest.mark.parametrize(
    "value", [None, True, 73410, 17341.0, float("nan"), float("inf"), "734 1", b"", [], {}]
)
def test_another_value_is_not_found(value: object) -> None:
    assert SoughtValues(["7341", "nan", "inf", "1e999999"]).in_value(value) <= {2, 3}


def test_a_day_is_found_as_iso_writes_it() -> None:
    assert SoughtValues(["1956-03-04"]).in_value([date(1956, 3, 4)]) == {1}


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([], "no value"),
        (["Canary", "x"], "value 2 is too short"),
        (["Canary"] * (MOST_VALUES + 1), "at most 100"),
    ],
)
def test_what_cannot_be_sought_is_refused_without_saying_it(texts: Any, said: str) -> None:
    with pytest.raises(InvalidData, match=said) as refused:
        SoughtValues(texts)
    assert "Canary" not in str(refused.value)


def test_nothing_says_the_values() -> None:
    assert repr(SoughtValues(["Canary", "7341"])) == "<2 values>"


def test_of_very_many_traces_the_first_are_named_and_that_there_are_more() -> None:
    found = FoundValues()
    for number in range(2_000):
        found.add({1}, f"row {number:04}")
    found.add({2}, "the last")

    listed = found.listed()

    assert len(listed) == 1_002
    assert listed[0] == ValueTrace(1, "row 0000")
    assert listed[-2:] == [ValueTrace(1, "and more"), ValueTrace(2, "and more")]
