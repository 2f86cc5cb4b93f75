"""Which days a listing between two times is split into."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from stroke.adapters.sql.pages import by_days
from stroke.domain.moments import FIRST, LAST

MOST = 3
ONE_DAY = timedelta(days=1)
EDGES = [FIRST, FIRST + timedelta(days=1, hours=1), LAST - timedelta(days=1, hours=1), LAST]


def whole(day: date, since: datetime | None, until: datetime | None) -> bool:
    begins = datetime.combine(day, datetime.min.time(), UTC)
    return (since is None or since <= begins) and (
        until is None or (until > begins and until - begins >= timedelta(days=1))
    )


def check(since: datetime | None, until: datetime | None, one: datetime, other: datetime) -> None:
    days, others = by_days(since, until, min(one, other), max(one, other), most=MOST)

    assert len(days) <= MOST
    # Each side of the days; or each of two days, which have nothing between them.
    is_split = since and until and until.date() - since.date() == ONE_DAY
    assert len(others) == (2 if days or is_split else 1)
    assert all(whole(day, since, until) for day in days)


def test_no_day_is_sought_before_the_first_or_after_the_last_there_is() -> None:
    for since, until, one, other in product([None, *EDGES], [None, *EDGES], EDGES, EDGES):
        check(since, until, one, other)


TIMES = st.datetimes(timezones=st.just(UTC))


@given(st.none() | TIMES, st.none() | TIMES, TIMES, TIMES)
def test_only_days_that_are_wholly_within_the_times_are_taken(
    since: datetime | None, until: datetime | None, one: datetime, other: datetime
) -> None:
    check(since, until, one, other)
