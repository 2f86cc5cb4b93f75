"""A row of the table of causes, and the words that several rows share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Concerns(StrEnum):
    """What is at fault: this decides whether a record may be parked for it."""

    RECORD = "record"
    PLACE = "place"
    """What the connector reads from or writes to: other records would fail as well."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FailureCause:
    """A cause: ``words`` say what is wrong, ``advice`` what to do. Neither quotes a value."""

    words: str
    advice: str
    concerns: Concerns


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the table. ``thrown`` is a pattern of the exception's class, any class if empty.

    ``message`` is what the message begins with: one pattern of several.
    """

    concerns: Concerns
    words: str
    advice: str
    message: str | tuple[str, ...]
    thrown: str = ""


# A name as a database writes it in its own sentence. More than 64 characters are no name.
COLUMN: Final = r"[\"'](?P<name>\w{1,64})[\"']"
PARK: Final = "correct the row in MySQL, or park the record with `stroke pipeline dlq park`"
GOES_ON: Final = "the watcher restarts the connector, or `stroke connectors restart` at once"
LET_WRITE: Final = f"let it take writes again; {GOES_ON}"
START: Final = f"start it, and check its address; {GOES_ON}"
POSTGRES: Final = "ERROR: "
RECORD: Final = Concerns.RECORD
PLACE: Final = Concerns.PLACE
