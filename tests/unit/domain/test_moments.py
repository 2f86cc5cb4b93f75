"""Times whose zone leads beyond those there are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.domain.clinical.times import instant
from stroke.domain.moments import FIRST, LAST, in_utc

ZONES = st.timedeltas(timedelta(minutes=-1439), timedelta(minutes=1439)).map(timezone)


@given(st.datetimes(timezones=ZONES))
def test_every_time_has_an_instant_and_keeps_its_place_in_the_order(moment: datetime) -> None:
    found = in_utc(moment)

    assert FIRST <= found <= LAST
    assert found.tzinfo is UTC
    # Python compares aware times without an overflow.
    assert found == moment or (found, moment < FIRST) in {(FIRST, True), (LAST, False)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0001-01-01T00:00:00+03:00", FIRST),
        ("0001-01-01T03:00:00+03:00", FIRST),
        ("9999-12-31T23:59:59-05:00", LAST),
        ("9999-12-31T23:59:60Z", LAST),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("0001", FIRST),
        ("0000-01-01", None),  # FHIR has no year 0
    ],
)
def test_a_time_of_a_record_is_an_instant(text: str, expected: datetime | None) -> None:
    assert instant(text) == expected
