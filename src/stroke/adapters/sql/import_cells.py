"""Cells of a file to values of the table ``predictions``.

Only what the columns hold is checked, and that a flag is one, not what a patient can plausibly
have: a file may come from a deployment with other rules, and its rows must be kept as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from stroke.application.predictions.cells import flag, whole_number
from stroke.domain.patient import flag_of
from stroke.domain.prediction import LARGEST_ID

# What a BIT(1) is in a dump of MariaDB.
_BITS: Final = {"\0": 0, "\x01": 1}


class BadCell(ValueError):
    """A cell that its column cannot hold. The message never quotes it."""


def to_row(cells: Mapping[str, object]) -> dict[str, Any]:
    """Return the values of one row. Raises ``BadCell`` naming the column that cannot hold its cell.

    Every column may be NULL but the id.
    """
    if cells.get("id") is None:
        raise BadCell("id is missing")
    row: dict[str, Any] = {}
    for column, cell in cells.items():
        try:
            row[column] = None if cell is None else _COLUMNS[column](cell)
        except (ValueError, TypeError, OverflowError) as error:
            reason = str(error) if isinstance(error, BadCell) else "is not of the column's type"
            raise BadCell(f"{column} {reason}") from None  # the cause would quote the cell
    return row


def is_known(column: str) -> bool:
    """Return whether the table has ``column``."""
    return column in _COLUMNS


def same(column: str, one: object, other: object) -> bool:
    """Return whether two values of ``column``, of a file or of a database, mean the same."""
    if one is None or other is None:
        return one is other
    if column in _JSON:
        return bool(_decoded(one) == _decoded(other))
    if column == "timestamp":
        return _timestamp(one) == _timestamp(other)
    return one == other


def _id(cell: object) -> int:
    number = whole_number(str(cell))
    if number is None:
        raise ValueError("not a whole number")
    if not 0 < number <= LARGEST_ID:
        raise BadCell("is not between 1 and 2^63 - 1")
    return number


def _timestamp(cell: object) -> str:
    moment = cell if isinstance(cell, datetime) else datetime.fromisoformat(str(cell))
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(" ", "microseconds")


def _number(cell: object) -> float:
    number = float(str(cell))
    if not math.isfinite(number):
        raise BadCell("is not a finite number")
    return number


def _flag(cell: object) -> int | None:
    found = _BITS.get(str(cell), flag(cell))
    if found is not None and (not isinstance(found, int) or flag_of(found) is None):
        raise BadCell("must be 0 or 1")
    return found


def _text(length: int) -> Callable[[object], str]:
    def checked(cell: object) -> str:
        text = str(cell)
        if len(text) > length:
            raise BadCell(f"has more than {length} characters")
        return text

    return checked


def _key(cell: object) -> str | None:
    text = _text(64)(cell)
    if not text:  # no key: two rows may be without one
        return None
    if not text.isascii():
        raise BadCell("has characters beyond ASCII")
    return text


def _site(cell: object) -> str:
    text = _text(64)(cell)
    if not text.isascii():
        raise BadCell("has characters beyond ASCII")
    return text


def _json(cell: object) -> str:
    text = str(cell)
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadCell("is not JSON") from None
    return text


def _decoded(value: object) -> object:
    try:
        return orjson.loads(value) if isinstance(value, (str, bytes)) else value
    except orjson.JSONDecodeError:
        return value


_JSON: Final = frozenset({"contributing_factors", "prediction_data"})
_COLUMNS: Final[Mapping[str, Callable[[object], Any]]] = {
    "id": _id,
    "timestamp": _timestamp,
    "gender": _text(10),
    "age": _number,
    "hypertension": _flag,
    "heart_disease": _flag,
    "avg_glucose_level": _number,
    "bmi": _number,
    "smoking_status": _text(20),
    "name": _text(100),
    "country": _text(50),
    "province": _text(50),
    "probability": _number,
    "risk_category": _text(10),
    "contributing_factors": _json,
    "prediction_data": _json,
    "model_version": _text(64),
    "idempotency_key": _key,
    "site": _site,
    "created_by": _text(128),
}
