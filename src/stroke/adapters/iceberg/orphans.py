"""Orphans: files in the table's folder that no snapshot has. Killed writers leave them behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from fastavro import reader as avro_reader
from pyarrow.fs import FileSelector, FileType
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table
from pyiceberg.table.snapshots import ancestors_of

from stroke.adapters.iceberg.catalog import Lake, unavailable
from stroke.adapters.iceberg.change_log import committing_cluster
from stroke.adapters.iceberg.roll_forward import is_behind
from stroke.adapters.iceberg.statistics import cluster_bound, data_files
from stroke.application.pipeline.lake_upkeep import Orphan, Orphans, StoredEvent, lost_files
from stroke.domain.errors import ReplicaUnavailable

_DELETED: Final = "d"
_NEEDED: Final = (
    "after.id",
    "before.id",
    "op",
    *(f"_kafka_metadata.{name}" for name in ("cluster", "partition", "offset")),
)


def find_orphans(lake: Lake, *, older_than: timedelta, now: Callable[[], datetime]) -> list[Orphan]:
    """Return the orphans that may be deleted: see ``examine_orphans``."""
    return examine_orphans(lake, older_than=older_than, now=now).files


def examine_orphans(lake: Lake, *, older_than: timedelta, now: Callable[[], datetime]) -> Orphans:
    """Return the files that no snapshot has and that were written before the sink's last commit.

    Older by ``older_than``, that is, than now and than that commit: a file that the sink has
    written waits in Kafka for its commit, and while Connect is down that may be for long. Without
    a commit of the sink there are none.

    Kept are files with events that the table lacks, and then the metadata, too: a catalog that was
    restored does not know what was committed since its backup. Where the folder holds a newer
    state than the catalog names, all are kept. Raises ``ReplicaUnavailable``.
    """
    with unavailable(lake.identifier):
        # Listed first: what is committed while the metadata is read was not listed as old.
        present = list(_files(lake.load()))
        table = lake.load()
        committed = _last_commit(table)
        if committed is None:
            return Orphans()
        before = min(now(), committed) - older_than
        old = [file for file in present if file.modified < before]
        known = {_place(path) for path in _known(table)} if old else set()
        found = [file for file in old if file.path not in known]
        if is_behind(lake):
            return Orphans(kept=found, catalog_is_behind=True)
        return _sorted_out(table, found)


def _sorted_out(table: Table, found: Sequence[Orphan]) -> Orphans:
    events = {file.path: _stored(table, file.path) for file in found if _holds_rows(file.path)}
    lost = lost_files(events, _held(table, events))
    folder = f"{_place(table.location())}/metadata/"
    kept = [one for one in found if one.path in lost or (lost and one.path.startswith(folder))]
    return Orphans([one for one in found if one not in kept], kept)


def _holds_rows(path: str) -> bool:
    return "/metadata/" not in path and path.endswith((".parquet", ".avro"))


def _stored(table: Table, path: str) -> set[StoredEvent]:
    """Return the events of a data file; none of a file that a writer did not finish."""
    scheme = PyArrowFileIO.parse_location(table.location())[0]
    with table.io.new_input(f"{scheme}://{path}").open() as stream:
        try:
            rows = _avro_rows(stream) if path.endswith(".avro") else _parquet_rows(stream)
            return {
                StoredEvent(
                    cluster=row["_kafka_metadata"]["cluster"],
                    partition=row["_kafka_metadata"]["partition"],
                    offset=row["_kafka_metadata"]["offset"],
                    prediction_id=(row["after"] or row["before"])["id"],
                    is_deletion=row["op"] == _DELETED,
                )
                for row in rows
            }
        except (pa.ArrowInvalid, ValueError, LookupError, TypeError, EOFError):
            return set()


def _parquet_rows(stream: Any) -> Iterator[dict[str, Any]]:
    for batch in pq.ParquetFile(stream).iter_batches(columns=list(_NEEDED)):
        yield from batch.to_pylist()


def _avro_rows(stream: Any) -> Iterator[dict[str, Any]]:
    return (row for row in avro_reader(stream) if isinstance(row, dict))


def _held(table: Table, orphans: Mapping[str, set[StoredEvent]]) -> Iterator[StoredEvent]:
    """Yield the events of those files of the table that may hold the orphans' ones."""
    clusters = {event.cluster for events in orphans.values() for event in events}
    if not clusters:
        return
    for file in data_files(table):
        bound = cluster_bound(table, file)
        if bound is None or any(cluster.startswith(bound) for cluster in clusters):
            yield from _stored(table, _place(file.file_path))


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
