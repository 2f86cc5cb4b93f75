"""Files of patients as scored Arrow batches: of Parquet, or of CSV whose columns get types."""

from __future__ import annotations

import csv
import io
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from stroke.adapters.arrow.batches import BatchScoring
from stroke.adapters.arrow.csv_cells import split
from stroke.adapters.arrow.csv_columns import judge_rows
from stroke.adapters.arrow.csv_header import Header, names_of
from stroke.adapters.arrow.csv_rows import ROW_BYTES, Mask, RowReader, Rows
from stroke.adapters.arrow.formulas import restored_batch
from stroke.adapters.arrow.ordered_map import map_ahead
from stroke.adapters.arrow.parquet_batches import (
    BATCH_ROWS,
    LIMITS,
    bounded_batches,
    opened_parquet,
    readable_parquet,
)
from stroke.application.predictions.batch_scoring import ScoredBatch
from stroke.application.predictions.columnar import ColumnarRiskModel
from stroke.application.predictions.file_rows import ParquetLimits
from stroke.application.predictions.file_scoring import RejectedLine
from stroke.application.predictions.scored_columns import earlier_scores, replaced
from stroke.domain.errors import InvalidData


class Piece(NamedTuple):
    """A part of a file: its scored rows, how many it had, and where it ends in the file's bytes.

    ``variants`` says how many of the rows each variant of the model scored.
    """

    scored: pa.RecordBatch
    rows: int
    rejects: Sequence[RejectedLine]
    end: int
    variants: Mapping[str, int]


class ScoredTable(Protocol):
    """Scores a file's rows. ``schema`` is that of the scored ones.

    ``notes`` say what of the file is read in a way that its owner may not expect.
    """

    schema: pa.Schema
    notes: Sequence[str] = ()

    @abstractmethod
    def pieces(self, *, workers: int) -> Iterator[Piece]:
        """Yield the file, in its order. Raises ``InvalidData``; may be called once."""


class ScoredParquet(ScoredTable):
    """Scores the Parquet file at ``path``; rejected rows are named by their number, from 1."""

    def __init__(
        self,
        path: Path,
        model: ColumnarRiskModel,
        *,
        contributions: bool,
        variants: bool = False,
        context: bool = False,
        limits: ParquetLimits = LIMITS,
        batch_rows: int = BATCH_ROWS,
    ) -> None:
        self._path = path
        self._batch_rows = batch_rows
        self._limits = limits
        with readable_parquet(path):
            self._file = opened_parquet(path, limits)
            schema = self._file.schema_arrow
        self._earlier = [schema.field(at).name for at in earlier_scores(schema.names)]
        for name in self._earlier:
            schema = schema.remove(schema.get_field_index(name))
        if self._earlier:
            self.notes = (replaced(str(path)),)
        self._scoring = BatchScoring(
            schema, model, contributions=contributions, variants=variants, context=context
        )
        self.schema = self._scoring.schema

    def pieces(self, *, workers: int) -> Iterator[Piece]:
        size, total, first = self._path.stat().st_size, self._file.metadata.num_rows, 0
        with readable_parquet(self._path), self._file:
            batches = bounded_batches(
                self._path,
                self._file,
                limits=self._limits,
                rows=self._batch_rows,
            )

            def scored(batch: pa.RecordBatch) -> tuple[int, ScoredBatch, dict[str, int]]:
                kept = batch.drop_columns(self._earlier) if self._earlier else batch
                return batch.num_rows, *self._scoring.score_and_count(kept)

            for count, (rows, bad), variants in map_ahead(scored, batches, workers=workers):
                named = [RejectedLine(first + row.place + 1, row.reason) for row in bad]
                first += count
                yield Piece(rows, count, named, size * first // total, variants)


class ScoredCsv(ScoredTable):
    """Scores the CSV that ``source`` is; rejected rows are named by the line they start on.

    Measurements become numbers, all other columns stay text.
    """

    def __init__(
        self,
        source: BufferedIOBase,
        model: ColumnarRiskModel,
        *,
        contributions: bool,
        variants: bool = False,
        context: bool = False,
        first_line: int = 1,
        row_bytes: int = ROW_BYTES,
    ) -> None:
        self._reader = RowReader(source, first_line=first_line, row_bytes=row_bytes)
        self._names = names_of(self._reader.header.text)
        self._header = Header.parse(
            self._reader.header.text,
            store=False,
            added=(),  # the scoring of its batches says what is in the way
            may_be_missing=model.description.may_be_missing,
            further=model.description.further,
        )
        if len(set(self._names)) < len(self._names):
            raise InvalidData("columns of the same name: a table cannot hold them, rename them")
        texts = pa.schema([pa.field(name, pa.string()) for name in self._names])
        self._scoring = BatchScoring(
            texts,
            model,
            contributions=contributions,
            numbers=True,
            variants=variants,
            context=context,
        )
        self.schema = self._scoring.schema

    def pieces(self, *, workers: int) -> Iterator[Piece]:
        # The reader is ahead of what is scored by some blocks; that is near enough for a bar.
        for rows, rejects, (scored, by_variant) in map_ahead(
            self._score, self._reader, workers=workers
        ):
            yield Piece(scored, len(rows), rejects, self._reader.bytes_read, by_variant)

    def _score(
        self, rows: Rows
    ) -> tuple[Rows, Sequence[RejectedLine], tuple[pa.RecordBatch, dict[str, int]]]:
        read, fit, _, rejects = judge_rows(rows, self._header)
        if not fit.any():
            return rows, rejects, (self._scoring.nothing, {})
        text = _text(rows, fit)
        table = pacsv.read_csv(
            pa.BufferReader(text),
            read_options=pacsv.ReadOptions(
                column_names=self._names, use_threads=False, block_size=len(text)
            ),
            parse_options=pacsv.ParseOptions(newlines_in_values=b'"' in text),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(self._names, pa.string()), check_utf8=False
            ),
        ).combine_chunks()
        kept = restored_batch(table.to_batches()[0])
        return rows, rejects, self._scoring.add_scores(kept, read, fit)


def _text(rows: Rows, fit: Mask) -> bytes:
    """Return the ``fit`` rows as any CSV reader reads them alike.

    A row that is left out leaves an empty line, which is none.
    """
    pieces, position = [], 0
    for index in np.flatnonzero(~(fit & rows.regular)).tolist():
        pieces.append(rows.data[position : rows.starts[index]])
        position = int(rows.ends[index])
        if fit[index]:
            line = io.StringIO()
            csv.writer(line, quoting=csv.QUOTE_ALL).writerow(split(rows.row(index).decode()))
            pieces.append(line.getvalue().removesuffix("\r\n").encode())
    return b"".join([*pieces, rows.data[position:]])
