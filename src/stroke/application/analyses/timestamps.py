"""Which unit Debezium counts a row's time in: older schemas of a table have another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

_OF_TYPE: Final = {
    "io.debezium.time.Timestamp": (1_000, 1),
    "io.debezium.time.MicroTimestamp": (1, 1),
    "io.debezium.time.NanoTimestamp": (1, 1_000),
}


@dataclass(frozen=True, slots=True)
class TimeUnit:
    """A stored number ``times`` this, divided ``by`` that, is microseconds since 1970 (UTC)."""

    times: int = 1
    by: int = 1

    @classmethod
    def of(cls, schema: Any) -> Self:
        """Return the unit of the column ``timestamp`` in an Avro schema of envelopes."""
        kind = _timestamp_type(schema)
        branches = kind if isinstance(kind, list) else [kind]
        names = [each["connect.name"] for each in branches if "connect.name" in (each or ())]
        return cls(*_OF_TYPE.get(names[0] if names else "", (1, 1)))


def _timestamp_type(schema: Any) -> Any:
    """Return the Avro type of the column ``timestamp``, beside ``id``; None for none."""
    if isinstance(schema, list):
        return next((found for each in schema if (found := _timestamp_type(each))), None)
    if not isinstance(schema, dict):
        return None
    types = {each["name"]: each["type"] for each in schema.get("fields", ())}
    if "id" in types and "timestamp" in types:
        return types["timestamp"]
    return _timestamp_type([*types.values(), schema.get("type")])
