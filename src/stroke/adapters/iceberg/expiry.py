"""Expiry: removes old snapshots, and the files that only they have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.io import FileIO
from pyiceberg.manifest import ManifestFile
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot, ancestors_of
from pyiceberg.table.update import (
    AssertRefSnapshotId,
    AssertTableUUID,
    RemoveSnapshotsUpdate,
)

from stroke.adapters.iceberg.catalog import Lake, unavailable
from stroke.adapters.iceberg.change_log import committing_cluster, sink_cluster
from stroke.application.pipeline.lake_upkeep import Expiry
from stroke.domain.errors import ReplicaUnavailable

_ATTEMPTS: Final = 20
_MAIN: Final = "main"


def expire(
    lake: Lake,
    *,
    older_than: timedelta,
    keep: int,
    now: Callable[[], datetime],
    dry_run: bool = False,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Expiry:
    """Remove the snapshots that are older, but the newest ``keep``, branches and tags.

    The newest snapshot that the sink committed stays, with all that followed it: from its summary
    the sink knows which files are in the table already. Raises ``ReplicaUnavailable``.
    """
    for _ in range(_ATTEMPTS):
        table = lake.load()
        gone = _expired(table, before=now() - older_than, keep=keep)
        if dry_run or not gone:
            return Expiry(len(gone), len(table.snapshots()) - len(gone), 0)
        try:
            with unavailable(lake.identifier):
                _remove(table, gone)
                kept = lake.load()
                files = _delete(kept, _only_in(kept.io, gone, kept.snapshots()), on_progress)
        except CommitFailedException:
            continue
        return Expiry(len(gone), len(kept.snapshots()), files)
    raise ReplicaUnavailable(
        f"others changed {lake.identifier} at every attempt: try again when they write less often"
    )


def _expired(table: Table, *, before: datetime, keep: int) -> list[Snapshot]:
    moment = int(before.timestamp() * 1000)
    protected = {reference.snapshot_id for reference in table.refs().values()}
    history = list(ancestors_of(table.current_snapshot(), table.metadata))
    protected |= {snapshot.snapshot_id for snapshot in history[:keep]}
    if sink_cluster(table) is not None:
        # The sink looks for its last commit from parent to parent: a gap would hide it.
        since = list(takewhile(lambda snapshot: committing_cluster(snapshot) is None, history))
        protected |= {snapshot.snapshot_id for snapshot in history[: len(since) + 1]}
    return [
        snapshot
        for snapshot in table.snapshots()
        if snapshot.timestamp_ms < moment and snapshot.snapshot_id not in protected
    ]


def _remove(table: Table, gone: Sequence[Snapshot]) -> None:
    # What is protected was computed from this head.
    same_head = {"ref": _MAIN, "snapshot-id": table.metadata.current_snapshot_id}
    removed = {"snapshot-ids": [snapshot.snapshot_id for snapshot in gone]}
    table.catalog.commit_table(
        table,
        requirements=(
            AssertTableUUID(uuid=table.metadata.table_uuid),
            AssertRefSnapshotId.model_validate(same_head),
        ),
        updates=(RemoveSnapshotsUpdate.model_validate(removed),),
    )


def _only_in(io: FileIO, gone: Sequence[Snapshot], kept: Sequence[Snapshot]) -> set[str]:
    """Return the files that no retained snapshot needs."""
    needed = _manifests(io, kept)
    dropped = _manifests(io, gone) - needed
    content = set(_content(io, dropped, live=False))
    if content:
        content.difference_update(_content(io, needed, live=True))
    lists = {each.manifest_list for each in gone} - {each.manifest_list for each in kept}
    return content | {manifest.manifest_path for manifest in dropped} | lists


def _manifests(io: FileIO, snapshots: Iterable[Snapshot]) -> set[ManifestFile]:
    return {manifest for snapshot in snapshots for manifest in snapshot.manifests(io)}


def _content(io: FileIO, manifests: Iterable[ManifestFile], *, live: bool) -> Iterator[str]:
    for manifest in manifests:
        for entry in manifest.fetch_manifest_entry(io, discard_deleted=live):
            yield entry.data_file.file_path


def _delete(table: Table, paths: set[str], on_progress: Callable[[int, int], None]) -> int:
    deleted = 0
    for done, path in enumerate(sorted(paths), start=1):
        try:
            table.io.delete(path)
            deleted += 1
        except FileNotFoundError:
            pass
        on_progress(done, len(paths))
    return deleted
