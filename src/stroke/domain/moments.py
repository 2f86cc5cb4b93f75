"""The first and the last instant there are, for times whose zone leads beyond them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

FIRST: Final = datetime.min.replace(tzinfo=UTC)
LAST: Final = datetime.max.replace(tzinfo=UTC)
_EARLY: Final = 5000


def in_utc(moment: datetime) -> datetime:
    """Return an aware time in UTC.

    00:00 at +03:00 on the first day of the year 1 is a right time, and in UTC it lies before that
    year. Such a time is ``FIRST``, and one after the year 9999 is ``LAST``.
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return FIRST if moment.year < _EARLY else LAST
