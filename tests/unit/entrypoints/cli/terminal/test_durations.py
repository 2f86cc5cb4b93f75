"""Lengths of time as the command line takes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from stroke.entrypoints.cli.terminal.durations import before, duration


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


@pytest.mark.parametrize(
    ("now", "text", "moment"),
    [
        ("2026-11-29", "7y", "2019-11-29"),  # and not two leap days later
        ("2024-02-29", "1y", "2023-02-28"),
        ("2024-02-29", "4y", "2020-02-28"),
        ("2026-03-01", "1d", "2026-02-28"),
        ("2026-03-01", "2w", "2026-02-15"),
    ],
)
def test_years_before_a_moment_are_those_of_the_calendar(now: str, text: str, moment: str) -> None:
    assert before(datetime.fromisoformat(now), text) == datetime.fromisoformat(moment)


@pytest.mark.parametrize("text", ["2027y", "999999999y", "999999999d", "seven", ""])
def test_a_time_before_all_years_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        before(datetime(2026, 11, 29, tzinfo=UTC), text)
