"""A Parquet file row by row, for the commands that read rows: by the same rules as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa

from stroke.adapters.arrow.parquet_batches import (
    LIMITS,
    bounded_batches,
    opened_parquet,
    readable_parquet,
)
from stroke.application.predictions.cells import (
    Cell,
    check_columns,
    known_names,
    neutral,
    value_of,
)
from stroke.application.predictions.file_rows import FileRow, ParquetLimits, RowFile


@contextmanager
def opened_parquet_rows(
    path: Path,
    known: Sequence[str],
    needed: Sequence[str],
    *,
    limits: ParquetLimits = LIMITS,
) -> Iterator[RowFile]:
    """Open the Parquet file at ``path`` row by row; it must have the ``needed`` columns.

    The line of a row is its number, from 1. Cells are the texts that a table of text would have:
    numbers so that they read back as the same numbers. Raises ``InvalidData``, while rows are read
    as well.
    """
    with readable_parquet(path):
        file = opened_parquet(path, limits)
    with file:
        names = known_names(file.schema_arrow.names, known)
        check_columns(names, needed, known)
        size, done = path.stat().st_size, 0

        def rows() -> Iterator[FileRow]:
            nonlocal done
            with readable_parquet(path):
                for batch in bounded_batches(path, file, limits=limits):
                    columns = [_texts(name, batch.column(at)) for at, name in enumerate(names)]
                    for cells in zip(*columns, strict=True):
                        done += 1
                        yield FileRow(done, 1, dict(zip(names, cells, strict=True)))

        total = max(file.metadata.num_rows, 1)
        yield RowFile(rows(), size, lambda: size * done // total)


def _texts(name: str, cells: pa.Array) -> list[object]:
    return [_text(name, value) for value in cells.to_pylist()]


def _text(name: str, value: object) -> str | None:
    """Return a value as a table of text has it, None for no value."""
    if value is None or value != value:  # noqa: PLR0124 -- NaN is no value
        return None
    if isinstance(value, str):
        # Only CSV has apostrophes before what a spreadsheet would run: here they are text.
        return value_of(name, Cell(neutral(value), quoted=True, end=0))
    found = (text for kind, text in _TEXTS.items() if isinstance(value, kind))
    return next(found, str)(value)


def _json(value: object) -> str:
    return orjson.dumps(value, default=str).decode()


_TEXTS: Final[Mapping[type, Callable[[Any], str]]] = {
    bool: lambda value: str(int(value)),
    datetime: lambda value: value.isoformat(" "),
    date: date.isoformat,
    bytes: lambda value: value.decode(errors="replace"),
    list: _json,  # also of a map, as pairs
    dict: _json,
}
