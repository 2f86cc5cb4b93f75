"""The audit trail: who did what, in a chain that shows what was changed, removed or put in.

An entry names its target by id, or a query by the names of its fields; it never holds a value of a
patient. Each entry's digest covers its content and the digest before it, so that none can be
changed, removed or put between others without the digests that follow saying so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import InitVar, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

GENESIS: Final = "0" * 64
"""What the first entry has for the digest before it."""

LONGEST: Final = {"actor": 100, "site": 100, "target": 255, "request_id": 128}
"""How many characters of each text an entry holds; longer ones end with an ellipsis."""


class AuditAction(StrEnum):
    """What somebody did. The creation of a prediction is written on its own row, not here."""

    PREDICTION_READ = "prediction.read"
    PREDICTION_LIST = "prediction.list"
    PREDICTION_ERASE = "prediction.erase"
    ERASURE_ASK = "erasure.ask"
    ERASURE_READ = "erasure.read"
    OUTCOME_READ = "outcome.read"
    OUTCOME_WRITE = "outcome.write"
    OUTCOME_ERASE = "outcome.erase"
    DATA_IMPORT = "data.import"
    DATA_EXPORT = "data.export"
    KEY_CREATE = "key.create"
    KEY_REVOKE = "key.revoke"
    KEY_ROTATE = "key.rotate"
    MODEL_CHANGE = "model.change"
    SCHEMA_CHANGE = "schema.change"
    COPY_CHANGE = "copy.change"
    LAKE_CHANGE = "lake.change"
    AUDIT_READ = "audit.read"
    SESSION_BEGIN = "session.begin"
    SESSION_END = "session.end"
    ACCESS_REFUSED = "access.refused"


class AuditOutcome(StrEnum):
    """How it ended. ``asked`` is written before a change, and followed by how that ended."""

    ASKED = "asked"
    DONE = "done"
    NOT_FOUND = "not-found"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One thing that somebody did. ``at`` is aware; texts are cut to ``LONGEST``.

    Of one that was ``kept``, texts stay as a log has them: cutting would hide what was added.
    ``action`` and ``outcome`` are texts, for a log may hold those of a newer version, or forged
    ones: to read it is how they are found.
    """

    at: datetime
    actor: str
    action: str
    outcome: str
    target: str | None = None
    site: str | None = None
    request_id: str | None = None
    times: int = 1
    """How often, where one entry stands for many refused attempts."""
    kept: InitVar[bool] = False

    def __post_init__(self, kept: bool) -> None:
        if self.at.tzinfo is None:
            raise ValueError("the time of an audit event has a time zone")
        # Microseconds in UTC are what databases keep: the digest must be the same afterwards.
        object.__setattr__(self, "at", self.at.astimezone(UTC))
        for name, longest in () if kept else LONGEST.items():
            text = getattr(self, name)
            if text is not None:
                object.__setattr__(self, name, _one_line(text, longest))


@dataclass(frozen=True, slots=True)
class AuditHead:
    """Where the chain ends: the number and the digest of its last entry."""

    number: int = 0
    digest: str = GENESIS


LOST: Final = AuditHead(-1, "")
"""What a log that has lost its own end says of it: even an empty one has an end."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An event in its place in the chain. Numbers begin with 1 and leave none out."""

    number: int
    event: AuditEvent
    previous: str
    digest: str

    def columns(self) -> dict[str, Any]:
        """Return the entry as one flat record, by the names that the audit table uses, too.

        ``at`` is an aware time in UTC; the number and ``times`` are integers, the rest is text.
        """
        event = self.event
        return {
            "number": self.number,
            "at": event.at,
            "actor": event.actor,
            "site": event.site,
            "action": str(event.action),
            "target": event.target,
            "request_id": event.request_id,
            "outcome": str(event.outcome),
            "times": event.times,
            "previous": self.previous,
            "digest": self.digest,
        }


@dataclass(frozen=True, slots=True)
class BrokenLink:
    """A place where the chain does not hold. ``number`` is of the entry that shows it."""

    number: int
    reason: str


def chained(events: Iterable[AuditEvent], head: AuditHead) -> Iterator[AuditEntry]:
    """Give each event its place after ``head``."""
    number, previous = head.number, head.digest
    for event in events:
        number += 1
        digest = _digest(number, event, previous)
        yield AuditEntry(number, event, previous, digest)
        previous = digest


def broken_links(entries: Iterable[AuditEntry], after: AuditHead) -> Iterator[BrokenLink]:
    """Give each place at which ``entries``, by rising number from ``after`` on, do not hold.

    After a broken link the chain is read on from what is there, so that each fault is found once.
    """
    number, previous = after.number, after.digest
    for entry in entries:
        if entry.number < 1:
            yield BrokenLink(entry.number, "numbers begin with 1")
            continue
        if entry.number <= number:
            yield BrokenLink(entry.number, "it is there twice")
            continue
        if entry.number > number + 1:
            missing = entry.number - number - 1
            yield BrokenLink(entry.number, f"{missing} before it {_are(missing)} missing")
        elif entry.previous != previous:
            yield BrokenLink(entry.number, "it does not follow from the one before it")
        if entry.digest != _digest(entry.number, entry.event, entry.previous):
            yield BrokenLink(entry.number, "its content is not what was written")
        number, previous = entry.number, entry.digest


def _digest(number: int, event: AuditEvent, previous: str) -> str:
    content = [
        number,
        event.at.isoformat(timespec="microseconds"),
        event.actor,
        event.site,
        str(event.action),
        event.target,
        event.request_id,
        str(event.outcome),
        event.times,
        previous,
    ]
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode("ascii")).hexdigest()


def _one_line(text: str, longest: int) -> str:
    # Control characters would forge lines of an export; a lone surrogate no database stores.
    kept = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return kept if len(kept) <= longest else kept[: longest - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
