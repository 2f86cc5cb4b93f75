"""What a row's time is written as: its unit is what the Avro schema names, or it is not known."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Self

_DAY_US: Final = 86_400_000_000
_OF_TYPE: Final = {
    # Debezium's, by its time.precision.mode
    "io.debezium.time.Date": (_DAY_US, 1),
    "io.debezium.time.Timestamp": (1_000, 1),
    "io.debezium.time.MicroTimestamp": (1, 1),
    "io.debezium.time.NanoTimestamp": (1, 1_000),
    # Kafka Connect's
    "org.apache.kafka.connect.data.Date": (_DAY_US, 1),
    "org.apache.kafka.connect.data.Timestamp": (1_000, 1),
    # Avro's logical types
    "date": (_DAY_US, 1),
    "timestamp-millis": (1_000, 1),
    "timestamp-micros": (1, 1),
    "timestamp-nanos": (1, 1_000),
    "local-timestamp-millis": (1_000, 1),
    "local-timestamp-micros": (1, 1),
    "local-timestamp-nanos": (1, 1_000),
}
_LOGICAL: Final = "logicalType"
_NAMES: Final = (_LOGICAL, "connect.name")
_LOGICAL_TIMES: Final = re.compile(r"date|(local-)?time(stamp)?-(milli|micro|nano)s")

_CLOCK: Final = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?"
MOMENT: Final = rf"(?!0000)\d{{4}}-\d\d-\d\d([T ]{_CLOCK}(Z|[+-](0\d|1[0-4]):[0-5]\d)?)?"
"""Texts that are read as times (ISO 8601), as Debezium writes them; without a zone they are UTC.

The whole text must match. It names no year, hour or zone that only one of the engines knows.
"""


@dataclass(frozen=True, slots=True)
class TimeUnit:
    """A stored number ``times`` this, divided ``by`` that, is microseconds since 1970 (UTC)."""

    times: int = 1
    by: int = 1

    @classmethod
    def of(cls, schema: Any) -> Self | None:
        """Return the unit of the column ``timestamp`` in an Avro schema of envelopes.

        None for a type that names no unit, or several: the same number may then be a moment of 2026
        and of 1970. Texts need none.
        """
        units = _units(_timestamp_type(schema))
        return cls(*units.pop()) if len(units) == 1 else None


def without_time_types(schema: Any) -> Any:
    """Return an Avro schema that reads times as the numbers that are stored.

    As moments, numbers that no calendar has would end the reading.
    """
    if isinstance(schema, list):
        return [without_time_types(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: without_time_types(value)
        for key, value in schema.items()
        if not (key == _LOGICAL and _LOGICAL_TIMES.fullmatch(str(value)))
    }


def _units(kind: Any) -> set[tuple[int, int]]:
    """Return the units that a type and its branches name."""
    if isinstance(kind, list):
        return set().union(*map(_units, kind))
    if not isinstance(kind, dict):
        return set()
    named = {_OF_TYPE[name] for key in _NAMES if (name := kind.get(key)) in _OF_TYPE}
    return named | _units(kind.get("type"))


def _timestamp_type(schema: Any) -> Any:
    """Return the Avro type of the column ``timestamp`` next to ``id``; None for none."""
    if isinstance(schema, list):
        return next((found for each in schema if (found := _timestamp_type(each))), None)
    if not isinstance(schema, dict):
        return None
    types = {each["name"]: each["type"] for each in schema.get("fields", ())}
    if "id" in types and "timestamp" in types:
        return types["timestamp"]
    return _timestamp_type([*types.values(), schema.get("type")])
