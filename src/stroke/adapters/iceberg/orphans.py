"""Orphans: files in the table's folder that no snapshot has. Killed writers leave them behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from pyarrow.fs import FileSelector, FileType
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table
from pyiceberg.table.snapshots import ancestors_of

from stroke.adapters.iceberg.catalog import Lake, unavailable
from stroke.adapters.iceberg.change_log import committing_cluster
from stroke.application.pipeline.lake_upkeep import Orphan
from stroke.domain.errors import ReplicaUnavailable


def find_orphans(lake: Lake, *, older_than: timedelta, now: Callable[[], datetime]) -> list[Orphan]:
    """Return the files that no snapshot has and that were written before the sink's last commit.

    Older by ``older_than``, that is, than now and than that commit: a file that the sink has
    written waits in Kafka for its commit, and while Connect is down that may be for long. Without
    a commit of the sink there are none. Raises ``ReplicaUnavailable``.
    """
    with unavailable(lake.identifier):
        # Listed first: what is committed while the metadata is read was not listed as old.
        present = list(_files(lake.load()))
        table = lake.load()
        committed = _last_commit(table)
        if committed is None:
            return []
        before = min(now(), committed) - older_than
        old = [file for file in present if file.modified < before]
        if not old:
            return []
        known = {_place(path) for path in _known(table)}
    return [file for file in old if file.path not in known]


def delete_orphans(
    lake: Lake,
    orphans: Sequence[Orphan],
    *,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Delete the files that ``find_orphans`` found. Raises ``ReplicaUnavailable``."""
    with unavailable(lake.identifier):
        files = _filesystem(lake.load())
        for done, orphan in enumerate(orphans, start=1):
            with suppress(FileNotFoundError):
                files.delete_file(orphan.path)
            on_progress(done, len(orphans))


def _last_commit(table: Table) -> datetime | None:
    for snapshot in ancestors_of(table.current_snapshot(), table.metadata):
        if committing_cluster(snapshot) is not None:
            return datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)
    return None


def _files(table: Table) -> Iterator[Orphan]:
    folder = FileSelector(_place(table.location()), recursive=True, allow_not_found=True)
    for found in _filesystem(table).get_file_info(folder):
        if found.type == FileType.File:
            yield Orphan(found.path, found.size, found.mtime)


def _known(table: Table) -> Iterator[str]:
    """Yield every file that any snapshot of the table consists of."""
    metadata = table.metadata
    yield table.metadata_location
    yield from (entry.metadata_file for entry in metadata.metadata_log)
    yield from (file.statistics_path for file in metadata.statistics)
    yield from (file.statistics_path for file in metadata.partition_statistics)
    yield from (snapshot.manifest_list for snapshot in metadata.snapshots)
    manifests = {file for snapshot in metadata.snapshots for file in snapshot.manifests(table.io)}
    for manifest in manifests:
        yield manifest.manifest_path
        for entry in manifest.fetch_manifest_entry(table.io):
            yield entry.data_file.file_path


def _place(location: str) -> str:
    """Return bucket and key: s3:// and s3a:// name the same object."""
    return PyArrowFileIO.parse_location(location)[2]


def _filesystem(table: Table) -> Any:
    if not isinstance(table.io, PyArrowFileIO):
        raise ReplicaUnavailable("the files of this table cannot be listed: it is not in S3")
    scheme, bucket, _ = PyArrowFileIO.parse_location(table.location())
    return table.io.fs_by_scheme(scheme, bucket)
