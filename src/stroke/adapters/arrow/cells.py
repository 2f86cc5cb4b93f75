"""One CSV row taken apart and judged by the domain: slow, exact, with reasons.

The vectorised path must agree with this one; it sends here every row that it is not sure of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from stroke.domain.errors import InvalidData, InvalidPatient
from stroke.domain.features import ENGINEERED_FEATURES, disagreements
from stroke.domain.patient import Patient

# Either a quoted cell, after whose closing quote text may follow, or a bare one.
_CELL: Final = re.compile(r'(?:"((?:[^"]|"")*+)"([^,]*+)|([^,]*+))(,|\Z)', re.DOTALL)
_NUMBER: Final = re.compile(
    r"[ \t]*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+|inf|nan)(?:e[+-]?[0-9]+)?[ \t]*",
    re.ASCII | re.IGNORECASE,
)
_MEASUREMENTS: Final = ("age", "avg_glucose_level", "bmi")
_FLAGS: Final = ("hypertension", "heart_disease")
_TEXTS: Final = ("gender", "smoking_status", "name", "country", "province")


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
    return _patient({name: cells[position] for name, position in positions.items()})


def _patient(cells: Mapping[str, str]) -> Patient:
    """Let the domain judge; what is no number goes there as text and is refused as such."""
    fields: dict[str, object] = {name: cells[name] for name in _TEXTS if name in cells}
    fields |= {name: number(cells[name]) for name in _MEASUREMENTS}
    for name in _FLAGS:
        flag = number(cells[name])  # spreadsheets write 1.0
        fields[name] = int(flag) if flag in (0.0, 1.0) else flag
    patient = Patient(**fields)  # type: ignore[arg-type]
    claims = {name: _claim(name, cells[name]) for name in ENGINEERED_FEATURES if name in cells}
    if wrong := disagreements(patient, claims):
        raise InvalidPatient(wrong)
    return patient


def _claim(name: str, text: str) -> float | str | None:
    """Return what a cell of an engineered feature claims; an empty one claims nothing."""
    if not text:
        return None
    return number(text) if name == "age_hypertension" else text
