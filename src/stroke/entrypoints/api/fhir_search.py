"""What a search for assessments is asked for: FHIR's parameters, read from a URL or a form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from stroke.domain.clinical.kept import AssessmentFilter
from stroke.domain.clinical.times import instant
from stroke.domain.moments import LAST
from stroke.domain.prediction import LARGEST_ID
from stroke.entrypoints.api.charts import named_patient
from stroke.entrypoints.api.violations import of_parameter

CURSOR: Final = "_cursor"
_KNOWN: Final = {"_id", "patient", "subject", "date", "_count", CURSOR} | {
    "_format",
    "_pretty",
    "_summary",
    "_total",
}
_USUAL: Final = 50
_MOST: Final = 1000
_MOST_IDS: Final = 50
_COUNTED: Final = frozenset({"accurate", "estimate"})
_NUMBER: Final = re.compile(r"[0-9]{1,20}")
_PREFIXED: Final = re.compile(r"(eq|ne|ge|gt|le|lt|sa|eb)?(\d{4}.*)")
_PLACE: Final = re.compile(r"[0-9a-f]{1,16}")
_ZONE: Final = re.compile(r"\s*(Z|z|[+-]\d\d:?\d\d)$")
# How long a time lasts that is written with so many characters: a month has its own length.
_LENGTHS: Final = {10: timedelta(days=1), 16: timedelta(minutes=1)}


@dataclass(frozen=True, slots=True)
class Search:
    """A page of a search: up to ``limit`` assessments, or none where they are only counted.

    ``ids`` are those that it names, each once. It begins before the prediction ``cursor``, or at
    this place of the ``ids``. ``counts`` is whether its answer says how many there are in all.
    ``taken`` are the parameters that it was made of.
    """

    narrowed: AssessmentFilter
    ids: Sequence[str]
    limit: int
    cursor: int | None
    counts: bool
    taken: Sequence[tuple[str, str]]


def is_lenient(preferences: Iterable[str]) -> bool:
    """Return whether a client wants parameters passed over that are not known (``Prefer``)."""
    parts = (each for line in preferences for each in re.split("[,;]", line))
    wanted = [each.replace(" ", "").replace('"', "").lower() for each in parts]
    return "handling=lenient" in wanted and "handling=strict" not in wanted


def search_of(parameters: Sequence[tuple[str, str]], *, site: str | None, lenient: bool) -> Search:
    """Return what a search's parameters ask for, of one ``site``.

    Parameters that are not known are passed over where that is wanted (``lenient``). Raises
    ``InvalidRequest`` for all others that are not known, and for those that are not clear; for
    modifiers and chains of known ones in any case, as FHIR says.
    """
    taken = [pair for pair in parameters if not (lenient and _is_foreign(pair[0]))]
    given: dict[str, list[str]] = {}
    for name, value in taken:
        if name not in _KNOWN:
            raise of_parameter(name, "is no search parameter here", "unknown")
        if name != "date" and name in given:
            raise of_parameter(name, "must be given once", "repeated")
        given.setdefault(name, []).append(value)
    if "patient" in given and "subject" in given:
        raise of_parameter("subject", "must be left out where patient is given", "repeated")
    one = {name: values[0] for name, values in given.items()}
    who = one.get("patient", one.get("subject"))
    since, until, outside = _between(given.get("date", ()))
    only_counted = _is_only_counted(one.get("_summary"))
    limit = 0 if only_counted else _limit(one.get("_count"))
    cursor = one.get(CURSOR)
    ids = _ids(one["_id"]) if "_id" in one else None
    return Search(
        AssessmentFilter(
            None if who is None else named_patient(who),
            since,
            until,
            site,
            None if ids is None else frozenset(ids),
            outside,
        ),
        ids or (),
        limit,
        None if cursor is None else _place(cursor),
        not limit or one.get("_total") in _COUNTED,
        taken,
    )


def _is_foreign(name: str) -> bool:
    return re.split("[:.]", name)[0] not in _KNOWN


def _is_only_counted(summary: str | None) -> bool:
    if summary not in (None, "count", "false"):
        raise of_parameter("_summary", "must be count or false", "invalid")
    return summary == "count"


def _limit(count: str | None) -> int:
    """Return how many a page has at the most; none where they are only counted."""
    if count is None:
        return _USUAL
    if not _NUMBER.fullmatch(count):
        raise of_parameter("_count", "must be a whole number", "invalid")
    return min(int(count), _MOST)


def _ids(listed: str) -> list[str]:
    """Return the ids of a search, each once. Raises ``InvalidRequest`` for too many."""
    found = list(dict.fromkeys(listed.split(",")))
    if len(found) > _MOST_IDS:
        raise of_parameter("_id", f"must be at most {_MOST_IDS} ids", "invalid")
    return found


def _place(cursor: str) -> int:
    """Return where a page begins. Raises ``InvalidRequest``."""
    if not _PLACE.fullmatch(cursor) or int(cursor, 16) > LARGEST_ID:
        raise of_parameter(CURSOR, "is no cursor", "invalid")
    return int(cursor, 16)


_Span = tuple[datetime, datetime]


def _between(
    dates: Sequence[str],
) -> tuple[datetime | None, datetime | None, tuple[_Span, ...]]:
    """Return since when, until before when, and outside which spans dates narrow a search."""
    since: datetime | None = None
    until: datetime | None = None
    outside: list[_Span] = []
    for text in dates:
        match = _PREFIXED.fullmatch(text.strip().replace(" ", "+"))  # a + is a blank in a URL
        start = instant(match[2]) if match else None
        if match is None or start is None:
            raise of_parameter(
                "date", "must be a date or time of FHIR, perhaps with ge or lt", "invalid"
            )
        prefix, end = match[1] or "eq", _end(match[2], start)
        if prefix == "ne":
            outside.append((start, end))
        if prefix in ("eq", "ge", "gt", "sa"):
            first = start if prefix in ("eq", "ge") else end
            since = first if since is None else max(since, first)
        if prefix in ("eq", "le", "lt", "eb"):
            last = end if prefix in ("eq", "le") else start
            until = last if until is None else min(until, last)
    return since, until, tuple(outside)


def _end(text: str, start: datetime) -> datetime:
    """Return when the time that ``text`` writes is over: a year, a day, a thousandth of a second.

    The last one that there is is over at the last instant.
    """
    written = _ZONE.sub("", text) if "T" in text else text
    try:
        if len(written) == 4:  # noqa: PLR2004 -- a year
            return start.replace(year=start.year + 1)
        if len(written) == 7:  # noqa: PLR2004 -- a month
            return (start + timedelta(days=31)).replace(day=1)
        digits = len(written.partition(".")[2])
        return start + _LENGTHS.get(len(written), timedelta(microseconds=10 ** max(6 - digits, 0)))
    except (ValueError, OverflowError):
        return LAST
