"""Simulated patients as text: CSV, or one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stroke.adapters.simulation.patients import Column, simulate
from stroke.domain.features import RAW_FEATURES

# The API's fields, in the order of its documentation.
FIELDS: Final = (*RAW_FEATURES, "name", "country", "province")

AT_A_TIME: Final = 65_536  # patients in memory


class Format(StrEnum):
    """How patients are written. A line of NDJSON is a body of ``POST /predict``."""

    CSV = "csv"
    NDJSON = "ndjson"


def text(
    count: int, seed: int, form: Format, *, missing: float = 0, at_a_time: int = AT_A_TIME
) -> Iterator[bytes]:
    """Yield the UTF-8 text of ``count`` patients, whole lines at a time.

    The same arguments give the same bytes; fewer patients give their beginning. The shares of
    ``missing`` values are those of ``simulate``: such a cell is empty, or null.
    """
    if form is Format.CSV:
        yield (",".join(FIELDS) + "\n").encode()
    for columns in simulate(count, seed, missing=missing, at_a_time=at_a_time):
        pieces = [
            pa.array(_pieces(form, field, columns[field])).take(pa.array(columns[field].index))
            for field in FIELDS
        ]
        lines = pc.binary_join_element_wise(*pieces, "," if form is Format.CSV else ", ")
        _, offsets, data = lines.buffers()  # unsliced: its text lies there from end to end
        yield data.to_pybytes()[: _end(offsets, len(lines))]


def _end(offsets: pa.Buffer, length: int) -> int:
    return int(pa.Array.from_buffers(pa.int32(), length + 1, [None, offsets])[length].as_py())


def _pieces(form: Format, field: str, column: Column) -> list[str]:
    """Return what each of ``column``'s values looks like within a line."""
    if form is Format.CSV:
        end = "\n" if field == FIELDS[-1] else ""
        return [f"{'' if value is None else _csv_cell(str(value))}{end}" for value in column.values]
    start = "{" if field == FIELDS[0] else ""
    end = "}\n" if field == FIELDS[-1] else ""
    key = json.dumps(field)
    return [
        f"{start}{key}: {json.dumps(value, ensure_ascii=False)}{end}" for value in column.values
    ]


def _csv_cell(value: str) -> str:
    quoted = any(character in value for character in '",\r\n')
    return '"' + value.replace('"', '""') + '"' if quoted else value
