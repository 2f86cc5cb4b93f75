"""A Parquet file in batches whose decoded size is bounded before they are decoded.

A Parquet file of 3 KB can hold one value of a megabyte three thousand times: the sizes that its
metadata give are those of the encoded columns. So this looks at how long a value can be, and takes
so few rows at a time that a batch stays small.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stroke.domain.errors import InvalidData

MAX_DECODED_BYTES: Final = 256 * 1024 * 1024
"""What one row of a file may take decoded, and a column chunk that is packed tightly."""

BATCH_ROWS: Final = 64 * 1024
_BATCH_BYTES: Final = 16 * 1024 * 1024
# Pages of a column are read by and by; else the whole of a row group's column is.
_READ_BYTES: Final = 1024 * 1024
# Files that people write are packed to a hundredth at the most.
_TIGHTLY: Final = 1000
_WIDTHS: Final = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
_WIDEST_FIXED: Final = 16  # of decimals


class _Chunk(NamedTuple):
    """One column of one row group: how long a value can be, and what all of them take."""

    longest: float
    average: float
    total: float


@contextmanager
def readable_parquet(path: Path) -> Iterator[None]:
    """Raise ``InvalidData`` where what is done inside finds that the file cannot be read."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise InvalidData(f"{path} cannot be read as a Parquet file: is it one, whole?") from error


def opened_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file to be read page by page."""
    return pq.ParquetFile(path, buffer_size=_READ_BYTES)


def bounded_batches(
    path: Path, file: pq.ParquetFile, *, max_decoded_bytes: int, rows: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ``file``, which is at ``path``, up to ``rows`` at a time (BATCH_ROWS).

    A batch takes about 16 MB decoded. Raises ``InvalidData`` where one row could take more than
    ``max_decoded_bytes``, where a column is so tightly packed that it must be a trap, and where the
    file holds something else than its metadata say: other rows, or values that take more.
    """
    _check_counts(path, file)
    most = BATCH_ROWS if rows is None else rows
    groups = range(file.metadata.num_row_groups)
    sizes = [min(_rows_at_a_time(path, file, group, max_decoded_bytes), most) for group in groups]
    for size, same in groupby(groups, key=sizes.__getitem__):
        members = list(same)
        said = sum(file.metadata.row_group(group).num_rows for group in members)
        read = 0
        for batch in file.iter_batches(batch_size=size, row_groups=members):
            read += batch.num_rows
            if batch.nbytes > max_decoded_bytes:
                raise _too_large(path, batch.nbytes, max_decoded_bytes)
            yield batch
        if read != said:
            raise _lies(path, read, said)


def _check_counts(path: Path, file: pq.ParquetFile) -> None:
    """Raise ``InvalidData`` where the numbers of rows in the metadata contradict each other.

    pyarrow believes the number of a row group, and would leave out the rows beyond it.
    """
    groups = [file.metadata.row_group(group) for group in range(file.metadata.num_row_groups)]
    flat = [at for at in range(file.metadata.num_columns) if not _is_nested(file, at)]
    for group in groups:
        for column in flat:
            if (values := group.column(column).num_values) != group.num_rows:
                raise _lies(path, values, group.num_rows)
    rows = sum(group.num_rows for group in groups)
    if rows != file.metadata.num_rows:
        raise _lies(path, rows, file.metadata.num_rows)


def _rows_at_a_time(path: Path, file: pq.ParquetFile, group: int, limit: int) -> int:
    metadata = file.metadata.row_group(group)
    if not metadata.num_rows:
        return BATCH_ROWS
    per_row = 0.0
    for column in range(metadata.num_columns):
        chunk = _chunk(path, file, group, column)
        unpacked = chunk.total if _is_nested(file, column) else 0
        unpacked = max(unpacked, metadata.column(column).total_uncompressed_size)
        packed = max(metadata.column(column).total_compressed_size, 1)
        if unpacked > limit and unpacked / packed > _TIGHTLY:
            raise _too_large(path, unpacked, limit)
        per_row += chunk.average if _is_nested(file, column) else chunk.longest
    if per_row > limit:
        raise _too_large(path, per_row, limit)
    return max(int(_BATCH_BYTES / max(per_row, 1)), 1)


def _chunk(path: Path, file: pq.ParquetFile, group: int, column: int) -> _Chunk:
    metadata = file.metadata.row_group(group)
    chunk = metadata.column(column)
    average = chunk.num_values / metadata.num_rows
    if chunk.physical_type != "BYTE_ARRAY":
        width = _WIDTHS.get(chunk.physical_type, _WIDEST_FIXED)
        return _Chunk(width, width * average, width * chunk.num_values)
    if not chunk.has_dictionary_page:
        # Each value is there in full, so that the whole is no longer than the chunk.
        plain = chunk.total_uncompressed_size
        return _Chunk(plain / metadata.num_rows, plain / metadata.num_rows, plain)
    longest = _longest_in_dictionary(path, file, group, column)
    total = longest * chunk.num_values + chunk.total_uncompressed_size
    return _Chunk(longest, longest * average, total)


def _longest_in_dictionary(path: Path, file: pq.ParquetFile, group: int, column: int) -> int:
    """Return the length of the longest text that rows refer to; at the worst, of all together."""
    chunk = file.metadata.row_group(group).column(column)
    name = chunk.path_in_schema
    if not _is_nested(file, column):
        with pq.ParquetFile(path, buffer_size=_READ_BYTES, read_dictionary=[name]) as probe:
            batches = probe.iter_batches(batch_size=1, row_groups=[group], columns=[name])
            first = next(batches, None)
            if first is not None and pa.types.is_dictionary(first.schema.field(0).type):
                return pc.max(pc.binary_length(first.column(0).dictionary)).as_py() or 0
    return int(chunk.total_uncompressed_size)


def _is_nested(file: pq.ParquetFile, column: int) -> bool:
    schema = file.schema.column(column)
    return bool(schema.max_repetition_level) or "." in schema.path


def _lies(path: Path, found: int, said: int) -> InvalidData:
    return InvalidData(
        f"{path} has {found:,} rows where its metadata say {said:,}: it is damaged, write it anew"
    )


def _too_large(path: Path, size: float, limit: int) -> InvalidData:
    return InvalidData(
        f"{path} unpacks to {int(size):,} bytes at once, more than the {limit:,} that are allowed "
        "(STROKE_FILES_MAX_DECODED_BYTES)"
    )
