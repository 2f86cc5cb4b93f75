"""Which day at an end of a listing's times is looked up by the index of the days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.adapters.sql.pages import by_days, far_day
from stroke.domain.prediction import PredictionFilter

OLDEST, NEWEST = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC)
TIMES = st.integers(-7 * 24, 370 * 24).map(lambda hours: OLDEST + timedelta(hours=hours))


def days_of(narrowed: PredictionFilter, most: int = 4_000) -> list[date]:
    return by_days(narrowed.since, narrowed.until, OLDEST, NEWEST, most=most)[0]


@given(one=TIMES, other=TIMES, most=st.sampled_from([1, 3, 4_000]))
def test_a_far_day_is_the_one_beside_the_whole_days_in_which_the_times_begin_or_end(
    one: datetime, other: datetime, most: int
) -> None:
    narrowed = PredictionFilter(min(one, other), max(one, other))
    days = days_of(narrowed, most)
    begins = far_day(narrowed, days, newer=True)
    ends = far_day(narrowed, days, newer=False)
    assert begins in (None, min(one, other).date())
    assert ends in (None, max(one, other).date())
    listed = [each for each in (begins, *days, ends) if each is not None]
    # In their order, each once and none left out: what is listed is one range of days.
    assert listed == [min(listed, default=one.date()) + timedelta(at) for at in range(len(listed))]


def test_times_inside_two_days_have_a_far_day_at_each_end() -> None:
    narrowed = PredictionFilter(
        datetime(2026, 3, 1, 9, tzinfo=UTC), datetime(2026, 3, 4, 17, tzinfo=UTC)
    )
    days = days_of(narrowed)
    assert days == [date(2026, 3, 2), date(2026, 3, 3)]
    assert far_day(narrowed, days, newer=True) == date(2026, 3, 1)
    assert far_day(narrowed, days, newer=False) == date(2026, 3, 4)


def test_times_from_one_day_to_the_next_have_both_of_them() -> None:
    narrowed = PredictionFilter(
        datetime(2026, 3, 1, 9, tzinfo=UTC), datetime(2026, 3, 2, 17, tzinfo=UTC)
    )
    days, others = by_days(narrowed.since, narrowed.until, OLDEST, NEWEST, most=9)
    assert (days, len(others)) == ([], 2)
    assert far_day(narrowed, days, newer=True) == date(2026, 3, 1)
    assert far_day(narrowed, days, newer=False) == date(2026, 3, 2)


@pytest.mark.parametrize("newer", [True, False])
def test_times_inside_one_day_and_open_times_have_none(newer: bool) -> None:
    moment = datetime(2026, 3, 1, 9, tzinfo=UTC)
    inside = PredictionFilter(moment, moment + timedelta(hours=2))
    assert far_day(inside, days_of(inside), newer=newer) is None
    open_ended = PredictionFilter(until=moment) if newer else PredictionFilter(since=moment)
    assert far_day(open_ended, days_of(open_ended), newer=newer) is None
