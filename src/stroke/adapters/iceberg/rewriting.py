"""Writes the rows of some data files as one Parquet file, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final
from uuid import uuid4

import pyarrow as pa
from pyarrow.parquet import FileMetaData, ParquetWriter
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import (
    ArrowScan,
    MetricModeTypes,
    MetricsMode,
    StatisticsCollector,
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
    schema_to_pyarrow,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.schema import Schema
from pyiceberg.table import FileScanTask, Table
from pyiceberg.typedef import Record

from stroke.adapters.iceberg.bounds import BOUNDED
from stroke.domain.errors import ReplicaUnavailable

# A row group's size in memory. Readers that look for some ids pass over the other groups.
_ROW_GROUP_BYTES: Final = 16 * 2**20


def rewrite(table: Table, tasks: Sequence[FileScanTask]) -> DataFile:
    """Write the rows of a partition's files, one after the other, as one file of today's schema.

    The file is not committed. Rows that delete files delete are left out. Holds one of the files
    in memory at a time. Raises ``ReplicaUnavailable`` when the files do not have the rows that the
    table counts.
    """
    made = write_file(table, tasks[0].file.partition, _batches(table, tasks))
    expected = sum(task.file.record_count for task in tasks)
    if made.record_count != expected and not any(task.delete_files for task in tasks):
        discard(table, made)
        raise ReplicaUnavailable(
            f"files of {'.'.join(table.name())} do not have the rows that the table counts: "
            "nothing was changed"
        )
    return made


def write_file(table: Table, partition: Record, batches: Iterable[pa.RecordBatch]) -> DataFile:
    """Write rows as one Parquet file of a partition, with bounds of ``BOUNDED``; commit nothing."""
    spec, schema = table.spec(), table.schema()
    folder = "" if spec.is_unpartitioned() else f"{spec.partition_to_path(partition, schema)}/"
    path = table.location_provider().new_data_location(f"{folder}{uuid4()}.parquet")
    output = table.io.new_output(path)
    shape = schema_to_pyarrow(schema)
    footers: list[FileMetaData] = []
    try:
        with (
            output.create() as stream,
            ParquetWriter(stream, shape, compression="zstd", metadata_collector=footers) as writer,
        ):
            for group in _row_groups(batches, shape):
                writer.write_table(group)
    except BaseException:
        with suppress(Exception):  # what stays is an orphan
            table.io.delete(path)
        raise
    statistics = data_file_statistics_from_parquet_metadata(
        footers[0], _bounds_wanted(schema), parquet_path_to_id_mapping(schema)
    )
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=partition,
        file_size_in_bytes=len(output),
        sort_order_id=None,
        spec_id=spec.spec_id,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )


def discard(table: Table, *files: DataFile) -> None:
    """Delete files that were not committed; what cannot be deleted stays as an orphan."""
    for file in files:
        with suppress(Exception):
            table.io.delete(file.file_path)


def _bounds_wanted(schema: Schema) -> dict[int, StatisticsCollector]:
    """Compute bounds of ``BOUNDED`` alone: pyiceberg computes none for fields of structs."""
    bounded, counted = (
        MetricsMode(mode) for mode in (MetricModeTypes.FULL, MetricModeTypes.COUNTS)
    )
    return {
        number: replace(
            wanted, mode=bounded if schema.find_column_name(number) in BOUNDED else counted
        )
        for number, wanted in compute_statistics_plan(schema, {}).items()
    }


def _batches(table: Table, tasks: Sequence[FileScanTask]) -> Iterator[pa.RecordBatch]:
    reading = ArrowScan(table.metadata, table.io, table.schema(), AlwaysTrue())
    for task in tasks:
        yield from reading.to_record_batches([task])


def _row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield tables of about a row group's size; an empty one if there are no rows."""
    waiting = [pa.RecordBatch.from_pylist([], schema)]
    size = 0
    for batch in batches:
        rows = max(1, batch.num_rows * _ROW_GROUP_BYTES // max(1, batch.nbytes))
        for start in range(0, batch.num_rows, rows):
            part = batch.slice(start, rows).cast(schema)  # with the fields' ids
            waiting.append(part)
            size += part.nbytes
            if size >= _ROW_GROUP_BYTES:
                yield pa.Table.from_batches(waiting).combine_chunks()
                waiting, size = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting).combine_chunks()
