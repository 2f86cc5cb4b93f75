"""Takes the catalog to the newest state of the table that its folder holds.

A catalog that was restored from a backup names an older state: what the sink wrote since would be
no part of the table any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyarrow.fs import FileSelector, FileType
from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
from pyiceberg.exceptions import NoSuchTableError, ValidationError
from pyiceberg.io import FileIO, load_file_io
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.serializers import FromInputFile
from pyiceberg.table.metadata import TableMetadata
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from stroke.adapters.iceberg.catalog import Lake, unavailable
from stroke.application.pipeline.lake_upkeep import LakeRewind, TableState, rewind_of
from stroke.domain.errors import InvalidSetting, ReplicaUnavailable

_ENDING = ".metadata.json"
# Iceberg keeps some 50 metadata files; a folder has more only where writers were killed.
_READ_AT_MOST = 200


def find_rewind(lake: Lake) -> LakeRewind:
    """Return how the catalog's state compares with the newest one in the table's folder.

    Raises ``ReplicaUnavailable``, and ``InvalidSetting`` where the catalog is none in a database:
    only such a one is in a backup of MySQL.
    """
    pointer = _Pointer.of(lake)
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
    pointer = _Pointer.of(lake)
    with unavailable(lake.identifier), Session(pointer.catalog.engine) as session:
        changed = session.execute(
            update(IcebergTables)
            .where(*pointer.conditions(), IcebergTables.metadata_location == rewind.location)
            .values(
                metadata_location=rewind.newest.location,
                previous_metadata_location=rewind.location,
            )
        )
        session.commit()
        if not getattr(changed, "rowcount", 0):
            raise ReplicaUnavailable(
                f"the catalog of {lake.identifier} was changed meanwhile: stop the connectors"
            )


@dataclass(frozen=True, slots=True)
class _Pointer:
    """The row of the catalog's database that says which state is the table's."""

    catalog: SqlCatalog
    namespace: str
    name: str
    location: str

    @classmethod
    def of(cls, lake: Lake) -> _Pointer:
        catalog = lake.catalog
        if not isinstance(catalog, SqlCatalog):
            raise InvalidSetting(
                "only a jdbc catalog can be rolled forward: no backup of MySQL holds another"
            )
        namespace, _, name = lake.identifier.rpartition(".")
        found = cls(catalog, namespace, name, "")
        with unavailable(lake.identifier), Session(catalog.engine) as session:
            location = session.scalar(
                select(IcebergTables.metadata_location).where(*found.conditions())
            )
            if location is None:
                raise NoSuchTableError(lake.identifier)
        return cls(catalog, namespace, name, location)

    def conditions(self) -> tuple[ColumnElement[bool], ...]:
        return (
            IcebergTables.catalog_name == self.catalog.name,
            IcebergTables.table_namespace == self.namespace,
            IcebergTables.table_name == self.name,
        )


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
