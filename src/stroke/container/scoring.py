"""Scoring of files in this process."""

from __future__ import annotations

from collections.abc import Callable
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO

from stroke.adapters.arrow.bulk import BulkScoring
from stroke.adapters.arrow.files import score_file as score
from stroke.application.predictions.columnar import ColumnarRiskModel
from stroke.application.predictions.file_scoring import Format, ScoringTally, Store


def bulk_scoring(
    model: ColumnarRiskModel, source: BufferedIOBase, *, store: Store | None, from_line: int
) -> BulkScoring:
    """Return what scores the CSV ``source`` once, and stores the rows if there is a ``store``.

    Rows before ``from_line`` are passed over. Raises ``InvalidData`` for a header without patients.
    """
    return BulkScoring(source, model=model, store=store, from_line=from_line)


def score_file(
    model: ColumnarRiskModel,
    source: Path,
    sink: BinaryIO,
    into: Format,
    *,
    contributions: bool,
    reject: Callable[[tuple[int, str]], object],
    advance: Callable[[int], object],
) -> ScoringTally:
    """Score the file ``source`` and write it to ``sink`` as ``into``, in its order.

    ``reject`` gets line (in Parquet the row's number from 1) and reason of each row that is not
    scored; ``advance`` how many bytes of the file are done. Raises ``InvalidData``.
    """
    return score(
        source,
        sink,
        into,
        model,
        contributions=contributions,
        reject=reject,
        advance=advance,
    )
