"""Rows of files, as the imports of predictions and of outcomes read and refuse them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from stroke.domain.errors import InvalidData


class DumpKind(StrEnum):
    """The databases whose dumps are read."""

    MYSQL = "mysql"
    SQLITE = "sqlite"


MAX_COLUMNS: Final = 2000
"""How many columns a table may have, where no setting says another number."""


def row_too_long(line: int, most: int) -> InvalidData:
    """Return the error of a row that is longer than a setting allows; ``line`` is where it starts.

    It may be a quote that nobody closes, or really so long: reading on would show, and might hold
    the whole file.
    """
    return InvalidData(
        f"line {line}: the row that starts here does not end within {most:,} characters "
        "(STROKE_FILES_MAX_ROW_BYTES): is a cell so long, or a quote opened and never closed?"
    )


def row_without_end(line: int) -> InvalidData:
    """Return the error of a row in which the file ends; ``line`` is where it starts.

    In ``1, "a,"`` the first quote opens nothing, for the blank before it, and the second one does.
    """
    return InvalidData(
        f"line {line}: the row that starts here does not end: is a quote opened and never closed, "
        "or does a blank stand before one that should open a cell?"
    )


class TextLimits(NamedTuple):
    """What a text may have, in characters: more is taken for a quote that nobody closes.

    ``row`` is a row of a table, ``dump_row`` one of a dump, ``statement`` a statement of a dump
    that is passed over. ``columns`` is how many columns a table has.
    """

    row: int = 1024 * 1024
    dump_row: int = 16 * 1024 * 1024
    statement: int = 64 * 1024 * 1024
    columns: int = MAX_COLUMNS


class ParquetLimits(NamedTuple):
    """What a Parquet file may unpack to, in bytes, and how many columns it may have.

    ``decoded`` is what it unpacks to at once: a row, or a tightly packed column. ``total`` is what
    all of a tightly packed file unpacks to.
    """

    decoded: int = 256 * 1024 * 1024
    total: int = 4 * 1024**3
    columns: int = MAX_COLUMNS


def check_width(columns: int, most: int) -> None:
    """Raise ``InvalidData`` where a table has more columns than a setting allows."""
    if columns > most:
        raise InvalidData(
            f"the table has {columns:,} columns, more than the {most:,} that are allowed "
            "(STROKE_FILES_MAX_COLUMNS): keep those that stroke reads, or raise the limit"
        )


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row: its line, its place among the rows that start there, its cells by column.

    ``problem`` says what is wrong with a row that could not be read; it then has no cells.
    """

    line: int
    place: int
    cells: dict[str, object] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class RowFile:
    """An open file: its rows, and how many of its ``size`` bytes have been read.

    ``notes`` say how a file was read that is not as stroke itself writes files.
    """

    rows: Iterator[FileRow]
    size: int
    position: Callable[[], int]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A prediction that was not stored: where it stands in the file, its id if known, and why."""

    line: int
    place: int
    id: int | None
    reason: str


@dataclass(slots=True)
class ImportTally:
    """What became of the rows. ``differing`` rows were left as the database has them."""

    rows: int = 0
    inserted: int = 0
    replaced: int = 0
    unchanged: int = 0
    differing: int = 0
    rejected: int = 0
    ignored_columns: list[str] = field(default_factory=list)
