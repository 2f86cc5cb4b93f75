"""What is known of data files from the table's metadata, without opening files with bounds.

The table says of which columns the sink writes bounds (see ``change_log``). For files from before
that, Parquet's own footer gives them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, Any, Final, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fastavro import reader as avro_reader
from pyiceberg.conversions import from_bytes
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile, FileFormat
from pyiceberg.table import Table
from pyiceberg.types import PrimitiveType

# Iceberg cuts the bounds of texts to so many characters.
_BOUND_CHARACTERS: Final = 16
# The values of footers, by path and column: files do not change, and are asked for at every commit.
_FOOTERS: Final[dict[tuple[str, str], list[Any]]] = {}


def data_files(table: Table) -> Iterator[DataFile]:
    """Give the data files of a table's current snapshot."""
    return (task.file for task in table.scan().plan_files())


def offsets_of(table: Table, cluster: str) -> dict[int, int]:
    """Return the highest Kafka offset stored of each partition of a cluster's topic."""
    highest: dict[int, int] = {}
    for file in data_files(table):
        for partition, offset in _offsets(table, file, cluster):
            highest[partition] = max(offset, highest.get(partition, -1))
    return highest


def id_bounds(table: Table, file: DataFile) -> tuple[int, int] | None:
    """Return the lowest and the highest id of a file's events, or None if it has none."""
    ids = [
        bound
        for column in ("after.id", "before.id")
        for bound in _bounds_or_values(table, file, column)
    ]
    return (min(ids), max(ids)) if ids else None


def avro_events(table: Table, file: DataFile) -> Iterator[dict[str, Any]]:
    """Give the events of an Avro data file, which pyiceberg itself cannot read."""
    with table.io.new_input(file.file_path).open() as stream:
        for event in avro_reader(cast("IO[bytes]", stream)):
            yield dict(event)  # type: ignore[arg-type]


def cluster_bound(table: Table, file: DataFile) -> str | None:
    """Return the beginning of the id of the cluster whose events a file holds, if it is known."""
    bounds = _bounds(table, file, "_kafka_metadata.cluster")
    return str(bounds[0])[:_BOUND_CHARACTERS] if bounds else None


def first_offset(table: Table, file: DataFile) -> int:
    """Return the lowest Kafka offset of a file's events; 0 if it is not known."""
    bounds = _bounds(table, file, "_kafka_metadata.offset")
    return int(bounds[0]) if bounds else 0


def is_avro(file: DataFile) -> bool:
    """Return whether a data file is Avro, and so has no column bounds."""
    return file.file_format == FileFormat.AVRO


def _offsets(table: Table, file: DataFile, cluster: str) -> Iterable[tuple[int, int]]:
    if is_avro(file):
        places = [event["_kafka_metadata"] for event in avro_events(table, file)]
        return [(p["partition"], p["offset"]) for p in places if p["cluster"] == cluster]
    partitions = _bounds(table, file, "_kafka_metadata.partition")
    offsets = _bounds(table, file, "_kafka_metadata.offset")
    if cluster_bound(table, file) != cluster[:_BOUND_CHARACTERS]:
        return []
    # Both bounds, or one where the table has only lower ones.
    return [(partitions[-1], offsets[-1])] if partitions and offsets else []


def _bounds_or_values(table: Table, file: DataFile, column: str) -> list[int]:
    if not is_avro(file):
        return _bounds(table, file, column)
    outer, inner = column.split(".")
    return [event[outer][inner] for event in avro_events(table, file) if event[outer] is not None]


def _bounds(table: Table, file: DataFile, column: str) -> list[Any]:
    field = table.schema().find_field(column)
    assert isinstance(field.field_type, PrimitiveType)  # noqa: S101 -- for mypy: leaves only
    found = []
    for bounds in (file.lower_bounds, file.upper_bounds):
        raw = (bounds or {}).get(field.field_id)
        if raw is not None:
            found.append(from_bytes(field.field_type, raw))
    if found or not file.record_count or file.file_format != FileFormat.PARQUET:
        return found
    if (file.null_value_counts or {}).get(field.field_id) == file.record_count:
        return []
    return _in_footer(table.io, file.file_path, column)


def _in_footer(io: FileIO, path: str, column: str) -> list[Any]:
    """Return the lowest and the highest value of a Parquet file's column; nothing if it has none.

    From the statistics of the row groups, or from the values where these are not there.
    """
    known = _FOOTERS.get((path, column))
    if known is None:
        with io.new_input(path).open() as stream:
            known = _FOOTERS[path, column] = _read_footer(pq.ParquetFile(stream), column)
    return known


def _read_footer(reading: pq.ParquetFile, column: str) -> list[Any]:
    found: list[Any] = []
    for number in range(reading.num_row_groups):
        group = reading.metadata.row_group(number)
        for part in map(group.column, range(group.num_columns)):
            if part.path_in_schema != column:
                continue
            statistics = part.statistics
            if statistics is not None and statistics.has_min_max:
                found += [statistics.min, statistics.max]
            elif statistics is None or statistics.null_count != group.num_rows:
                found += _values(reading.read_row_group(number, [column]), column)
    return [min(found), max(found)] if found else []


def _values(read: pa.Table, column: str) -> list[Any]:
    values = read.column(0)
    for name in column.split(".")[1:]:
        values = pc.struct_field(values, name)
    bounds = pc.min_max(values).as_py()
    return [bound for bound in bounds.values() if bound is not None]
