from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.domain.errors import InvalidOutcome
from stroke.domain.outcome import Outcome

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def outcome(day: date, source: str = "register") -> Outcome:
    return Outcome(7, stroke=True, date=day, source=source)


@pytest.mark.parametrize("source", ["", "x" * 101, "a\nb", "\x00", "\x85"])
def test_a_source_is_a_short_line_of_text(source: str) -> None:
    with pytest.raises(InvalidOutcome, match="source") as refusal:
        outcome(NOW.date(), source)
    assert source not in str(refusal.value) or not source


def test_today_is_no_future_wherever_today_has_begun() -> None:
    evening = datetime(2026, 3, 10, 11, tzinfo=UTC)  # it is 01:00 of the 11th on Kiritimati
    outcome(date(2026, 3, 11)).check_date(made_at=None, now=evening)
    with pytest.raises(InvalidOutcome, match="future"):
        outcome(date(2026, 3, 12)).check_date(made_at=None, now=evening)


def test_the_day_of_the_prediction_counts_wherever_it_was_not_over() -> None:
    made_at = datetime(2026, 3, 10, 6, tzinfo=UTC)  # it is 19:00 of the 9th in Honolulu
    outcome(date(2026, 3, 9)).check_date(made_at=made_at, now=NOW)
    with pytest.raises(InvalidOutcome, match="before the prediction"):
        outcome(date(2026, 3, 8)).check_date(made_at=made_at, now=NOW)


@pytest.mark.parametrize("day", [date.min, date.max])
@pytest.mark.parametrize("made_at", [datetime(1, 1, 1, tzinfo=UTC), NOW])
def test_no_day_of_the_calendar_breaks_the_check(day: date, made_at: datetime) -> None:
    if day < NOW.date() and made_at < NOW:
        outcome(day).check_date(made_at=made_at, now=NOW)
        return
    with pytest.raises(InvalidOutcome) as refusal:
        outcome(day).check_date(made_at=made_at, now=NOW)
    assert str(day) not in str(refusal.value)


@given(
    days=st.integers(400, 10_000),
    seconds=st.integers(0, 86_399),
    hours=st.integers(-12, 14),
    later=st.integers(0, 300),
)
def test_a_day_on_or_after_that_of_the_prediction_is_taken_in_every_zone(
    days: int, seconds: int, hours: int, later: int
) -> None:
    made_at = NOW - timedelta(days=days, seconds=seconds)
    there = (made_at + timedelta(hours=hours)).date()
    outcome(there + timedelta(days=later)).check_date(made_at=made_at, now=NOW)
