"""Takes the catalog to the newest state of the table that its folder holds.

A catalog that was restored from a backup names an older state: what the sink wrote since would be
no part of the table any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pyarrow.fs import FileSelector, FileType
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import ValidationError
from pyiceberg.io import FileIO, load_file_io
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.serializers import FromInputFile
from pyiceberg.table.metadata import TableMetadata

from stroke.adapters.iceberg.catalog import Lake, unavailable
from stroke.adapters.iceberg.catalog_pointer import CatalogPointer
from stroke.application.pipeline.lake_upkeep import LakeRewind, TableState, rewind_of
from stroke.domain.errors import ReplicaUnavailable

_ENDING = ".metadata.json"
# Iceberg keeps some 50 metadata files; a folder has more only where writers were killed.
_READ_AT_MOST = 200


def find_rewind(lake: Lake) -> LakeRewind:
    """Return how the catalog's state compares with the newest one in the table's folder.

    Raises ``ReplicaUnavailable``, and ``InvalidSetting`` where the catalog is none in a database:
    only such a one is in a backup of MySQL.
    """
    pointer = CatalogPointer.of(lake, "rolled forward")
    with unavailable(lake.identifier):
        io = load_file_io(pointer.catalog.properties, pointer.location)
        states = {state.location: state for state in _states(io, pointer.location)}
        return rewind_of(pointer.location, states)


def is_behind(lake: Lake) -> bool:
    """Return whether the table's folder holds a newer state than the catalog names."""
    if not isinstance(lake.catalog, SqlCatalog):
        return False  # no backup of ours holds it
    found = find_rewind(lake)
    # A writer may commit between the two looks of a search: then the catalog has moved, too.
    return found.newest is not None and find_rewind(lake).location == found.location


def roll_forward(lake: Lake, rewind: LakeRewind) -> None:
    """Let the catalog name the newest state; nothing else may have changed it meanwhile.

    Raises ``ReplicaUnavailable`` and ``InvalidSetting``.
    """
    if rewind.newest is None:
        return
    pointer = replace(CatalogPointer.of(lake, "rolled forward"), location=rewind.location)
    pointer.move_to(rewind.newest.location)


def _states(io: FileIO, location: str) -> Iterator[TableState]:
    """Yield the states whose metadata is in the folder of ``location``; torn files are none."""
    if not isinstance(io, PyArrowFileIO):
        raise ReplicaUnavailable("the files of this table cannot be listed: it is not in S3")
    scheme, bucket, path = PyArrowFileIO.parse_location(location)
    files = io.fs_by_scheme(scheme, bucket)
    prefix = location.removesuffix(path)
    listed = files.get_file_info(FileSelector(path.rpartition("/")[0], allow_not_found=True))
    found = [one for one in listed if one.type == FileType.File and one.path.endswith(_ENDING)]
    found.sort(key=lambda one: one.mtime, reverse=True)
    for one in found[:_READ_AT_MOST]:
        try:
            metadata = FromInputFile.table_metadata(io.new_input(prefix + one.path))
        except (ValidationError, ValueError):
            continue
        yield _state(prefix + one.path, metadata)


def _state(location: str, metadata: TableMetadata) -> TableState:
    return TableState(
        location=location,
        table=str(metadata.table_uuid),
        sequence=getattr(metadata, "last_sequence_number", 0),  # format 1 has none
        updated=metadata.last_updated_ms,
        head=metadata.current_snapshot_id,
        snapshots={
            snapshot.snapshot_id: snapshot.sequence_number or 0 for snapshot in metadata.snapshots
        },
    )
