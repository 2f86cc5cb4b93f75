"""Columns of patients read from rows of CSV, with a mark on every row to look at twice.

Vectorised: pyarrow reads cells, numpy compares columns. A row without a mark is a patient of
the domain; a marked one may be, and ``cells.judge`` has the last word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from stroke.adapters.arrow.header import PERSONAL, Header
from stroke.adapters.arrow.rows import Indices, Mask, Rows
from stroke.domain.features import (
    AGE_GROUPS,
    BMI_CATEGORIES,
    GLUCOSE_CATEGORIES,
    RAW_FEATURES,
    Bands,
)
from stroke.domain.patient import (
    AGE,
    AVG_GLUCOSE_LEVEL,
    BMI,
    COUNTRY_LENGTH,
    GENDERS,
    NAME_LENGTH,
    PROVINCE_LENGTH,
    SMOKING_STATUSES,
    Patient,
)

Floats = NDArray[np.float64]

RANGES: Final = {"age": AGE, "avg_glucose_level": AVG_GLUCOSE_LEVEL, "bmi": BMI}
FLAGS: Final = ("hypertension", "heart_disease")
CHOICES: Final = {"gender": GENDERS, "smoking_status": SMOKING_STATUSES}
BANDS: Final = {
    "age_group": ("age", AGE_GROUPS),
    "bmi_category": ("bmi", BMI_CATEGORIES),
    "glucose_category": ("avg_glucose_level", GLUCOSE_CATEGORIES),
}
NUMBERS: Final = (*RANGES, *FLAGS, "age_hypertension")
_LENGTHS: Final = dict(zip(PERSONAL, (NAME_LENGTH, COUNTRY_LENGTH, PROVINCE_LENGTH), strict=True))

# What files say for "no value": read as null, so that it does not stop the fast reading.
_NO_VALUE: Final = ["", "N/A", "NA", "n/a", "NaN", "nan", "NULL", "null", "None", "-", "?"]
_NUMBER: Final = r"^(?:[0-9]+\.?[0-9]*|\.[0-9]+)$"
_CONTROL: Final = r"[\x{0}-\x{1f}\x{7f}-\x{9f}]"
_FIRST_PRINTABLE, _DELETE, _LEAD_OF_C1 = 0x20, 0x7F, 0xC2


@dataclass(frozen=True, slots=True)
class Columns:
    """The raw features of ``len(suspect)`` rows, by name.

    ``numbers`` holds NaN and ``codes`` (indices into ``CHOICES``) -1 where a cell has no
    usable value; such rows are ``suspect``.
    """

    numbers: Mapping[str, Floats]
    codes: Mapping[str, Indices]
    suspect: Mask

    def put(self, index: int, patient: Patient) -> None:
        """Let row ``index`` be ``patient``."""
        for name, values in self.numbers.items():
            values[index] = getattr(patient, name)
        for name, codes in self.codes.items():
            codes[index] = CHOICES[name].index(getattr(patient, name))

    def features(self, chosen: Mask) -> dict[str, NDArray[Any]]:
        """Return the features of the ``chosen`` rows as a model takes them."""
        taken: dict[str, NDArray[Any]] = {}
        for name in RAW_FEATURES:
            if name in self.codes:
                # Every row shares its choice's one str object.
                taken[name] = np.array(CHOICES[name], object)[self.codes[name][chosen]]
            else:
                taken[name] = self.numbers[name][chosen]
        return taken


def read(rows: Rows, header: Header) -> Columns:
    """Read the cells of ``rows``; those that are not regular are all suspect."""
    if rows.regular.any():
        table = _table(rows, header)
        present = {name: _spread(_values(name, table), rows.regular) for name in header.positions}
    else:
        present = {
            name: np.full(len(rows), np.nan) if name in NUMBERS else np.full(len(rows), -1)
            for name in header.positions
        }
    suspect = ~rows.regular
    for name, plausible in RANGES.items():
        suspect |= ~((present[name] >= plausible.low) & (present[name] <= plausible.high))
    for name in FLAGS:
        suspect |= ~((present[name] == 0) | (present[name] == 1))
    for name in CHOICES:
        suspect |= present[name] < 0
    for name in PERSONAL:
        if name in present:
            suspect |= present[name] != 0
    suspect |= _disagree(present)
    return Columns(
        {name: present[name] for name in (*RANGES, *FLAGS)},
        {name: present[name] for name in CHOICES},
        suspect,
    )


def _table(rows: Rows, header: Header) -> pa.Table:
    """Read the known columns of the regular rows; numbers as float64, null where none."""
    text = pa.py_buffer(rows.regular_text())
    types = {name: _arrow_type(name) for name in header.positions}
    try:
        return _read_csv(text, rows, header, types)
    except pa.ArrowInvalid:  # a cell that is no number, and not one of _NO_VALUE either
        numbers = [name for name in types if name in NUMBERS]
        table = _read_csv(text, rows, header, types | dict.fromkeys(numbers, pa.string()))
        for name in numbers:
            cells = table.column(name)
            usable = pc.match_substring_regex(cells, _NUMBER)
            column = pc.if_else(usable, cells, None).cast(pa.float64())
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
            null_values=_NO_VALUE,
            check_utf8=False,  # the regular rows are UTF-8
        ),
    )
    return table.rename_columns(list(by_position.values())).combine_chunks()


def _arrow_type(name: str) -> pa.DataType:
    if name in NUMBERS:
        return pa.float64()
    return pa.string() if name in PERSONAL else pa.dictionary(pa.int32(), pa.string())


def _values(name: str, table: pa.Table) -> NDArray[Any]:
    """Return a column as numbers: floats, codes of texts, or 1 where a text is suspect."""
    cells = table.column(name).chunk(0)
    if name in NUMBERS:
        return np.array(cells.to_numpy(zero_copy_only=False))  # our own, to write to
    if name in PERSONAL:
        return _unfit(cells, _LENGTHS[name])
    choices = CHOICES[name] if name in CHOICES else ("", *BANDS[name][1].labels)
    code = {choice: number for number, choice in enumerate(choices)}
    codes = np.array([code.get(text, -1) for text in cells.dictionary.to_pylist()], np.int64)
    found: Indices = codes[cells.indices.to_numpy()]
    return found


def _unfit(cells: pa.StringArray, length: int) -> Mask:
    """Return which texts are too long or hold control characters."""
    _, offsets, data = cells.buffers()
    view = np.frombuffer(data or b"", np.uint8)
    ends = np.frombuffer(offsets, np.int32, len(cells) + 1, cells.offset * 4)
    unfit: Mask = np.diff(ends) > length  # bytes: no fewer than characters
    if unfit.any():
        unfit = pc.greater(pc.utf8_length(cells), length).to_numpy(zero_copy_only=False)
    if ((view < _FIRST_PRINTABLE) | (view == _DELETE) | (view == _LEAD_OF_C1)).any():
        control = pc.match_substring_regex(cells, _CONTROL)
        unfit = unfit | control.to_numpy(zero_copy_only=False)
    return unfit


def _spread(values: NDArray[Any], regular: Mask) -> NDArray[Any]:
    """Put the ``values`` of the regular rows in their places among all rows."""
    if regular.all():
        return values
    nothing = np.nan if values.dtype.kind == "f" else -1
    everywhere = np.full(len(regular), nothing, np.float64 if nothing != -1 else np.int64)
    everywhere[regular] = values
    return everywhere


def _disagree(present: Mapping[str, NDArray[Any]]) -> Mask:
    """Return where an engineered column is not what ``domain.features`` derives."""
    wrong: Mask = np.zeros(len(present["age"]), np.bool_)
    for name, (source, bands) in BANDS.items():
        if name in present:
            claimed = present[name]  # 0 claims nothing, the labels count from 1
            wrong |= (claimed != 0) & (claimed != _band(bands, present[source]) + 1)
    if "age_hypertension" in present:
        claim = present["age_hypertension"]
        with np.errstate(invalid="ignore", over="ignore"):  # infinities are suspect, like NaN
            derived = present["age"] * present["hypertension"]
            # Stricter than the domain by a hair, whose verdict counts.
            near = np.abs(claim - derived) <= 0.99e-6 * np.abs(derived)
        wrong |= ~near
    return wrong


def _band(bands: Bands, values: Floats) -> Indices:
    return np.searchsorted(bands.cuts, values, side="right")
