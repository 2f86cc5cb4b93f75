"""What the upkeep of the Iceberg table of change events finds and does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from stroke.application.pipeline.consistency import Lineage


@dataclass(frozen=True, slots=True)
class LakeState:
    """Counts of the current snapshot, and how many snapshots there are since when."""

    location: str
    file_format: str
    data_files: int
    delete_files: int
    rows: int
    size: int
    snapshots: int
    oldest_snapshot: datetime | None
    newest_snapshot: datetime | None
    lineage: Lineage


@dataclass(frozen=True, slots=True)
class Compaction:
    """What was rewritten, or would be: ``days`` snapshots. ``bytes_after`` is 0 when planned."""

    days: int
    files_before: int
    files_after: int
    rows: int
    bytes_before: int
    bytes_after: int


@dataclass(frozen=True, slots=True)
class Expiry:
    """How many snapshots went, or would go, and how many files with them (0 when planned)."""

    snapshots: int
    kept: int
    files: int


@dataclass(frozen=True, slots=True)
class LakeErasure:
    """How many events of erased rows went, or would go, of how many files; and how many snapshots.

    ``snapshots`` is 0 when planned.
    """

    events: int
    files: int
    snapshots: int


@dataclass(frozen=True, slots=True)
class Orphan:
    """A file that nothing in the table refers to. ``path`` begins with the bucket."""

    path: str
    size: int
    modified: datetime
