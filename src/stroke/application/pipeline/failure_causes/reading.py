"""Reads the trace of a failed task, and finds its cause in the table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from stroke.application.pipeline.failure_causes import kafka, lake, mysql, sql_copy
from stroke.application.pipeline.failure_causes.entries import Concerns, Entry, FailureCause

UNKNOWN: Final = FailureCause(
    "stroke does not know this cause",
    "look at Connect's log (`deploy/stack.sh logs connect`), which has the exception's message",
    Concerns.UNKNOWN,
)
STALLED: Final = FailureCause(
    "it runs, and writes nothing while there are records to read",
    "look at what it writes to, and for its own warnings in Connect's log "
    "(`deploy/stack.sh logs connect`): it may catch its own exceptions and try again",
    Concerns.UNKNOWN,
)
"""A sink that stands still and threw nothing."""
# The first that fits counts: the faults of a row come before those of a place.
_TABLE_OF_CAUSES: Final = (
    *sql_copy.ROWS,
    *lake.ROWS,
    *kafka.EVENTS,
    *sql_copy.DATABASE,
    *lake.STORE,
    *mysql.DATABASE,
    *kafka.CLUSTER,
)
# The first line and each cause begin with the class; what follows it is the message's first line.
_LINE: Final = re.compile(
    r"^(?:Caused by: )?((?:[a-z_]\w*\.)+[A-Z][\w$]*)(?:: ?(.*))?$", re.MULTILINE
)
_LONGEST: Final = 2000


def cause_of(trace: str) -> FailureCause | None:
    """Return the cause that a Java trace, or one exception of it, names; None for no trace.

    The innermost exception that the table knows says why: what is around it repeats it, and may
    quote a row. Where the table knows none, the cause is said to be unknown.
    """
    if not trace.strip():
        return None
    for thrown, message in reversed(list(_exceptions(trace))):
        for entry in _TABLE_OF_CAUSES:
            if found := _matched(entry, thrown, message):
                return found
    return UNKNOWN


def known_causes() -> list[FailureCause]:
    """Return the causes of the table; ``?`` stands for the name of a column."""
    return [
        FailureCause(entry.words.format(name="?"), entry.advice, entry.concerns)
        for entry in _TABLE_OF_CAUSES
    ]


def advice_for(words: str) -> str:
    """Return the advice for a cause that ``cause_of`` said in ``words``; nothing for others."""
    for entry in _TABLE_OF_CAUSES:
        before, name, after = entry.words.partition("{name}")
        pattern = re.escape(before) + (r"(\w{1,64}|\?)" if name else "") + re.escape(after)
        if re.fullmatch(pattern, words):
            return entry.advice
    return next((each.advice for each in (UNKNOWN, STALLED) if each.words == words), "")


def _exceptions(trace: str) -> Iterator[tuple[str, str]]:
    """Give the class and the message's first line of each exception, the outermost first."""
    lines = trace.splitlines()
    for number, line in enumerate(lines):
        if number and not line.startswith("Caused by: "):
            continue
        if found := _LINE.match(line[:_LONGEST]):
            yield found.group(1), found.group(2) or ""


def _matched(entry: Entry, thrown: str, message: str) -> FailureCause | None:
    if entry.thrown and not re.fullmatch(entry.thrown, thrown):
        return None
    messages = (entry.message,) if isinstance(entry.message, str) else entry.message
    for alternative in messages:
        if found := re.match(alternative, message):
            names = {"name": found.groupdict().get("name") or "?"}
            return FailureCause(entry.words.format(**names), entry.advice, entry.concerns)
    return None
