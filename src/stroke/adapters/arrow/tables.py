"""Files of patients as scored Arrow batches: of Parquet, or of CSV whose columns get types."""

from __future__ import annotations

import csv
import io
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from stroke.adapters.arrow.batches import BatchScoring
from stroke.adapters.arrow.csv_cells import split
from stroke.adapters.arrow.csv_columns import judge_rows
from stroke.adapters.arrow.csv_header import Header, names_of
from stroke.adapters.arrow.csv_rows import Mask, RowReader, Rows
from stroke.adapters.arrow.formulas import restored_batch
from stroke.adapters.arrow.ordered_map import map_ahead
from stroke.adapters.arrow.parquet_batches import (
    BATCH_ROWS,
    MAX_DECODED_BYTES,
    bounded_batches,
    opened_parquet,
)
from stroke.application.predictions.batch_scoring import ScoredBatch
from stroke.application.predictions.columnar import ColumnarRiskModel
from stroke.application.predictions.file_scoring import RejectedLine
from stroke.domain.errors import InvalidData

_BATCH_ROWS: Final = BATCH_ROWS


class Piece(NamedTuple):
    """A part of a file: its scored rows, how many it had, and where it ends in the file's bytes."""

    scored: pa.RecordBatch
    rows: int
    rejects: Sequence[RejectedLine]
    end: int


class ScoredTable(Protocol):
    """Scores a file's rows. ``schema`` is that of the scored ones."""

    schema: pa.Schema

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
        max_decoded_bytes: int = MAX_DECODED_BYTES,
    ) -> None:
        self._path = path
        self._max_decoded_bytes = max_decoded_bytes
        with _readable(path):
            self._file = opened_parquet(path)
            schema = self._file.schema_arrow
        self._scoring = BatchScoring(schema, model, contributions=contributions)
        self.schema = self._scoring.schema

    def pieces(self, *, workers: int) -> Iterator[Piece]:
        size, total, first = self._path.stat().st_size, self._file.metadata.num_rows, 0
        with _readable(self._path), self._file:
            batches = bounded_batches(
                self._path, self._file, max_decoded_bytes=self._max_decoded_bytes, rows=_BATCH_ROWS
            )

            def scored(batch: pa.RecordBatch) -> tuple[int, ScoredBatch]:
                return batch.num_rows, self._scoring.score(batch)

            for count, (rows, bad) in map_ahead(scored, batches, workers=workers):
                named = [RejectedLine(first + row.place + 1, row.reason) for row in bad]
                first += count
                yield Piece(rows, count, named, size * first // total)


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
        first_line: int = 1,
    ) -> None:
        self._reader = RowReader(source, first_line=first_line)
        self._names = names_of(self._reader.header.text)
        self._header = Header.parse(
            self._reader.header.text,
            store=False,
            may_be_missing=model.description.may_be_missing,
        )
        if len(set(self._names)) < len(self._names):
            raise InvalidData("columns of the same name: a table cannot hold them, rename them")
        texts = pa.schema([pa.field(name, pa.string()) for name in self._names])
        self._scoring = BatchScoring(texts, model, contributions=contributions, numbers=True)
        self.schema = self._scoring.schema

    def pieces(self, *, workers: int) -> Iterator[Piece]:
        # The reader is ahead of what is scored by some blocks; that is near enough for a bar.
        for rows, scored, rejects in map_ahead(self._score, self._reader, workers=workers):
            yield Piece(scored, len(rows), rejects, self._reader.bytes_read)

    def _score(self, rows: Rows) -> tuple[Rows, pa.RecordBatch, Sequence[RejectedLine]]:
        read, fit, _, rejects = judge_rows(rows, self._header)
        if not fit.any():
            return rows, self._scoring.nothing, rejects
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
        return rows, self._scoring.add_scores(kept, read, fit), rejects


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise InvalidData(f"{path} cannot be read as a Parquet file: is it one, whole?") from error


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
