"""Lengths of time as the command line takes them."""

from __future__ import annotations

from datetime import timedelta

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from stroke.entrypoints.cli.terminal.durations import duration


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90d", timedelta(days=90)),
        ("30m", timedelta(minutes=30)),
        ("24h", timedelta(days=1)),
        (" 2 w ", timedelta(days=14)),
        ("7y", timedelta(days=7 * 365)),
        ("0s", timedelta(0)),
    ],
)
def test_a_number_and_a_unit_are_a_length_of_time(text: str, length: timedelta) -> None:
    assert duration(text) == length


@pytest.mark.parametrize(
    "text", ["", "90", "d", "-1d", "1.5h", "90 days", "90D", "٣d", "1d2h", "999999999y", "1d\n2"]
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        duration(text)


@given(st.integers(0, 999_999_999), st.sampled_from("smhdw"))
def test_any_number_is_a_length_of_time_or_refused(number: int, unit: str) -> None:
    try:
        length = duration(f"{number}{unit}")
    except typer.BadParameter:
        assert number * duration(f"1{unit}").total_seconds() > timedelta.max.total_seconds()
    else:
        assert length == number * duration(f"1{unit}")
