"""What the sink notes for itself of the data files that it wrote, in its control topic.

A record is an Avro value with its schema before it, as Iceberg's ``AvroEncoderUtil`` writes it. One
that names data files has the bounds of their columns: of a table of an earlier version, the
smallest and the largest value of each, such as the first 16 characters of a name.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from fastavro import parse_schema, schemaless_reader
from fastavro.schema import SchemaParseException, UnknownType

from stroke.adapters.iceberg.bounds import BOUNDED
from stroke.adapters.iceberg.catalog import Lake, unavailable

CONTROL_TOPICS: Final = "control-iceberg"
"""How the names of all control topics begin (connectors/s3-sink.json)."""
_MAGIC: Final = b"\xc2\x01"
_LENGTH: Final = struct.Struct(">H")
_LONG: Final = struct.Struct("<q")
_IDS: Final = ("before.id", "after.id")
_LISTS_OF_FILES: Final = ("data_files", "delete_files")
_BOUNDS: Final = ("lower_bounds", "upper_bounds")
# Java names types in a way that other readers take for types of an enclosing name.
_NAMESPACE: Final = "namespace"
_UNREADABLE: Final = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    RecursionError,
    struct.error,
    SchemaParseException,
    UnknownType,
)

Reader = Callable[[bytes, frozenset[int]], frozenset[int]]
"""Returns of which of some predictions a record may hold values."""


def control_reader(lake: Lake) -> Reader:
    """Return what reads records about the table of ``lake``. Raises ``ReplicaUnavailable``."""
    table = lake.find()
    if table is None:
        return reader_of({})
    with unavailable(lake.identifier):
        schema = table.schema()
        return reader_of({schema.find_field(name).field_id: name for name in BOUNDED})


def reader_of(columns: Mapping[int, str]) -> Reader:
    """Return what reads records about a table that has ``BOUNDED`` by these numbers.

    A record may hold values of each prediction whose id is within the bounds of a file, if the file
    has bounds of other columns than these. One that cannot be read may hold anything.
    """

    def about(record: bytes, ids: frozenset[int]) -> frozenset[int]:
        try:
            files = list(_files(record))
            return frozenset().union(*(_in_file(file, columns, ids) for file in files))
        except _UNREADABLE:
            return ids

    return about


def _files(record: bytes) -> Iterator[Mapping[str, Any]]:
    """Give the data files that a record names; most records name none."""
    if not record.startswith(_MAGIC):
        raise ValueError("not a record of the sink")
    start = len(_MAGIC) + _LENGTH.size
    (length,) = _LENGTH.unpack_from(record, len(_MAGIC))
    schema = _schema(record[start : start + length])
    event: Any = schemaless_reader(io.BytesIO(record[start + length :]), schema, None)
    for name in _LISTS_OF_FILES:
        yield from event["payload"].get(name) or ()


@lru_cache(maxsize=64)
def _schema(written: bytes) -> Any:
    """Return a schema; that of a table stands before each of its records."""
    return parse_schema(_without_namespaces(json.loads(written)), named_schemas={})


def _without_namespaces(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _without_namespaces(part) for key, part in schema.items() if key != _NAMESPACE}
    return [_without_namespaces(part) for part in schema] if isinstance(schema, list) else schema


def _in_file(
    file: Mapping[str, Any], columns: Mapping[int, str], ids: frozenset[int]
) -> frozenset[int]:
    bounds: dict[int, list[bytes]] = {}
    for name in _BOUNDS:
        for each in file[name] or ():
            bounds.setdefault(each["key"], []).append(each["value"])
    if bounds.keys() <= columns.keys():
        return frozenset()
    known = [
        _LONG.unpack(bound)[0]
        for number, column in columns.items()
        if column in _IDS
        for bound in bounds.get(number, ())
    ]
    return frozenset(each for each in ids if min(known) <= each <= max(known)) if known else ids
