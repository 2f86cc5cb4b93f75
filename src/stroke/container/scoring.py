"""Scoring of files in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

from stroke.adapters.arrow.bulk import BulkScoring
from stroke.adapters.arrow.files import score_file as score
from stroke.adapters.tabular.files import opened_csv
from stroke.application.predictions.cells import PATIENT_COLUMNS
from stroke.application.predictions.columnar import ColumnarRiskModel
from stroke.application.predictions.file_scoring import (
    CsvText,
    Format,
    RejectedLine,
    ScoringTally,
    Store,
)
from stroke.config import FilesSettings


def patients_as_csv(path: Path, settings: FilesSettings) -> AbstractContextManager[CsvText]:
    """Open a table of patients as CSV; ``-`` is standard input. Raises ``InvalidData``."""
    return opened_csv(path, PATIENT_COLUMNS, settings.text_limits)


def bulk_scoring(
    model: ColumnarRiskModel,
    source: CsvText,
    *,
    store: Store | None,
    from_line: int,
    variants: bool,
    context: bool,
    settings: FilesSettings,
) -> BulkScoring:
    """Return what scores the CSV ``source`` once, and stores the rows if there is a ``store``.

    Rows before ``from_line`` are passed over; ``variants`` adds the name of the model's variant
    that scored each row. Raises ``InvalidData`` for a header without patients.
    """
    return BulkScoring(
        source.stream,
        model=model,
        store=store,
        from_line=from_line,
        variants=variants,
        context=context,
        first_line=source.line,
        row_bytes=settings.max_row_bytes,
    )


def score_file(
    model: ColumnarRiskModel,
    source: Path,
    sink: BinaryIO,
    into: Format,
    *,
    contributions: bool,
    variants: bool,
    context: bool,
    reject: Callable[[RejectedLine], object],
    advance: Callable[[int], object],
    note: Callable[[str], object],
    settings: FilesSettings,
) -> ScoringTally:
    """Score the file ``source`` and write it to ``sink`` as ``into``, in its order.

    ``reject`` gets line (in Parquet the row's number from 1) and reason of each row that is not
    scored; ``advance`` how many bytes of the file are done; ``note`` how a file was read that is
    not as stroke writes one. Raises ``InvalidData``.
    """

    @contextmanager
    def opened(path: Path) -> Iterator[CsvText]:
        with patients_as_csv(path, settings) as text:
            yield text
            for said in text.notes:  # of a file that was scored
                note(said)

    return score(
        source,
        sink,
        into,
        model,
        contributions=contributions,
        variants=variants,
        context=context,
        reject=reject,
        advance=advance,
        note=note,
        open_csv=opened,
        limits=settings.parquet_limits,
        row_bytes=settings.max_row_bytes,
    )
