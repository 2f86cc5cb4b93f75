"""Reads the events of a range of ids from a Parquet data file, in little memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

PROJECTION: Final = ("before.id", "after", "op", "ts_us", "_kafka_metadata")
"""The columns with what an event says of its row, and where it stood on Kafka."""

_IDS: Final = ("after.id", "before.id")
# pyiceberg's own scan holds all rows of a file at once. An event takes some kilobytes in Python,
# and up to 30 MB where the row is big: so many are read at a time as have few bytes together.
_AT_ONCE: Final = 500
_BYTES_AT_ONCE: Final = 4_000_000


def parquet_events(
    table: Table, file: DataFile, first: int, last: int
) -> Iterator[Mapping[str, Any]]:
    """Yield the events about the ids of a range. Columns that the file lacks are left out.

    Columns go by name: the sink adds some, and renames none. Delete files do not count.
    """
    with table.io.new_input(file.file_path).open() as stream:
        reading = pq.ParquetFile(stream)
        groups = [
            number
            for number in range(reading.metadata.num_row_groups)
            if _may_tell(reading.metadata.row_group(number), first, last)
        ]
        for number in groups:
            for batch in reading.iter_batches(
                _at_once(reading.metadata.row_group(number)),
                row_groups=[number],
                columns=list(PROJECTION),
                use_threads=False,
            ):
                yield from batch.filter(_about(batch, first, last)).to_pylist()


def _at_once(group: pq.RowGroupMetaData) -> int:
    """Return how many rows of a group have ``_BYTES_AT_ONCE`` together, on average; 1 at least."""
    fit: int = _BYTES_AT_ONCE * group.num_rows // max(group.total_byte_size, 1)
    return min(max(fit, 1), _AT_ONCE)


def _may_tell(group: pq.RowGroupMetaData, first: int, last: int) -> bool:
    """Return whether the bounds of a row group leave room for an id of the range."""
    for number in range(group.num_columns):
        column = group.column(number)
        if column.path_in_schema in _IDS:
            bounds = column.statistics
            if bounds is None or (not bounds.has_min_max and bounds.null_count < group.num_rows):
                return True  # nothing is known
            if bounds.has_min_max and bounds.min <= last and first <= bounds.max:
                return True
    return False


def _about(batch: pa.RecordBatch, first: int, last: int) -> pa.Array:
    """Return which events are about an id of the range."""
    found = [pc.struct_field(batch.column(name), "id") for name in ("after", "before")]
    after, before = (
        pc.and_(pc.greater_equal(ids, first), pc.less_equal(ids, last)).fill_null(fill_value=False)
        for ids in found
    )
    return pc.or_(after, before)
