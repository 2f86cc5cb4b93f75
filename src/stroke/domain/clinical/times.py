"""FHIR's times as instants, so that two of them can be compared across zones and kinds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Final

from stroke.domain.moments import FIRST, LAST, in_utc

_TIME: Final = re.compile(
    r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(\.\d+)?)?"
    r"\s*(Z|z|[+-]\d{2}:?\d{2})?)?)?)?"
)
_LEAP: Final = 60


def instant(text: Any) -> datetime | None:
    """Return a FHIR ``date``, ``dateTime`` or ``instant`` (aware, UTC), None for what is none.

    A time that names only a year, month or day counts from its beginning. One without a zone
    counts as UTC. One whose zone leads before the year 1 or after the year 9999 counts as the
    first or the last instant there is.
    """
    match = _TIME.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second, part, zone = match.groups()
    leap = int(second or 0) == _LEAP
    try:
        found = datetime(
            int(year),
            int(month or 1),
            int(day or 1),
            int(hour or 0),
            int(minute or 0),
            59 if leap else int(second or 0),
            int((part or ".").removeprefix(".")[:6].ljust(6, "0")),
            _zone(zone),
        )
    except ValueError:
        return None
    found = in_utc(found)
    return found + timedelta(seconds=leap) if found < LAST - timedelta(seconds=1) else LAST


def _zone(text: str | None) -> timezone:
    if text is None or text in "Zz":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    away = timedelta(hours=hours, minutes=minutes)
    return timezone(-away if text[0] == "-" else away)


def effective(resource: Mapping[str, Any]) -> datetime | None:
    """Return when an observation was made: the instant of ``effective[x]``, else of ``issued``.

    A period counts by its end, or by its start where it has no end; a timing by its last event.
    """
    for name in ("effectiveDateTime", "effectiveInstant"):
        if (found := instant(resource.get(name))) is not None:
            return found
    for found in (
        _of_period(resource.get("effectivePeriod")),
        _of_timing(resource.get("effectiveTiming")),
        instant(resource.get("issued")),
    ):
        if found is not None:
            return found
    return None


def has_unreadable_time(resource: Mapping[str, Any]) -> bool:
    """Return whether an observation names a time in a form that FHIR does not have."""
    period = resource.get("effectivePeriod")
    inner = [period.get("start"), period.get("end")] if isinstance(period, Mapping) else []
    named = (resource.get("effectiveDateTime"), resource.get("effectiveInstant"), *inner)
    return any(isinstance(each, str) and each.strip() and instant(each) is None for each in named)


def _of_period(period: Any) -> datetime | None:
    if not isinstance(period, Mapping):
        return None
    return instant(period.get("end")) or instant(period.get("start"))


def _of_timing(timing: Any) -> datetime | None:
    if not isinstance(timing, Mapping):
        return None
    events = timing.get("event")
    listed: Iterable[Any] = events if isinstance(events, list) else ()
    found = [each for each in map(instant, listed) if each is not None]
    if found:
        return max(found)
    repeat = timing.get("repeat")
    return _of_period(repeat.get("boundsPeriod")) if isinstance(repeat, Mapping) else None


def order(moment: datetime | None) -> datetime:
    """Return what to sort by: an observation without a time is older than any with one."""
    return moment or FIRST


def birth_date(text: Any) -> tuple[date, bool] | None:
    """Return a birth date, and whether it names a day; None for what is no date.

    A year alone counts as its first of July, a month alone as its fifteenth: half-way.
    """
    match = _TIME.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        return None
    year, month, day = match.groups()[:3]
    try:
        if month is None:
            return date(int(year), 7, 1), False
        return date(int(year), int(month), int(day or 15)), day is not None
    except ValueError:
        return None


def years_between(born: date, today: date) -> float:
    """Return the age in completed years; under two years in completed months, as twelfths."""
    months = (today.year - born.year) * 12 + today.month - born.month - (today.day < born.day)
    return float(months // 12) if months >= 24 else round(months / 12, 2)  # noqa: PLR2004
