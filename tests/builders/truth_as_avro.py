"""The change log of ``change_log`` as an older deployment's S3 sink left it: Avro files.

They lie under ``topics/<topic>/partition=0/``. What orders events is the binlog: the file after
999999 is 1000000, which comes before it as text. Two versions of the table's schema, tombstones,
and things that are no events lie among them.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import fastavro
from pyarrow import fs

from builders.truth import EVENTS, NEW, Change

TOPIC = "dbserver1.stroke_predictions.predictions"
FOLDER = f"topics/{TOPIC}/partition=0"
_BINLOGS = ("mysql-bin.999999", "mysql-bin.1000000")
_FIRST_POSITION = 4

Record = Mapping[str, Any]

MICROS = {"type": "long", "connect.name": "io.debezium.time.MicroTimestamp"}
MILLIS = {"type": "long", "connect.name": "io.debezium.time.Timestamp"}
_ROW: Mapping[str, Any] = {
    "timestamp": MICROS,
    "gender": "string",
    "age": "double",
    "hypertension": "int",
    "heart_disease": "int",
    "avg_glucose_level": "double",
    "bmi": "double",
    "smoking_status": "string",
    "name": "string",
    "country": "string",
    "province": "string",
    "probability": "double",
    "risk_category": "string",
    "contributing_factors": {"type": "string", "connect.name": "io.debezium.data.Json"},
    "prediction_data": {"type": "string", "connect.name": "io.debezium.data.Json"},
}
NEWER: Mapping[str, Any] = {**_ROW, "model_version": "string"}
OLDER: Mapping[str, Any] = {**_ROW, "timestamp": MILLIS}


def schema_of(row: Mapping[str, Any]) -> Any:
    """Return Debezium's envelope of a table with the ``row``'s columns, or a tombstone."""
    columns: list[Any] = [{"name": n, "type": ["null", kind]} for n, kind in row.items()]
    value = {
        "type": "record",
        "name": "Value",
        "fields": [{"name": "id", "type": "long"}, *columns],
    }
    source = {"file": "string", "pos": "long", "row": "int", "ts_ms": "long"}
    fields: list[Any] = [{"name": name, "type": kind} for name, kind in source.items()]
    fields += [{"name": name, "type": ["null", "long"]} for name in ("ts_us", "ts_ns")]
    envelope = {
        "type": "record",
        "name": "Envelope",
        "namespace": TOPIC,
        "fields": [
            {"name": "before", "type": ["null", value], "default": None},
            {"name": "after", "type": ["null", "Value"], "default": None},
            {"name": "source", "type": {"type": "record", "name": "Source", "fields": fields}},
            {"name": "op", "type": "string"},
            {"name": "ts_ms", "type": ["null", "long"], "default": None},
        ],
    }
    return fastavro.parse_schema(["null", envelope])


def envelope(change: Change, row: Mapping[str, Any] = NEWER) -> Record:
    """Return a change as the connector sent it."""
    number = change["prediction_id"]
    after = {name: change.get(name) for name in row} | {"id": number}
    after["timestamp"] = change["timestamp_us"]
    if row["timestamp"] is MILLIS and after["timestamp"] is not None:
        after["timestamp"] //= 1000
    made_anew = change["cluster"] == NEW
    source = {
        "file": _BINLOGS[made_anew],
        "pos": _FIRST_POSITION + change["place"],
        "row": change["turn"],
        "ts_ms": change["ts_us"] // 1000,
        "ts_us": change["ts_us"],
    }
    return {
        "op": change["op"],
        "before": {"id": number} if change["op"] in "ud" else None,
        "after": None if change["op"] == "d" else after,
        "source": source,
        # When it was read: another time for what is sent twice.
        "ts_ms": change["ts_us"] // 1000 + change["place"],
    }


SCHEMAS: Mapping[int, Mapping[str, Any]] = {7: OLDER, 300: NEWER}
"""The row's columns in the schemas that ``kafka_value`` names, by their id at the registry."""


def schema_text(schema_id: int) -> str:
    """Stand in for the registry. Raises ``LookupError`` for an unknown id."""
    return json.dumps(_on_topic(schema_id))


def _on_topic(schema_id: int) -> Any:
    """Return the schema of an envelope alone: on the topic a tombstone has none."""
    return schema_of(SCHEMAS[schema_id])[1]


def framed(record: Record, schema_id: int) -> bytes:
    """Return a record as Kafka Connect's converter frames it."""
    sink = io.BytesIO()
    fastavro.schemaless_writer(sink, _on_topic(schema_id), record)
    return struct.pack(">bI", 0, schema_id) + sink.getvalue()


def kafka_value(change: Change) -> bytes:
    """Return a change as the value of its record on the topic."""
    schema_id = 7 if change["op"] == "r" else 300
    return framed(envelope(change, SCHEMAS[schema_id]), schema_id)


def avro_file(
    records: Iterable[Record | None], row: Mapping[str, Any] = NEWER, **options: Any
) -> bytes:
    """Return the records as a file."""
    sink = io.BytesIO()
    fastavro.writer(sink, schema_of(row), records, **options)
    return sink.getvalue()


def write(files: fs.FileSystem, path: str, content: bytes) -> None:
    files.create_dir(path.rpartition("/")[0], recursive=True)
    with files.open_output_stream(path) as stream:
        stream.write(content)


def write_change_log(files: fs.FileSystem, root: str, changes: Sequence[Change] = EVENTS) -> str:
    """Write the change log below ``root``, with garbage in it; returns the folder of its topic."""
    folder = f"{root}/{FOLDER}"
    for offset, content in enumerate(_objects(changes)):
        write(files, f"{folder}/{TOPIC}+0+{offset:010d}.avro", content)
    write(files, f"{folder}/{TOPIC}+0+0000000000.keys.avro", b"a key")
    write(files, f"{folder}/_SUCCESS", b"")
    return f"{root}/topics/{TOPIC}"


GARBAGE = {"tombstones": 3, "strange_records": 2, "unreadable_objects": 3, "broken_places": 1}
"""What is among the events of ``write_change_log``."""


def _objects(changes: Sequence[Change]) -> Iterator[bytes]:
    """Yield the files: the newest first, and each with some of the events."""
    adopted = [change for change in changes if change["op"] == "r"]
    newer = [change for change in changes if change["op"] != "r"][::-1]
    yield avro_file([envelope(change, OLDER) for change in adopted], OLDER)
    yield avro_file([None, *map(envelope, newer[:5]), None], codec="deflate")
    yield avro_file([*map(envelope, newer[5:9]), _no_change("t"), _no_change("c"), None])
    broken = avro_file(map(envelope, newer[9:]), sync_interval=1)
    yield broken + b"\x02\xff\xffcut off"
    yield b""
    yield b'{"op": "c"}\n'
    yield broken[:100]


def _no_change(op: str) -> Record:
    source = {"file": "mysql-bin.000001", "pos": 1, "row": 0, "ts_ms": 0}
    return {"op": op, "before": None, "after": None, "source": source}
