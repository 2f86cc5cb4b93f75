"""The record of one run of the analyses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Reached:
    """The last event that was read of a partition: its offset, or its place in a binlog."""

    cluster: str
    partition: int
    place: int


@dataclass(slots=True)
class AnalyticsRun:
    """What a run read and wrote, and when. Times are aware, in UTC.

    It read ``events`` up to the source's position ``point`` (as JSON takes it): those after
    the position ``since`` if it continued from a checkpoint, or else all. ``note`` says why it read
    all although there was a checkpoint. ``predictions`` is how many there are. ``rows`` has the
    number of rows of each result, ``skipped`` the analyses that the source cannot answer. ``site``
    is the one whose predictions alone were read; None for those of all.
    """

    engine: str
    source: str
    began: datetime
    ended: datetime
    point: Mapping[str, Any]
    since: Mapping[str, Any] | None
    note: str | None
    reached: Sequence[Reached]
    events: int
    predictions: int
    rows: dict[str, int] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    site: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the run as JSON takes it; ``seconds`` is how long it took."""
        return asdict(self) | {
            "began": self.began.isoformat(),
            "ended": self.ended.isoformat(),
            "seconds": round((self.ended - self.began).total_seconds(), 3),
        }
