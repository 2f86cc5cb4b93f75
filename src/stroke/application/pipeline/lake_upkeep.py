"""What the upkeep of the Iceberg table of change events finds and does."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class Orphans:
    """The orphans that may be deleted, and those that ``kept`` holds for the sake of their events.

    Where the ``catalog_is_behind`` the newest state of the table in its folder, all are kept.
    """

    files: list[Orphan] = field(default_factory=list)
    kept: list[Orphan] = field(default_factory=list)
    catalog_is_behind: bool = False


@dataclass(frozen=True, slots=True)
class TableState:
    """A state of an Iceberg table, as one of its metadata files says.

    ``sequence`` counts commits of data, ``updated`` is in milliseconds since 1970, ``snapshots``
    holds the sequence number of each snapshot by its id, and ``head`` the id of the current one.
    """

    location: str
    table: str
    sequence: int
    updated: int
    head: int | None
    snapshots: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class LakeRewind:
    """The state that the catalog names, and the newest one if that is another.

    ``commits`` counts those of data that the catalog does not know. Where ``has_diverged``, the
    sink has written on from the older state, and each of the two has commits that the other lacks.
    """

    location: str
    newest: TableState | None = None
    commits: int = 0
    has_diverged: bool = False


def rewind_of(location: str, states: Mapping[str, TableState]) -> LakeRewind:
    """Return whether one of ``states`` continues the state whose metadata is at ``location``.

    ``states`` are by location. The catalog's own may be missing: writers delete old metadata.
    """
    named = states.get(location)
    others = [state for state in states.values() if named is None or state.table == named.table]
    if named is None and len({state.table for state in others}) > 1:
        return LakeRewind(location)  # whose the folder is nobody can tell
    newest = max(others, key=lambda state: (state.sequence, state.updated), default=None)
    if newest is None or newest is named:
        return LakeRewind(location)
    if named is None:
        return LakeRewind(location, newest, newest.sequence)
    if newest.sequence == named.sequence and newest.head != named.head:
        return LakeRewind(location)  # what a commit left that another one was quicker than
    if (newest.sequence, newest.updated) == (named.sequence, named.updated):
        return LakeRewind(location)
    return LakeRewind(
        location,
        newest,
        newest.sequence - named.sequence,
        has_diverged=_has_diverged(named, newest),
    )


def _has_diverged(named: TableState, newest: TableState) -> bool:
    """Return whether the newest state lacks the other's head, which is not for its age."""
    if named.head is None or named.head in newest.snapshots:
        return False
    oldest = min(newest.snapshots.values(), default=0)
    return named.snapshots.get(named.head, 0) >= oldest


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """Where on Kafka an event stood, and whose it is."""

    cluster: str
    partition: int
    offset: int
    prediction_id: int
    is_deletion: bool


def lost_files(
    orphans: Mapping[str, Collection[StoredEvent]], held: Iterable[StoredEvent]
) -> set[str]:
    """Return the orphans with events that the table lacks: they must not be deleted.

    ``held`` are the table's events. For a prediction that was erased from the lake, the table
    holds deletions alone: what came before them is not lost, it must go.
    """
    wanted = {event for events in orphans.values() for event in events}
    ids = {event.prediction_id for event in wanted}
    lacking = set(wanted)
    present: set[int] = set()
    deleted: dict[tuple[str, int, int], int] = {}
    for event in held:
        lacking.discard(event)
        if event.prediction_id not in ids:
            continue
        if event.is_deletion:
            place = event.cluster, event.partition, event.prediction_id
            deleted[place] = max(event.offset, deleted.get(place, -1))
        else:
            present.add(event.prediction_id)

    def is_lost(event: StoredEvent) -> bool:
        place = event.cluster, event.partition, event.prediction_id
        is_erased = event.prediction_id not in present and deleted.get(place, -1) > event.offset
        return event in lacking and not is_erased

    return {path for path, events in orphans.items() if any(map(is_lost, events))}
