from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.domain.documents import NAME_TWICE, TOO_DEEP, ambiguity_of

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)
OBJECTS = st.dictionaries(st.text(), DOCUMENTS, min_size=1)


def escaped(name: str) -> str:
    return '"' + "".join(f"\\u{ord(letter):04x}" for letter in name) + '"'


@given(document=DOCUMENTS, indent=st.none() | st.integers(0, 2))
def test_a_document_that_has_each_name_once_is_clear(document: Any, indent: int | None) -> None:
    assert ambiguity_of(json.dumps(document, indent=indent).encode()) is None


@given(
    found=OBJECTS,
    around=st.lists(st.sampled_from(["[%s]", '{"a":%s}', '[1, {"b" : [%s]}]', '{"":[0,%s]}'])),
    blank=st.text(" \t\r\n", max_size=3),
    data=st.data(),
)
def test_a_name_that_comes_twice_is_found_wherever_and_however_it_is_written(
    found: dict[str, Any], around: list[str], blank: str, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(found)))
    plain = all(letter < "\U00010000" for letter in name)
    written = data.draw(
        st.sampled_from(
            [json.dumps(name), escaped(name)]
            if plain
            else [json.dumps(name), json.dumps(name, ensure_ascii=False)]
        )
    )
    text = json.dumps(found)[:-1] + f",{blank}{written}{blank}:{blank}null}}"
    for each in around:
        text = each.replace("%s", text)
    assert ambiguity_of(text.encode()) == NAME_TWICE


@pytest.mark.parametrize(
    "text", ["", "{", '{"a":1,}', '{"a":1 "a":2}', "\ud800", '{"a":1}{"a":1}', "nonsense"]
)
def test_of_what_is_no_json_nothing_is_said(text: str) -> None:
    assert ambiguity_of(text.encode("utf-8", "surrogatepass")) is None


def test_what_nobody_can_walk_through_is_ambiguous() -> None:
    assert ambiguity_of(b"[" * 200_000 + b"]" * 200_000) == TOO_DEEP


@pytest.mark.parametrize("number", ["1" * 5000, "1e999", "-0", "NaN", "Infinity"])
def test_numbers_are_not_looked_at(number: str) -> None:
    assert ambiguity_of(f'{{"a": {number}, "b": 1}}'.encode()) is None
