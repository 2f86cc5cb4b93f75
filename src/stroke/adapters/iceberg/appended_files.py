"""The data files that were appended to the change log since a snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from pyiceberg.manifest import DataFile, ManifestEntryStatus
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation, Snapshot

from stroke.application.analyses.ports import CannotContinue


def added_files(table: Table, since: int | None, until: Snapshot) -> Iterator[DataFile]:
    """Give the files that snapshots after ``since`` up to ``until`` appended.

    Snapshots of compaction have the same rows as their parents, and are passed over: the files that
    they took out of the table are there as long as the snapshots that brought them. Raises
    ``CannotContinue`` when a snapshot between has expired, ``since`` is no ancestor of
    ``until``, or rows were changed.
    """
    history = _history(table, since, until)
    # The last of some appends in a row lists what all of them added, in one read.
    for appends, group in groupby(history, key=_is_append):
        if appends:
            snapshots = list(group)
            yield from _added(table, snapshots[-1], {each.snapshot_id for each in snapshots})


def check_appends(table: Table, since: int | None, until: Snapshot) -> None:
    """Raise ``CannotContinue`` when ``added_files`` would."""
    for snapshot in _history(table, since, until):
        _is_append(snapshot)


def _history(table: Table, since: int | None, until: Snapshot) -> list[Snapshot]:
    """Return the snapshots after ``since``, oldest first."""
    found: list[Snapshot] = []
    at: int | None = until.snapshot_id
    while at != since:
        snapshot = None if at is None else table.snapshot_by_id(at)
        if snapshot is None:
            raise CannotContinue(
                "what followed the snapshot that was read last has expired, or was rolled back"
            )
        found.append(snapshot)
        at = snapshot.parent_snapshot_id
    return found[::-1]


def _is_append(snapshot: Snapshot) -> bool:
    operation = None if snapshot.summary is None else snapshot.summary.operation
    if operation not in {Operation.APPEND, Operation.REPLACE}:
        raise CannotContinue(f"a snapshot since ({operation}) changed or removed rows")
    return operation == Operation.APPEND


def _added(table: Table, last: Snapshot, by: set[int]) -> Iterator[DataFile]:
    for manifest in last.manifests(table.io):
        if manifest.added_snapshot_id in by:
            for entry in manifest.fetch_manifest_entry(table.io):
                if entry.snapshot_id in by and entry.status != ManifestEntryStatus.DELETED:
                    yield entry.data_file
