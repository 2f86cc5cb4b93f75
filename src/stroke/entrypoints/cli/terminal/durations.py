"""Lengths of time as the command line takes them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

import typer

_DURATION: Final = re.compile(r"([0-9]{1,9}) ?([smhdwy])")
_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "y": timedelta(days=365),
}


def duration(text: str) -> timedelta:
    """Return the time that ``text`` names: a whole number and s, m, h, d, w or y (of 365 days).

    Raises ``typer.BadParameter``.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter("must be a whole number and a unit, such as 30m, 24h, 90d or 1y")
    try:
        return int(found[1]) * _UNITS[found[2]]
    except OverflowError:
        raise typer.BadParameter("is longer than there are years") from None


def before(now: datetime, text: str) -> datetime:
    """Return the moment that is ``text`` before ``now``; years are those of the calendar.

    A retention of years ends on the same day of a later year: 7 times 365 days are over earlier. On
    29 February a year ends on the 28th. Raises ``typer.BadParameter``.
    """
    length = duration(text)
    found = _DURATION.fullmatch(text.strip())
    try:
        if found is not None and found[2] == "y":
            day = 28 if (now.month, now.day) == (2, 29) else now.day
            return now.replace(year=now.year - int(found[1]), day=day)
        return now - length
    except (OverflowError, ValueError):
        raise typer.BadParameter("is longer than there are years") from None
