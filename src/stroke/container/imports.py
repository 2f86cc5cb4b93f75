"""Rows of files into the service's database: predictions of another table, and outcomes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stroke.adapters.arrow.csv_cells import patient_of
from stroke.adapters.arrow.parquet_rows import opened_parquet_rows
from stroke.adapters.sql.table_import import TableImport
from stroke.adapters.sql.tables import COLUMNS as TABLE_COLUMNS
from stroke.adapters.tabular.files import opened_import, opened_rows
from stroke.adapters.tabular.packing import is_parquet_file
from stroke.application.predictions.cells import PATIENT_COLUMNS
from stroke.application.predictions.file_rows import DumpKind, RejectedRow, RowFile
from stroke.application.predictions.outcome_import import COLUMNS, OutcomeImport
from stroke.config import DatabaseSettings, FilesSettings
from stroke.container.engines import opened_engine
from stroke.domain.features import RAW_FEATURES
from stroke.domain.further import Further
from stroke.domain.patient import Patient

if TYPE_CHECKING:
    from stroke.container.service import Container


def prediction_rows(path: Path, dump_of: DumpKind | None = None) -> AbstractContextManager[RowFile]:
    """Open a dump or a table of the table ``predictions``.

    ``dump_of`` is the database that wrote a dump which does not say it. Raises ``InvalidData``, and
    ``InvalidSetting``.
    """
    if is_parquet_file(path):
        return table_rows(path, TABLE_COLUMNS, ("id",))
    return opened_import(path, TABLE_COLUMNS, FilesSettings.load().text_limits, dump_of)


@asynccontextmanager
async def table_import(
    settings: DatabaseSettings,
    *,
    replace: bool,
    dry_run: bool,
    refuse: Callable[[RejectedRow], None],
) -> AsyncIterator[TableImport]:
    """Give what stores rows with their ids; its connections are closed at the end.

    ``refuse`` gets each row that is not stored.
    """
    async with opened_engine(settings) as engine:
        yield TableImport(engine, replace=replace, dry_run=dry_run, refuse=refuse)


def patient_rows(path: Path, further: Further = ()) -> AbstractContextManager[RowFile]:
    """Open a table of patients, with the ``further`` features of a model.

    Raises ``InvalidData``, also where a measurement has no column, or a further feature that must
    not be missing.
    """
    own = [each.name for each in further]
    needed = (*RAW_FEATURES, *(each.name for each in further if not each.may_be_missing))
    return table_rows(path, (*PATIENT_COLUMNS, *own), needed, own)


def patient_of_cells(
    cells: Mapping[str, object], may_be_missing: Collection[str], further: Further = ()
) -> Patient:
    """Return the patient of a row of such a table. Raises ``InvalidPatient``."""
    return patient_of(cells, may_be_missing, further)


def outcome_rows(path: Path) -> AbstractContextManager[RowFile]:
    """Open a table of outcomes. Raises ``InvalidData``, also where a column is missing."""
    return table_rows(path, COLUMNS, COLUMNS)


def labelled_rows(
    path: Path, further: Sequence[str] = (), own: Collection[str] = ()
) -> AbstractContextManager[RowFile]:
    """Open a table of patients with their outcome ``stroke`` and the columns ``further``.

    Of ``own`` ones among them a model has declared what the words are. Raises ``InvalidData``, also
    where a column is missing.
    """
    known = (*PATIENT_COLUMNS, "stroke", *further)
    return table_rows(path, known, (*RAW_FEATURES, "stroke", *further), own)


def outcome_import(
    parts: Container, *, dry_run: bool, refuse: Callable[[int, str], None]
) -> OutcomeImport:
    """Return what stores outcomes; ``refuse`` gets line and reason of each row that is not."""
    return OutcomeImport(parts.outcomes(), dry_run=dry_run, refuse=refuse)


def table_rows(
    path: Path, known: Sequence[str], needed: Sequence[str], own: Collection[str] = ()
) -> AbstractContextManager[RowFile]:
    """Open a table that has the ``needed`` columns. Raises ``InvalidData``.

    Of ``own`` columns a model declares what the words are: their cells are given as they are.
    """
    files = FilesSettings.load()
    if is_parquet_file(path):
        return opened_parquet_rows(path, known, needed, limits=files.parquet_limits)
    return opened_rows(path, known, needed, files.text_limits, own)
