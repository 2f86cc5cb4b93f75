"""Stored values as the columns of ``changes``, in Spark's expressions.

They are read by the rules of ``application.analyses.changes``: a value that is none of its column
is NULL, and counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as sf
from pyspark.sql.types import (
    BinaryType,
    BooleanType,
    DataType,
    DecimalType,
    FractionalType,
    IntegralType,
    StringType,
)

from stroke.application.analyses.changes import NUMBER, WHOLE
from stroke.application.analyses.timestamps import MOMENT, TimeUnit


@dataclass(frozen=True, slots=True)
class ReadValue:
    """The value of a column, and whether a stored value was lost; None where none can be."""

    value: Column
    is_lost: Column | None = None


def read_value(stored: Column, kind: DataType, wanted: str) -> ReadValue:
    """Return a stored value of the type ``kind`` as the type ``wanted``, as SQL writes it."""
    if wanted == "VARCHAR":
        return _text(stored, kind)
    if isinstance(kind, (IntegralType, BooleanType)):
        return ReadValue(stored.cast("bigint" if wanted == "BIGINT" else "double"))
    if wanted == "DOUBLE":
        if isinstance(kind, FractionalType):
            return ReadValue(stored.cast("double"))
        return _perhaps(stored, _matching(stored, kind, NUMBER, "double"))
    if isinstance(kind, FractionalType):
        largest = sf.lit(2.0**63) if not isinstance(kind, DecimalType) else sf.lit(2**63)
        whole = stored.try_cast("bigint")
        return _perhaps(stored, sf.when((whole == stored) & (stored < largest), whole))
    return _perhaps(stored, _matching(stored, kind, WHOLE, "bigint"))


def read_moment(stored: Column, kind: DataType, unit: TimeUnit | None) -> ReadValue:
    """Return a stored time as microseconds since 1970 (UTC)."""
    if isinstance(kind, StringType):
        moment = sf.unix_micros(stored.try_cast("timestamp"))
        return _perhaps(stored, sf.when(_is_all(stored, MOMENT), moment))
    if unit is None or not isinstance(kind, IntegralType):
        return _perhaps(stored, None)
    number = stored.cast("bigint")
    if unit.times > 1:
        return _perhaps(stored, sf.try_multiply(number, sf.lit(unit.times)))
    if unit.by == 1:
        return ReadValue(number)
    by = sf.lit(unit.by)
    is_cut_up = (number < 0) & (sf.pmod(number, by) != 0)  # towards 0, not to the number below
    return ReadValue(sf.call_function("div", number, by) - sf.when(is_cut_up, 1).otherwise(0))


def _text(stored: Column, kind: DataType) -> ReadValue:
    if isinstance(kind, StringType):
        return ReadValue(stored)
    if isinstance(kind, BinaryType):
        return _perhaps(stored, sf.try_validate_utf8(stored.cast("string")))
    return _perhaps(stored, None)


def _matching(stored: Column, kind: DataType, pattern: str, sql_type: str) -> Column | None:
    """Return the number that a text is; None for a type that has no texts."""
    if not isinstance(kind, StringType):
        return None
    return sf.when(_is_all(stored, pattern), stored.try_cast(sql_type))


def _is_all(stored: Column, pattern: str) -> Column:
    return stored.rlike(rf"\A(?:{pattern})\z")


def _perhaps(stored: Column, value: Column | None) -> ReadValue:
    if value is None:
        return ReadValue(sf.lit(None), stored.isNotNull())
    return ReadValue(value, stored.isNotNull() & value.isNull())
