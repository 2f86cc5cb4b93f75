"""Score a CSV of any size: blocks of rows in; their scores, and the rejected lines, out in order.

Blocks are independent of each other, so a few are worked on at a time (pyarrow, numpy and ONNX
Runtime release the GIL) while the order of the output stays that of the input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BufferedIOBase
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from stroke.adapters.arrow.csv_columns import judge_rows
from stroke.adapters.arrow.csv_header import Header
from stroke.adapters.arrow.csv_rows import BLOCK_BYTES, ROW_BYTES, Indices, RowReader, Rows
from stroke.adapters.arrow.formulas import copied_header
from stroke.adapters.arrow.ordered_map import map_ahead
from stroke.adapters.arrow.scoring import explained_features, lines
from stroke.application.predictions.cells import check_account
from stroke.application.predictions.columnar import ColumnarRiskModel, Scores
from stroke.application.predictions.file_scoring import (
    RejectedLine,
    ScoringProgress,
    Store,
    add_counts,
)
from stroke.application.predictions.scored_columns import PREDICTION_ID, added_names
from stroke.domain.patient import Patient

STORE_AT_A_TIME: Final = 1000


class _Assessed(NamedTuple):
    rows: Rows
    kept: Indices
    patients: list[Patient]  # the kept rows', when they are to be stored
    scores: Scores | None  # None when no row is kept
    rejects: list[RejectedLine]


class BulkScoring:
    """Scores the rows of ``source``, once.

    The output has the input's columns, as they came, and the scores, with ``variants`` the name of
    the variant that gave each, with ``context`` interval, support and comparison, and with
    ``contributions`` those too; with ``store``, called with up to ``STORE_AT_A_TIME`` patients for
    one transaction each, the stored ids too. The header is on ``first_line``; rows before
    ``from_line`` are passed over. Memory is bounded by ``block_bytes``, ``row_bytes`` (the longest
    row) and ``workers``.
    Raises ``InvalidData`` for a file that cannot be scored at all.
    """

    def __init__(
        self,
        source: BufferedIOBase,
        *,
        model: ColumnarRiskModel,
        store: Store | None = None,
        from_line: int = 1,
        contributions: bool = False,
        variants: bool = False,
        context: bool = False,
        workers: int = 2,
        block_bytes: int = BLOCK_BYTES,
        first_line: int = 1,
        row_bytes: int = ROW_BYTES,
    ) -> None:
        self._reader = RowReader(
            source, block_bytes=block_bytes, first_line=first_line, row_bytes=row_bytes
        )
        self._added = added_names(
            explained_features(model) if contributions else None,
            variants=variants,
            context=context,
        )
        self._header = Header.parse(
            self._reader.header.text,
            store=store is not None,
            added=(*self._added, *([PREDICTION_ID] if store is not None else [])),
            may_be_missing=model.description.may_be_missing,
            further=model.description.further,
        )
        self._model = model
        self._contributions = contributions
        self._variants = variants
        self._context = context
        self._store = store
        self._from_line = from_line
        self._workers = workers
        self.tally = ScoringProgress(next_line=max(from_line, 2))

    def run(
        self,
        write: Callable[[bytes | pa.Buffer], object],
        reject: Callable[[RejectedLine], object],
        advance: Callable[[int], object],
    ) -> ScoringProgress:
        """Score everything and return ``tally``, which is up to date whatever happens.

        Raises ``RowsUnaccounted`` if a row is lost, and what reading and storing raise.

        ``write`` gets the output, header first; ``reject`` every row that is not scored;
        ``advance`` the number of input bytes read so far.
        """
        newline = self._reader.header.newline
        added = [*self._added, *([PREDICTION_ID] if self._store is not None else [])]
        header = copied_header(self._reader.header.text)
        write(header + b"".join(b"," + n.encode() for n in added) + newline)
        for block in self._assessed():
            self.tally.rows += len(block.rows)
            self._keep(block, write)
            for rejected in block.rejects:
                self.tally.rejected += 1
                reject(rejected)
            self.tally.next_line = int(block.rows.lines[-1]) + 1
            advance(self._reader.bytes_read)
        tally = self.tally
        check_account(read=tally.rows, kept=tally.scored, rejected=tally.rejected)
        return tally

    def _keep(self, block: _Assessed, write: Callable[[bytes | pa.Buffer], object]) -> None:
        """Store the block's kept rows, if that is wanted, and write them."""
        if block.scores is None:
            return
        ids: list[int] | None = None
        if self._store is not None:
            ids = []
            for start in range(0, len(block.patients), STORE_AT_A_TIME):
                self.tally.next_line = int(block.rows.lines[block.kept[start]])
                ids += self._store(block.patients[start : start + STORE_AT_A_TIME])
                self.tally.stored = self.tally.scored + len(ids)
        newline = self._reader.header.newline
        description = self._model.description
        write(
            lines(
                block.rows,
                block.kept,
                block.scores,
                description,
                newline=newline,
                ids=ids,
                contributions=self._contributions,
                variants=self._variants,
                context=self._context,
            )
        )
        self.tally.scored += len(block.kept)
        add_counts(self.tally.variants, block.scores.by_variant(description))

    def _assessed(self) -> Iterator[_Assessed]:
        blocks = (block.since_line(self._from_line) for block in self._reader)
        return map_ahead(self._assess, filter(len, blocks), workers=self._workers)

    def _assess(self, rows: Rows) -> _Assessed:
        storing = self._store is not None
        read, fit, patients, rejects = judge_rows(rows, self._header, patients=storing)
        features = read.features(fit) if fit.any() else None
        scores = None if features is None else self._model.score(features, context=self._context)
        return _Assessed(rows, np.flatnonzero(fit), patients, scores, rejects)
