"""Records of the Iceberg sink's control topic.

``data_written.bin`` is what ``AvroUtil`` of Iceberg 1.12 wrote for one data file with two rows.
"""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any, Final

from fastavro import parse_schema, schemaless_reader, schemaless_writer

WRITTEN: Final = Path(__file__).with_name("data_written.bin").read_bytes()
"""A record about the predictions 17 to 23, with bounds of their names: Canary-7341, Canary-7342."""
COLUMNS: Final = {5: "before.id", 7: "after.id"}
"""The numbers of the columns with ids; 6 and 8 have the names."""
_HEAD: Final = 4


def data_written(lowest: int | None, highest: int | None, *, name: str | None) -> bytes:
    """Return a record about predictions from ``lowest`` to ``highest``, with bounds of names."""
    (length,) = struct.unpack_from(">H", WRITTEN, 2)
    schema = parse_schema(_bare(json.loads(WRITTEN[_HEAD : _HEAD + length])), named_schemas={})
    event: Any = schemaless_reader(io.BytesIO(WRITTEN[_HEAD + length :]), schema, None)
    [file] = event["payload"]["data_files"]
    for bound, number in (("lower_bounds", lowest), ("upper_bounds", highest)):
        ids = [] if number is None else [{"key": 7, "value": struct.pack("<q", number)}]
        file[bound] = ids + ([] if name is None else [{"key": 8, "value": name.encode()}])
    content = io.BytesIO()
    schemaless_writer(content, schema, event)
    return WRITTEN[: _HEAD + length] + content.getvalue()


def start_commit() -> bytes:
    """Return a record that names no file."""
    parts = [
        {"name": "type", "type": "int"},
        {
            "name": "payload",
            "type": {
                "type": "record",
                "name": "StartCommit",
                "fields": [{"name": "commit_id", "type": "string"}],
            },
        },
    ]
    schema = {"type": "record", "name": "Event", "fields": parts}
    text = json.dumps(schema).encode()
    content = io.BytesIO()
    schemaless_writer(content, parse_schema(schema), {"type": 0, "payload": {"commit_id": "1"}})
    return b"\xc2\x01" + struct.pack(">H", len(text)) + text + content.getvalue()


def _bare(schema: Any) -> Any:
    """Leave out the namespaces: Java writes names in a way that fastavro reads as others."""
    if isinstance(schema, dict):
        return {key: _bare(part) for key, part in schema.items() if key != "namespace"}
    return [_bare(part) for part in schema] if isinstance(schema, list) else schema
