"""How ``verify`` compares the values of a column: one rule for each type that MySQL has.

MySQL's driver, Debezium's events in the lake and the SQL copy's driver give the same value in
different forms. A rule turns each of these forms into one. The forms of Debezium are those of its
documentation of the MySQL connector ("Data type mappings"), with the settings of
``connectors/mysql-source.json``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final, SupportsInt, cast

RowValue = str | int | float | bool | None
"""A column's value in the form in which ``verify`` compares it."""

_Rule = Callable[[object, str], RowValue]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY: Final = date(1970, 1, 1)
_MICROSECOND: Final = timedelta(microseconds=1)
_FRACTION: Final = re.compile(r"\((\d+)\)")
_MOMENT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?)(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?"
)
_DURATION: Final = re.compile(r"(-?)(\d{1,3}):(\d\d):(\d\d)(?:\.(\d{1,9}))?")
_ZERO_DATE: Final = re.compile(r"(0000-\d\d-\d\d|\d{4}-00-\d\d|\d{4}-\d\d-00)\b")
# Debezium sends DATETIME with up to so many digits of a second's fraction as milliseconds.
_DIGITS_OF_MILLISECONDS: Final = 3
# MySQL prints FLOAT with so many digits, and Debezium's snapshots read what it prints.
_DIGITS_OF_FLOAT: Final = 6
_SRID_BYTES: Final = 4
_UNSIGNED: Final = 2**64 - 1
_NO_YEAR: Final = 0
_YEAR_OF_BINLOG: Final = 1900
# Debezium takes 0 for a year of two digits.
_YEAR_OF_SNAPSHOT: Final = 2000
SKIPPED_DAYS: Final = (date(1582, 10, 5), date(1582, 10, 15))
"""The days that Java's calendar does not have, and the first one after them.

MySQL's driver for Java reads a DATETIME in these days as ten days later, so that an event of a
snapshot holds another day than one of the binlog.
"""
_SKIPPED: Final = SKIPPED_DAYS[1] - SKIPPED_DAYS[0]
_SKIPPED_MICROSECONDS: Final = tuple((day - _FIRST_DAY) // _MICROSECOND for day in SKIPPED_DAYS)


@lru_cache(maxsize=4096)  # asked for every value of every row
def type_word(column_type: str) -> str:
    """Return the first word of a type: "decimal" of ``decimal(9,2) unsigned``."""
    return column_type.partition("(")[0].partition(" ")[0].lower()


def canonical_value(value: object) -> RowValue:
    """Return a driver's value in the form that ``row_digest`` expects, where no type is known.

    Whole numbers (flags too) become int, other numbers float, text stays, moments become int
    microseconds since 1970 (UTC, unless they say otherwise), bytes hexadecimal text.
    """
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, datetime):
        return _microseconds(value)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    return value.isoformat() if isinstance(value, (date, time)) else str(value)


def column_value(value: object, column_type: str) -> RowValue:
    """Return a value of a column of MySQL's ``column_type`` in the form in which it is compared.

    ``column_type`` is MySQL's own, in lower case, as ``datetime(3)``. ``value`` is what MySQL's
    driver, the SQL copy's driver or an event of Debezium holds. What is no value of the type comes
    back as ``canonical_value`` returns it, and so differs from every value of the type.

    A zero date is NULL, because Debezium sends NULL for it. FLOAT counts with the six digits that
    MySQL prints. BIGINT UNSIGNED counts by its 64 bits: Debezium sends values of 2^63 and more as
    negative numbers. BINARY counts without the zero bytes at its end, which pad it. A DATETIME in
    the ``SKIPPED_DAYS`` counts as ten days later, and the year 0 as 2000: see ``inexact``.
    """
    return _by_rule(_COMPARING, value, column_type)


def exact_value(value: object, column_type: str) -> RowValue:
    """Return what ``column_value`` does, but with all digits and days, to be written elsewhere."""
    return _by_rule(_RULES, value, column_type)


def _by_rule(rules: Mapping[str, _Rule], value: object, column_type: str) -> RowValue:
    rule = rules.get(type_word(column_type))
    if value is None or rule is None:
        return canonical_value(value)
    try:
        return rule(value, column_type)
    except (ValueError, TypeError, LookupError, OverflowError, InvalidOperation, struct.error):
        return canonical_value(value)


def stored_value(value: RowValue, column_type: str) -> object:
    """Return what an INSERT into a column of ``column_type`` needs for ``column_value``'s result.

    For MySQL, whose session has the time zone +00:00.
    """
    word = type_word(column_type)
    if word in _MOMENTS and isinstance(value, int):
        return (_EPOCH + value * _MICROSECOND).replace(tzinfo=None)
    if word == "time" and isinstance(value, int):
        seconds, micros = divmod(abs(value), 1_000_000)
        minutes, second = divmod(seconds, 60)
        sign = "-" if value < 0 else ""
        return f"{sign}{minutes // 60:02}:{minutes % 60:02}:{second:02}.{micros:06}"
    if word in _BYTES and isinstance(value, str):
        return bytes.fromhex(value)
    return value


def is_compared(column_type: str) -> bool:
    """Return whether there is a rule for a type. Columns of other types are not compared."""
    return type_word(column_type) in COMPARED


def inexact(value: object, column_type: str) -> str:
    """Return which values of a type, of which MySQL's ``value`` is one, a snapshot sends changed.

    Nothing if it sends this value as it is. ``value`` is text for DATETIME, a number for YEAR.
    """
    word = type_word(column_type)
    first, after = SKIPPED_DAYS
    if word == "datetime" and isinstance(value, str):
        is_lost = first.isoformat() <= value < after.isoformat()
        return f"days from {first} to before {after}" if is_lost else ""
    return "the year 0" if word == "year" and value == _NO_YEAR else ""


def _microseconds(moment: datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND


def _moment(value: object, column_type: str) -> RowValue:
    if isinstance(value, int):
        digits = _FRACTION.search(column_type)
        if (int(digits[1]) if digits else 0) <= _DIGITS_OF_MILLISECONDS:
            return value * 1_000
        return value
    return _timestamp(value, column_type)


def _timestamp(value: object, _: str) -> RowValue:
    if not isinstance(value, str):
        return canonical_value(value)
    if _ZERO_DATE.match(value):
        return None
    found = _MOMENT.fullmatch(value)
    if found is None:
        return value
    whole = datetime.fromisoformat(found[1] + (found[3] or "Z"))
    return _microseconds(whole) + int((found[2] or ".")[1:7].ljust(6, "0"))


def _compared_moment(value: object, column_type: str) -> RowValue:
    moment = _moment(value, column_type)
    if isinstance(moment, int) and _SKIPPED_MICROSECONDS[0] <= moment < _SKIPPED_MICROSECONDS[1]:
        return moment + _SKIPPED // _MICROSECOND
    return moment


def _date(value: object, _: str) -> RowValue:
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, int):
        return (_FIRST_DAY + timedelta(days=value)).isoformat()
    if isinstance(value, str) and _ZERO_DATE.match(value):
        return None
    return canonical_value(value)


def _time(value: object, _: str) -> RowValue:
    """Return microseconds: MySQL's TIME is a duration, from -838:59:59 to 838:59:59."""
    if isinstance(value, timedelta):
        return value // _MICROSECOND
    if isinstance(value, time):
        whole = timedelta(hours=value.hour, minutes=value.minute, seconds=value.second)
        return whole // _MICROSECOND + value.microsecond
    if isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        seconds = 3_600 * int(found[2]) + 60 * int(found[3]) + int(found[4])
        micros = 1_000_000 * seconds + int((found[5] or "")[:6].ljust(6, "0"))
        return -micros if found[1] else micros
    return canonical_value(value)


def _float(value: object, _: str) -> RowValue:
    if isinstance(value, (int, float, Decimal)):
        return float(f"{float(value):.{_DIGITS_OF_FLOAT}g}")
    return canonical_value(value)


def _decimal(value: object, _: str) -> RowValue:
    """Return every digit, as text where there is a fraction: a float holds 15 of 65."""
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(str(value))
    sign, digits, exponent = exact.as_tuple()
    if not isinstance(exponent, int):
        return canonical_value(value)
    if exponent >= 0 or exact == exact.to_integral_value():
        return int(exact)
    text = "".join(map(str, digits)).rjust(1 - exponent, "0")
    return ("-" if sign else "") + f"{text[:exponent]}.{text[exponent:].rstrip('0')}"


def _bit(value: object, _: str) -> RowValue:
    """Return a number. Debezium and SQL Server's copy hold its bytes, the lowest first."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return int.from_bytes(bytes(value), "little")
    if hasattr(value, "to_int"):  # PostgreSQL's driver has a class for bits
        return cast("int", value.to_int())
    return canonical_value(value)


def _bigint(value: object, column_type: str) -> RowValue:
    if "unsigned" in column_type and isinstance(value, (int, Decimal)):
        return int(cast("SupportsInt", value)) & _UNSIGNED
    return canonical_value(value)


def _year(value: object, _: str) -> RowValue:
    """Return the year. MySQL's year 0 comes out of the binlog as 1900, which is no YEAR."""
    return _NO_YEAR if value == _YEAR_OF_BINLOG else canonical_value(value)


def _compared_year(value: object, column_type: str) -> RowValue:
    year = _year(value, column_type)
    return _YEAR_OF_SNAPSHOT if year == _NO_YEAR else year


def _binary(value: object, _: str) -> RowValue:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).rstrip(b"\0").hex()
    return canonical_value(value)


def _geometry(value: object, _: str) -> RowValue:
    """Return what MySQL stores: the SRID in four bytes, the lowest first, then the WKB."""
    if isinstance(value, Mapping):
        wkb, srid = value["wkb"], value.get("srid") or 0
        return (int(srid).to_bytes(_SRID_BYTES, "little") + bytes(wkb)).hex()
    return value.lower() if isinstance(value, str) else canonical_value(value)


def _vector(value: object, _: str) -> RowValue:
    """Return what MySQL stores: each number in four bytes, the lowest first."""
    if isinstance(value, str):
        return value.lower()
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return struct.pack(f"<{len(value)}f", *value).hex()
    return canonical_value(value)


def _plain(value: object, _: str) -> RowValue:
    return canonical_value(value)


GEOMETRIES: Final = frozenset(
    {
        "geometry",
        "point",
        "linestring",
        "polygon",
        "multipoint",
        "multilinestring",
        "multipolygon",
        "geometrycollection",
        "geomcollection",
    }
)
"""The words for MySQL's spatial types."""

_RULES: Final[dict[str, _Rule]] = {
    "datetime": _moment,
    "timestamp": _timestamp,
    "date": _date,
    "time": _time,
    "float": _plain,
    "decimal": _decimal,
    "numeric": _decimal,
    "bit": _bit,
    "bigint": _bigint,
    "binary": _binary,
    "year": _year,
    "vector": _vector,
    **dict.fromkeys(GEOMETRIES, _geometry),
}
_COMPARING: Final = _RULES | {
    "datetime": _compared_moment,
    "float": _float,
    "year": _compared_year,
}
_MOMENTS: Final = frozenset({"datetime", "timestamp"})
_BYTES: Final = GEOMETRIES | {
    *("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector"),
}
COMPARED: Final = frozenset(
    {
        *_RULES,
        *("tinyint", "smallint", "mediumint", "int", "integer", "double", "real"),
        *("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json"),
        *("varbinary", "tinyblob", "blob", "mediumblob", "longblob"),
    }
)
"""The words for the types whose values are compared: all that MySQL 9 has."""
