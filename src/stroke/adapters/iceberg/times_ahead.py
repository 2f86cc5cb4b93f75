"""Times of a table's states that a clock wrote which was ahead.

Iceberg's writers in Java refuse a commit whose time is more than a minute before the last one's. So
the sink fails after a clock was set back, until the time is reached that stands in the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pyiceberg.serializers import ToOutputFile
from pyiceberg.table.metadata import TableMetadata, TableMetadataV1
from pyiceberg.table.snapshots import MetadataLogEntry

from stroke.adapters.iceberg.catalog import Lake, unavailable
from stroke.adapters.iceberg.catalog_pointer import CatalogPointer

_MILLISECOND = timedelta(milliseconds=1)


def ahead_of(lake: Lake, *, now: Callable[[], datetime]) -> timedelta:
    """Return how far the newest time in the table is ahead of ``now``; zero where none is.

    Raises ``ReplicaUnavailable``.
    """
    newest = _newest(lake.load().metadata) * _MILLISECOND
    return max(newest - _since_1970(now()), timedelta(0))


def set_back(lake: Lake, *, now: Callable[[], datetime]) -> None:
    """Give the table a state that differs in times only: those after ``now`` become ``now``.

    Raises ``ReplicaUnavailable``, where another writer has changed the table meanwhile, too, and
    ``InvalidSetting`` for a catalog that is no database.
    """
    found = CatalogPointer.of(lake, "set back")
    with unavailable(lake.identifier):
        table = lake.load()
        pointer = replace(found, location=table.metadata_location)
        latest = _since_1970(now()) // _MILLISECOND
        version = _version(pointer.location) + 1
        location = table.location_provider().new_table_metadata_file_location(version)
        earlier = _before(latest, table.metadata, pointer.location)
        ToOutputFile.table_metadata(earlier, table.io.new_output(location))
    pointer.move_to(location)


def _newest(metadata: TableMetadata) -> int:
    committed = (entry.timestamp_ms for entry in metadata.snapshot_log)
    replaced = (entry.timestamp_ms for entry in metadata.metadata_log)
    return max([metadata.last_updated_ms, *committed, *replaced])


def _before(latest: int, metadata: TableMetadata, location: str) -> TableMetadata:
    def earlier(entries: list[Any]) -> list[Any]:
        return [
            entry.model_copy(update={"timestamp_ms": min(entry.timestamp_ms, latest)})
            for entry in entries
        ]

    replaced = MetadataLogEntry.model_validate(
        {"metadata-file": location, "timestamp-ms": metadata.last_updated_ms}
    )
    changed: dict[str, Any] = {
        "last_updated_ms": min(metadata.last_updated_ms, latest),
        "snapshots": earlier(metadata.snapshots),
        "snapshot_log": earlier(metadata.snapshot_log),
        "metadata_log": earlier([*metadata.metadata_log, replaced]),
    }
    if not isinstance(metadata, TableMetadataV1):
        # As after a commit: by it, states in the table's folder are compared (roll_forward.py).
        changed["last_sequence_number"] = metadata.last_sequence_number + 1
    return metadata.model_copy(update=changed)


def _version(location: str) -> int:
    """Return the number with which the name of a metadata file begins; 0 where none does."""
    found = re.match(r"\d+", location.rpartition("/")[2])
    return int(found.group()) if found else 0


def _since_1970(moment: datetime) -> timedelta:
    return timedelta(seconds=moment.timestamp())
