"""The columns of ``changes`` as Arrow has them, and the records that sources skip."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from stroke.application.analyses.timestamps import MOMENT, TimeUnit
from stroke.application.analyses.views import CHANGES

_OF_SQL: Final = {"BIGINT": pa.int64(), "DOUBLE": pa.float64(), "VARCHAR": pa.string()}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT: Final = re.compile(MOMENT, re.ASCII)
_LARGEST: Final = 2**63
_CAST_EXACTLY: Final = (
    pa.types.is_integer,
    pa.types.is_boolean,
    pa.types.is_floating,
    pa.types.is_null,
)

WHOLE: Final = r"-?\d{1,19}"
"""Texts that are read as whole numbers. The whole text must match."""

NUMBER: Final = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"
"""Texts that are read as numbers. The whole text must match."""

_WHOLE: Final = re.compile(WHOLE, re.ASCII)
_NUMBER: Final = re.compile(NUMBER, re.ASCII)


_SKIPPED: Final = {
    "tombstones": "tombstones",
    "strange_records": "records that are no change of a row",
    "strange_values": "values of another kind, or times of an unknown unit, which count as missing",
    "broken_places": "broken places in files",
    "unreadable_objects": "files that are not of Avro, or of an unknown compression",
}


def not_events(position: Mapping[str, Any]) -> str | None:
    """Return in words what a source skipped until ``position``, or None if it skipped nothing."""
    skipped = [
        f"{words}: {found:,}" for key, words in _SKIPPED.items() if (found := position.get(key))
    ]
    return f"not events: {'; '.join(skipped)}" if skipped else None


def changes_schema(*, with_name: bool = False, with_data: bool = False) -> pa.Schema:
    """Return the schema of a batch of ``changes``; with the name, and with ``prediction_data``."""
    columns = {
        **CHANGES,
        **({"name": "VARCHAR"} if with_name else {}),
        **({"prediction_data": "VARCHAR"} if with_data else {}),
    }
    return pa.schema([(name, _OF_SQL[kind]) for name, kind in columns.items()])


@dataclass(slots=True)
class Counts:
    """What was found that is no event."""

    events: int = 0
    tombstones: int = 0
    strange_records: int = 0  # no change of a row
    strange_values: int = 0  # not what their column holds: they count as NULL

    def add(self, other: Counts) -> None:
        self.events += other.events
        self.tombstones += other.tombstones
        self.strange_records += other.strange_records
        self.strange_values += other.strange_values


def arrow_column(
    values: Sequence[Any], field: pa.Field, counts: Counts, *, unit: TimeUnit | None
) -> pa.Array:
    """Return values of a database's column as the column ``field`` of ``changes``.

    A value of another kind counts as NULL, and is counted; which kind it is does not depend on the
    values beside it. Numbers that are times are of ``unit``; where that is not known, they are of
    another kind.
    """
    if field.name == "timestamp_us":
        return _converted(values, field, counts, lambda value: micros(value, unit))
    try:
        if pa.types.is_integer(field.type):  # as which it would take 0.5, and cut it
            found = pa.array(values)
            if not any(is_one(found.type) for is_one in _CAST_EXACTLY):
                return _converted(values, field, counts, _whole)
            return found.cast(field.type)
        return pa.array(values, field.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return _converted(values, field, counts, _CONVERT[str(field.type)])


def micros(value: Any, unit: TimeUnit | None) -> int:
    """Return a time as microseconds since 1970 (UTC); one without a zone is UTC.

    Raises ``TypeError``, ``ValueError`` or ``OverflowError`` for what is none.
    """
    if isinstance(value, str):
        if _MOMENT.fullmatch(value) is None:
            raise ValueError
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return (moment - _EPOCH) // timedelta(microseconds=1)
    if type(value) is not int or unit is None:
        raise TypeError
    return _within(value * unit.times // unit.by)


def _converted(
    values: Sequence[Any], field: pa.Field, counts: Counts, convert: Callable[[Any], Any]
) -> pa.Array:
    made = []
    for value in values:
        try:
            made.append(None if value is None else convert(value))
        except (TypeError, ValueError, OverflowError, ArithmeticError):
            made.append(None)
            counts.strange_values += 1
    return pa.array(made, field.type)


def _whole(value: Any) -> int:
    if isinstance(value, str):
        if _WHOLE.fullmatch(value) is None:
            raise ValueError
        return _within(int(value))
    number = int(value)
    if number != value:
        raise ValueError
    return _within(number)


def _number(value: Any) -> float:
    if isinstance(value, bytes) or (isinstance(value, str) and _NUMBER.fullmatch(value) is None):
        raise ValueError
    return float(value)


def _within(number: int) -> int:
    if not -_LARGEST <= number < _LARGEST:
        raise OverflowError
    return number


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # no half of a pair of surrogates, which Arrow does not take
    return value


_CONVERT: Final[Mapping[str, Callable[[Any], Any]]] = {
    "double": _number,
    "int64": _whole,
    "string": _text,
}
