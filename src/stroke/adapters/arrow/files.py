"""Score a file of patients, Parquet or CSV, into another, of any size and in constant memory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Protocol, Self

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from stroke.adapters.arrow.bulk import BulkScoring
from stroke.adapters.arrow.csv_rows import ROW_BYTES
from stroke.adapters.arrow.formulas import neutral_batch, neutral_names
from stroke.adapters.arrow.parquet_batches import BATCH_ROWS, LIMITS
from stroke.adapters.arrow.tables import ScoredCsv, ScoredParquet, ScoredTable
from stroke.application.predictions.cells import check_account
from stroke.application.predictions.columnar import ColumnarRiskModel
from stroke.application.predictions.file_rows import ParquetLimits
from stroke.application.predictions.file_scoring import (
    CsvText,
    Format,
    OpenCsv,
    RejectedLine,
    ScoringTally,
    add_counts,
)
from stroke.domain.errors import InvalidData

_ROW_GROUP: Final = 128 * 1024
_GROUP_BYTES: Final = 64 * 1024 * 1024


def score_file(
    source: Path,
    sink: BinaryIO,
    into: Format,
    model: ColumnarRiskModel,
    *,
    contributions: bool,
    variants: bool = False,
    context: bool = False,
    reject: Callable[[RejectedLine], object],
    advance: Callable[[int], object],
    note: Callable[[str], object] = lambda _: None,
    open_csv: OpenCsv | None = None,
    limits: ParquetLimits = LIMITS,
    row_bytes: int = ROW_BYTES,
    batch_rows: int = BATCH_ROWS,
    workers: int = 2,
) -> ScoringTally:
    """Score the file ``source`` and write it to ``sink``, in its order.

    ``reject`` gets every row that is not scored, by the line it starts on, of Parquet by its
    number from 1; ``advance`` how many bytes of the file are done; ``note`` what of a Parquet file
    is read in a way that its owner may not expect. ``open_csv`` opens a file that is not Parquet;
    without it, that must be plain CSV. ``limits`` bounds what Parquet may unpack to,
    ``batch_rows`` how many of its rows are read at a time, and ``row_bytes`` a row of CSV.
    Raises ``InvalidData``.
    """
    open_csv = open_csv or plain_csv

    def write(table: ScoredTable) -> ScoringTally:
        writer = (_ParquetSink if into is Format.PARQUET else _CsvSink)(sink, table.schema)
        return _write(table, writer, reject=reject, advance=advance, workers=workers)

    if Format.of_input(source) is Format.PARQUET:
        parquet = ScoredParquet(
            source,
            model,
            contributions=contributions,
            variants=variants,
            context=context,
            limits=limits,
            batch_rows=batch_rows,
        )
        for said in parquet.notes:
            note(said)
        return write(parquet)
    with open_csv(source) as text:
        # What is read here may be another text than the file: how far that is, the file says.
        read = advance
        advance = lambda _: read(text.position())  # noqa: E731
        if into is Format.PARQUET:
            table = ScoredCsv(
                text.stream,
                model,
                contributions=contributions,
                variants=variants,
                context=context,
                first_line=text.line,
                row_bytes=row_bytes,
            )
            return write(table)
        bulk = BulkScoring(
            text.stream,
            model=model,
            contributions=contributions,
            variants=variants,
            context=context,
            workers=workers,
            first_line=text.line,
            row_bytes=row_bytes,
        )
        tally = bulk.run(sink.write, reject, advance)
        return ScoringTally(tally.rows, tally.scored, tally.rejected, tally.variants)


@contextmanager
def plain_csv(path: Path) -> Iterator[CsvText]:
    """Open a file that is CSV in UTF-8, as ``CsvText`` has it. Raises ``InvalidData``."""
    try:
        stream = path.open("rb")
    except OSError as error:
        raise InvalidData(f"{path} cannot be read: {error.strerror}") from error
    with stream:
        yield CsvText(stream, 1, path.stat().st_size, stream.tell)


def _write(
    table: ScoredTable,
    sink: _Sink,
    *,
    reject: Callable[[RejectedLine], object],
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
            add_counts(counts.variants, piece.variants)
            for rejected in piece.rejects:
                reject(rejected)
            advance(piece.end)
    check_account(read=counts.rows, kept=counts.scored, rejected=counts.rejected)
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
        rows = sum(each.num_rows for each in self._batches)
        if rows >= _ROW_GROUP or sum(each.nbytes for each in self._batches) >= _GROUP_BYTES:
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
        sink.write(neutral_names(schema.names).encode())
        self._writer = pacsv.CSVWriter(pa.PythonFile(sink, "w"), schema, write_options=options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._writer.close()

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(neutral_batch(batch))
