"""Accept chooses the form of an answer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.examples import examples
from stroke.entrypoints.api.negotiation import preferred

JSON, HTML, MARKDOWN = OFFERED = ("application/json", "text/html", "text/markdown")


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("text/html", HTML),
        ("TEXT/HTML", HTML),
        ("text/markdown", MARKDOWN),
        ("text/*", HTML),
        ("text/html;q=0.5, text/markdown", MARKDOWN),
        ("text/html;q=0.5, application/json;q=0.6", JSON),
        ("text/html ; q=0.2, */*;q=0.1", HTML),
        ("text/*;q=0.9, text/html;q=0.1, application/json;q=0.5", MARKDOWN),
        ("application/json;q=0, */*", HTML),
        ("application/json;q=0.5, text/html;level=1;q=0.7", HTML),
        ("text/html;q=nan, application/json;q=0.9", HTML),
        ("text/html;q=many, application/json;q=0.9", HTML),
        ("text/html;q=-1, application/json;q=0.9", HTML),
        ("image/png", JSON),
        (",,;", JSON),
    ],
)
def test_the_type_with_the_highest_q_of_its_most_specific_range_is_wanted(
    accept: str | None, wanted: str
) -> None:
    assert preferred(accept, OFFERED) == wanted


@given(st.text(max_size=40) | st.text("texhml/*;q=0.1,", max_size=40))
@settings(max_examples=examples(100))
def test_any_header_gets_one_of_the_types_that_there_are(accept: str) -> None:
    assert preferred(accept, OFFERED) in OFFERED
