"""One CSV row taken apart and judged by the domain: slow, exact, with reasons.

The vectorised path must agree with this one; it sends here every row that it is not sure of.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from decimal import Decimal
from typing import Final

from stroke.domain.errors import InvalidData, InvalidPatient
from stroke.domain.features import ENGINEERED_FEATURES, disagreements
from stroke.domain.patient import Patient, lacking

# Either a quoted cell, after whose closing quote text may follow, or a bare one.
_CELL: Final = re.compile(r'(?:"((?:[^"]|"")*+)"([^,]*+)|([^,]*+))(,|\Z)', re.DOTALL)
_NUMBER: Final = re.compile(
    r"[ \t]*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+|inf|nan)(?:e[+-]?[0-9]+)?[ \t]*",
    re.ASCII | re.IGNORECASE,
)
_MEASUREMENTS: Final = ("age", "avg_glucose_level", "bmi")
_FLAGS: Final = ("hypertension", "heart_disease")
PERSONAL: Final = ("name", "country", "province")
_TEXTS: Final = ("gender", "smoking_status", *PERSONAL)


def split(row: str) -> list[str]:
    """Return the cells of ``row``, which has no line end; raises ``InvalidData``."""
    cells, position = [], 0
    while True:
        cell = _CELL.match(row, position)
        if cell is None:
            raise InvalidData("a quote is opened and never closed")
        quoted, after, bare = cell.group(1, 2, 3)
        if "\r" in (bare or after or ""):
            raise InvalidData("has a carriage return outside quotes")
        cells.append(bare if quoted is None else quoted.replace('""', '"') + after)
        if not cell.group(4):
            return cells
        position = cell.end()


def number(text: str) -> float | str:
    """Return the number that ``text`` is, in plain or scientific notation, or else ``text``."""
    if _NUMBER.fullmatch(text) is None:
        return text
    try:
        return float(text)
    except ValueError:  # "inf" with an exponent
        return text


def judge(row: bytes, positions: Mapping[str, int], width: int) -> Patient:
    """Return the patient that ``row`` holds, or raise what is wrong with it.

    Raises ``InvalidPatient`` for values and ``InvalidData`` for a row that is no row of such
    a file (``width`` cells, known columns at ``positions``). Neither quotes the row.
    """
    try:
        text = row.decode()
    except UnicodeDecodeError:
        raise InvalidData("is not UTF-8 text") from None
    cells = split(text)
    if len(cells) != width:
        raise InvalidData(f"has {len(cells)} cells, the header has {width}")
    return patient_of({name: cells[position] for name, position in positions.items()})


def patient_of(values: Mapping[str, object], may_be_missing: Container[str] = ()) -> Patient:
    """Return the patient of ``values``, numbers or texts of them, as the domain judges them.

    Without a value (None) a personal text is empty and an engineered feature claims nothing.
    Only the measurements in ``may_be_missing`` may have none. Raises ``InvalidPatient``, which
    quotes none of them.
    """
    fields = {name: values[name] for name in _TEXTS if name in values}
    fields |= {name: "" for name in PERSONAL if name in fields and fields[name] is None}
    # What is no number goes there as text and is refused as such.
    fields |= {name: _numeric(values[name]) for name in _MEASUREMENTS}
    for name in _FLAGS:
        flag = _numeric(values[name])  # spreadsheets write 1.0
        fields[name] = int(flag) if flag in (0.0, 1.0) else flag
    patient = Patient(**fields)  # type: ignore[arg-type]
    if gaps := lacking(patient.missing, may_be_missing):
        raise InvalidPatient(gaps)
    claims = {name: _claim(name, values[name]) for name in ENGINEERED_FEATURES if name in values}
    if wrong := disagreements(patient, claims):
        raise InvalidPatient(wrong)
    return patient


def _claim(name: str, value: object) -> object:
    """Return what an engineered feature claims to be; an empty text claims nothing."""
    if value == "":
        return None
    return _numeric(value) if name == "age_hypertension" else value


def _numeric(value: object) -> object:
    if isinstance(value, str):
        return number(value)
    return float(value) if isinstance(value, Decimal) else value
