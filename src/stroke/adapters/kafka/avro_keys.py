"""Which prediction a record is about, as its Avro key says."""

from __future__ import annotations

import io
import json
import struct
from typing import Any, Final

import fastavro

from stroke.adapters.kafka.registry import SchemaRegistry

_FRAME: Final = struct.Struct(">bI")  # the Confluent wire format: 0, the schema's id, Avro
_FRAME_MARK: Final = 0
# What fastavro raises about bytes that are not of the schema, or a schema that is none.
_UNREADABLE: Final = (
    ArithmeticError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    fastavro.schema.SchemaParseException,
)


class AvroKeys:
    """Reads keys by the schemas of the registry at ``registry_url``, fetching each one once."""

    def __init__(self, registry_url: str, *, timeout: float) -> None:
        self._registry = SchemaRegistry(registry_url, timeout=timeout)
        self._schemas: dict[int, Any] = {}

    def prediction_id(self, key: object) -> int | None:
        """Return the id in a record's key, or None where it is not one of ours.

        Raises ``BrokerUnavailable`` when the registry has to be asked, and does not answer.
        """
        if not isinstance(key, bytes) or len(key) < _FRAME.size:
            return None
        mark, schema_id = _FRAME.unpack_from(key)
        if mark != _FRAME_MARK:
            return None
        try:
            schema = self._schema(schema_id)
            decoded = fastavro.schemaless_reader(io.BytesIO(key[_FRAME.size :]), schema, None)
        except _UNREADABLE:
            return None
        found = decoded.get("id") if isinstance(decoded, dict) else None
        return found if isinstance(found, int) and not isinstance(found, bool) else None

    def _schema(self, schema_id: int) -> Any:
        """Return a parsed schema; raise ``LookupError`` where the registry has none of this id."""
        if schema_id not in self._schemas:
            self._schemas[schema_id] = fastavro.parse_schema(
                json.loads(self._registry.schema(schema_id))
            )
        return self._schemas[schema_id]
