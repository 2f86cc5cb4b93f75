"""Score a file of patients, Parquet or CSV, into another, of any size and in constant memory."""

from __future__ import annotations

import csv
import io
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final, Protocol, Self

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from stroke.adapters.arrow.bulk import BulkScoring
from stroke.adapters.arrow.csv_columns import Reject
from stroke.adapters.arrow.tables import ScoredCsv, ScoredParquet, ScoredTable
from stroke.application.predictions.columnar import ColumnarRiskModel
from stroke.application.predictions.file_scoring import Format, ScoringTally
from stroke.domain.errors import InvalidData

_ROW_GROUP: Final = 128 * 1024


def score_file(
    source: Path,
    sink: BinaryIO,
    into: Format,
    model: ColumnarRiskModel,
    *,
    contributions: bool,
    reject: Callable[[Reject], object],
    advance: Callable[[int], object],
    workers: int = 2,
) -> ScoringTally:
    """Score the file ``source`` and write it to ``sink``, in its order.

    ``reject`` gets every row that is not scored, by the line it starts on, of Parquet by its
    number from 1; ``advance`` how many bytes of the file are done. Raises ``InvalidData``.
    """

    def write(table: ScoredTable) -> ScoringTally:
        writer = (_ParquetSink if into is Format.PARQUET else _CsvSink)(sink, table.schema)
        return _write(table, writer, reject=reject, advance=advance, workers=workers)

    if Format.of(source) is Format.PARQUET:
        return write(ScoredParquet(source, model, contributions=contributions))
    try:
        stream = source.open("rb")
    except OSError as error:
        raise InvalidData(f"{source} cannot be read: {error.strerror}") from error
    with stream:
        if into is Format.PARQUET:
            return write(ScoredCsv(stream, model, contributions=contributions))
        bulk = BulkScoring(stream, model=model, contributions=contributions, workers=workers)
        tally = bulk.run(sink.write, reject, advance)
        return ScoringTally(tally.rows, tally.scored, tally.rejected)


def _write(
    table: ScoredTable,
    sink: _Sink,
    *,
    reject: Callable[[Reject], object],
    advance: Callable[[int], object],
    workers: int,
) -> ScoringTally:
    counts = ScoringTally()
    with sink:
        for piece in table.pieces(workers=workers):
            sink.write(piece.scored)
            counts.rows += piece.rows
            counts.scored += piece.scored.num_rows
            counts.rejected += len(piece.rejects)
            for rejected in piece.rejects:
                reject(rejected)
            advance(piece.end)
    return counts


class _Sink(Protocol):
    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(self, *failure: object) -> None: ...

    @abstractmethod
    def write(self, batch: pa.RecordBatch) -> None: ...


class _ParquetSink(_Sink):
    """Gathers batches into row groups; one that is half full when a run fails is dropped."""

    def __init__(self, sink: BinaryIO, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(
            pa.PythonFile(sink, "w"),
            schema,
            compression="zstd",
            # Probabilities hardly ever repeat.
            use_dictionary=[name for name in schema.names if name != "probability"],
        )
        self._batches: list[pa.RecordBatch] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        if failure[0] is None:
            self._flush()
        self._writer.close()

    def write(self, batch: pa.RecordBatch) -> None:
        self._batches.append(batch)
        if sum(each.num_rows for each in self._batches) >= _ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if any(batch.num_rows for batch in self._batches):
            self._writer.write_table(pa.Table.from_batches(self._batches, self._schema))
        self._batches = []


class _CsvSink(_Sink):
    """Writes CSV as ``stroke predict`` does: quotes where they are needed."""

    def __init__(self, sink: BinaryIO, schema: pa.Schema) -> None:
        options = pacsv.WriteOptions(include_header=False)
        try:
            pacsv.write_csv(schema.empty_table(), pa.BufferOutputStream(), options)
        except pa.ArrowException as error:
            raise InvalidData(
                "the input has columns that CSV cannot hold: write to a name in .parquet"
            ) from error
        header = io.StringIO()
        csv.writer(header, lineterminator="\n").writerow(schema.names)
        sink.write(header.getvalue().encode())
        self._writer = pacsv.CSVWriter(pa.PythonFile(sink, "w"), schema, write_options=options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._writer.close()

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)
