from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.adapters.sql_sink.results import TEXT_UNITS, storable

ELLIPSIS, REPLACEMENT = "\u2026", "\ufffd"


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize("text", ["", "Québec", "x" * 255, "😀" * 127, "é" * 255, "😀" * 127 + "x"])
def test_a_text_that_fits_stays_as_it_is(text: str) -> None:
    assert storable(text) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [("x" * 256, "x" * 254), ("😀" * 128, "😀" * 127), ("x" + "😀" * 128, "x" + "😀" * 126)],
)
def test_a_longer_text_is_cut_between_characters_and_says_so(text: str, kept: str) -> None:
    assert storable(text) == kept + ELLIPSIS


def test_nul_becomes_the_character_for_what_cannot_be_shown() -> None:
    assert storable("a\0b") == f"a{REPLACEMENT}b"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=600))
def test_whatever_a_table_holds_fits_and_begins_as_it_did(text: str) -> None:
    stored = storable(text)
    assert units(stored) <= TEXT_UNITS
    assert "\0" not in stored
    wanted = text.replace("\0", REPLACEMENT)
    assert stored == wanted or wanted.startswith(stored.removesuffix(ELLIPSIS))
    assert storable(stored) == stored
