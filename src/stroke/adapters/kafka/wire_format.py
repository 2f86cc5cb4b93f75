"""Avro as Kafka Connect's converter frames it: the Confluent wire format."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from typing import Any, Final

import fastavro

from stroke.application.analyses.timestamps import without_time_types

SchemaOf = Callable[[int], str]
"""Gives a schema's text by its id in the registry. Raises ``LookupError`` for an unknown id."""

_FRAME: Final = struct.Struct(">bI")  # 0, the schema's id; then Avro
_MARK: Final = 0
# What fastavro raises about bytes that are not of the schema.
_UNREADABLE: Final = (ArithmeticError, EOFError, LookupError, TypeError, ValueError)


class Undecodable(ValueError):
    """Bytes that do not match their schema."""


def unframed(data: object) -> tuple[int, bytes] | None:
    """Return the id of the schema and the Avro bytes; None of what has no such frame."""
    if not isinstance(data, bytes) or len(data) <= _FRAME.size:
        return None
    mark, schema_id = _FRAME.unpack_from(data)
    return (schema_id, data[_FRAME.size :]) if mark == _MARK else None


class AvroReader:
    """Reads Avro by the schemas of a registry, parsing each one once."""

    def __init__(self, schema_of: SchemaOf) -> None:
        self._schema_of = schema_of
        self._parsed: dict[int, Any] = {}
        self._readable: dict[int, Any] = {}

    def schema(self, schema_id: int) -> Any:
        """Return a schema as JSON. Raises ``LookupError`` where the registry has none of this id.

        Raises ``BrokerUnavailable`` when the registry has to be asked, and does not answer.
        """
        if schema_id not in self._parsed:
            text = self._schema_of(schema_id)
            try:
                schema = json.loads(text)
                self._readable[schema_id] = fastavro.parse_schema(without_time_types(schema))
                self._parsed[schema_id] = schema
            except (fastavro.schema.SchemaParseException, ValueError) as error:
                raise LookupError(f"the schema {schema_id} is none of Avro") from error
        return self._parsed[schema_id]

    def read(self, schema_id: int, data: bytes) -> Any:
        """Return what ``data`` holds; times are numbers, as they are stored.

        Raises ``Undecodable``, and what ``schema`` raises.
        """
        self.schema(schema_id)
        try:
            return fastavro.schemaless_reader(io.BytesIO(data), self._readable[schema_id], None)
        except _UNREADABLE as error:
            raise Undecodable(f"not of the schema {schema_id}") from error
