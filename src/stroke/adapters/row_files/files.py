"""Rows in files: CSV, and of the table ``predictions`` also the INSERTs of a mysqldump.

Either may be gzipped (``.gz``). Memory is bounded by the longest line or statement.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, cast

from stroke.adapters.row_files.mysqldump import rows_of_dump
from stroke.application.predictions.file_rows import FileRow
from stroke.domain.errors import InvalidData

_NULL: Final = ("", "\\N")  # of CSV: what spreadsheets write, and what MySQL's OUTFILE does


@dataclass(frozen=True, slots=True)
class RowFile:
    """An open file: its rows, and how many of its ``size`` bytes have been read."""

    rows: Iterator[FileRow]
    size: int
    position: Callable[[], int]


@contextmanager
def opened_rows(path: Path) -> Iterator[RowFile]:
    """Open ``path`` by its name: ``.sql`` or ``.csv``, perhaps with ``.gz``.

    Raises ``InvalidData`` for other names and for files that cannot be read.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    kind = suffixes[-2:-1] if packed else suffixes[-1:]
    if kind not in ([".sql"], [".csv"]):
        raise InvalidData(f"{path.name} is neither .sql nor .csv (nor one of them with .gz)")
    parsed = _dump_rows if kind == [".sql"] else partial(_csv_rows, needed=("id",))
    with _opened(path, parsed, packed=packed) as file:
        yield file


@contextmanager
def opened_csv(path: Path, needed: Sequence[str]) -> Iterator[RowFile]:
    """Open a CSV, gzipped if it is called ``.gz``, whose first line names the columns ``needed``.

    Raises ``InvalidData`` where it does not, and for files that cannot be read.
    """
    packed = path.suffix.lower() == ".gz"
    with _opened(path, partial(_csv_rows, needed=needed), packed=packed) as file:
        yield file


@contextmanager
def _opened(
    path: Path, parsed: Callable[[io.TextIOWrapper], Iterator[FileRow]], *, packed: bool
) -> Iterator[RowFile]:
    try:
        with path.open("rb") as raw:
            plain = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if packed else raw
            # newline="": a carriage return inside a quoted value is part of the value
            with io.TextIOWrapper(plain, encoding="utf-8-sig", newline="") as text:
                yield RowFile(parsed(text), path.stat().st_size, raw.tell)
    except UnicodeDecodeError as error:
        raise InvalidData(f"{path.name} is not UTF-8 text") from error
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or "it is damaged"
        raise InvalidData(f"{path} cannot be read: {reason}") from error


def _csv_rows(text: io.TextIOWrapper, *, needed: Sequence[str]) -> Iterator[FileRow]:
    reader = csv.reader(text, strict=True)
    try:
        header = next(reader, [])
        if missing := [column for column in needed if column not in header]:
            raise InvalidData(
                f"the first line must name the columns, {', '.join(missing)} among them"
            )
        if len(set(header)) < len(header):
            raise InvalidData("the first line names a column twice")
        line = reader.line_num + 1
        for cells in reader:
            if len(cells) == len(header):
                named = zip(header, cells, strict=True)
                yield FileRow(line, 1, {k: None if v in _NULL else v for k, v in named})
            elif cells:
                problem = f"has {len(cells)} cells, the header {len(header)}"
                yield FileRow(line, 1, problem=problem)
            line = reader.line_num + 1
    except csv.Error as error:
        raise InvalidData(f"line {reader.line_num} is not CSV: {error}") from error


def _dump_rows(text: io.TextIOWrapper) -> Iterator[FileRow]:
    for line, place, cells in rows_of_dump(text):
        if isinstance(cells, str):
            yield FileRow(line, place, problem=cells)
        else:
            yield FileRow(line, place, cells)
