"""Lengths of time as the command line takes them."""

from __future__ import annotations

import re
from datetime import timedelta
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
