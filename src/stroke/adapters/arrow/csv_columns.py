"""Columns of patients read from rows of CSV, with a mark on every row to look at twice.

Vectorised: pyarrow reads cells, numpy compares columns. A row without a mark is a patient of
the domain; a marked one may be, and ``cells.judge`` has the last word.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from stroke.adapters.arrow.csv_cells import judged
from stroke.adapters.arrow.csv_header import Header
from stroke.adapters.arrow.csv_rows import Indices, Mask, Rows
from stroke.adapters.arrow.screening import (
    FLAGS,
    LENGTHS,
    NULLS,
    NUMBERS,
    Columns,
    code_of,
    further_codes,
    numbers_in,
    screen,
    unfit,
)
from stroke.application.predictions.cells import PERSONAL
from stroke.application.predictions.file_scoring import RejectedLine
from stroke.domain.errors import InvalidData, InvalidPatient
from stroke.domain.further import FeatureKind, FurtherFeature
from stroke.domain.patient import Patient


class Judged(NamedTuple):
    """Rows read, which of them are ``fit`` to be scored, and why the others are not."""

    read: Columns
    fit: Mask
    patients: list[Patient]
    rejects: list[RejectedLine]


def judge_rows(rows: Rows, header: Header, *, patients: bool = False) -> Judged:
    """Read the cells of ``rows`` and let the domain judge those that are suspect.

    With ``patients`` it judges all, and the fit ones come as patients of the domain too.
    """
    columns = read(rows, header)
    found = Judged(columns, ~columns.suspect, [], [])
    for index in range(len(rows)) if patients else np.flatnonzero(columns.suspect).tolist():
        try:
            row = rows.row(index)
            patient, length = judged(
                row, header.positions, header.width, header.may_be_missing, header.further
            )
        except (InvalidPatient, InvalidData) as error:
            found.rejects.append(RejectedLine(int(rows.lines[index]), str(error)))
            found.fit[index] = False
        else:
            found.fit[index] = True
            columns.put(index, patient)
            rows.shorten(index, len(row.decode()[:length].encode()))
            if patients:
                found.patients.append(patient)
    return found


def read(rows: Rows, header: Header) -> Columns:
    """Read the cells of ``rows``; those that are not regular are all suspect."""
    numbers = _numbers(header)
    if rows.regular.any():
        table = _table(rows, header)
        declared = {each.name: each for each in header.further}
        present = {
            name: _spread(_values(name, table, numbers, declared.get(name)), rows.regular)
            for name in header.positions
        }
    else:
        present = {
            name: np.full(len(rows), np.nan) if name in numbers else np.full(len(rows), -1)
            for name in header.positions
        }
    return screen(present, ~rows.regular, header.may_be_missing, header.further)


def _numbers(header: Header) -> Mapping[str, bool]:
    """Return the columns that hold numbers, and whether they are flags."""
    return {name: name in FLAGS for name in NUMBERS} | {
        each.name: each.kind is FeatureKind.FLAG for each in header.further if not each.is_text
    }


def _table(rows: Rows, header: Header) -> pa.Table:
    """Read the known columns of the regular rows; numbers as float64, null where none."""
    text = pa.py_buffer(rows.regular_text())
    known = _numbers(header)
    types = {name: _arrow_type(name, known) for name in header.positions}
    try:
        return _read_csv(text, rows, header, types)
    except pa.ArrowInvalid:  # a cell that is no number, and not one of NULLS either
        numbers = [name for name in types if name in known]
        table = _read_csv(text, rows, header, types | dict.fromkeys(numbers, pa.string()))
        for name in numbers:
            cells = table.column(name).combine_chunks()
            column = pa.array(numbers_in(cells, is_flag=known[name]))
            table = table.set_column(table.column_names.index(name), name, column)
        return table


def _read_csv(
    text: pa.Buffer, rows: Rows, header: Header, types: Mapping[str, pa.DataType]
) -> pa.Table:
    # Columns go by position: the names of those that are none of ours may be anything.
    by_position = {str(position): name for name, position in header.positions.items()}
    table = pacsv.read_csv(
        pa.BufferReader(text),
        read_options=pacsv.ReadOptions(
            column_names=[str(position) for position in range(header.width)],
            use_threads=False,
            block_size=max(text.size, 1),
        ),
        parse_options=pacsv.ParseOptions(newlines_in_values=rows.quoted),
        convert_options=pacsv.ConvertOptions(
            include_columns=list(by_position),
            column_types={str(header.positions[name]): kind for name, kind in types.items()},
            null_values=NULLS,
            check_utf8=False,  # the regular rows are UTF-8
        ),
    )
    return table.rename_columns(list(by_position.values())).combine_chunks()


def _arrow_type(name: str, numbers: Container[str]) -> pa.DataType:
    if name in numbers:
        return pa.float64()
    return pa.string() if name in PERSONAL else pa.dictionary(pa.int32(), pa.string())


def _values(
    name: str, table: pa.Table, numbers: Container[str], declared: FurtherFeature | None
) -> NDArray[Any]:
    """Return a column as numbers: floats, codes of texts, or 1 where a text is suspect."""
    cells = table.column(name).chunk(0)
    if name in numbers:
        return np.array(cells.to_numpy(zero_copy_only=False))  # our own, to write to
    if name in PERSONAL:
        return unfit(cells, LENGTHS[name])
    if declared is not None:
        return further_codes(declared, cells)
    codes = np.array([code_of(name, text) for text in cells.dictionary.to_pylist()], np.int64)
    found: Indices = codes[cells.indices.to_numpy()]
    return found


def _spread(values: NDArray[Any], regular: Mask) -> NDArray[Any]:
    """Put the ``values`` of the regular rows in their places among all rows."""
    if regular.all():
        return values
    nothing = np.nan if values.dtype.kind == "f" else -1
    everywhere = np.full(len(regular), nothing, np.float64 if nothing != -1 else np.int64)
    everywhere[regular] = values
    return everywhere
