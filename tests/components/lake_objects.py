"""Looks for a text in every object of a bucket, in what is compressed, too."""

from __future__ import annotations

import gzip
import io
from typing import Any

import pyarrow.parquet as pq
from pyiceberg.avro.file import AvroFile
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.typedef import Record

from components.object_store import LIMIT, ObjectStore

_CLIENT = {
    "s3.access-key-id": "local",
    "s3.secret-access-key": "local",
    "s3.region": "us-east-1",
    "s3.connect-timeout": str(LIMIT),
    "s3.request-timeout": str(LIMIT),
}


def objects_with(store: ObjectStore, bucket: str, text: str) -> list[str]:
    """Return the paths of the objects that hold ``text``, as it is or in a row, sorted."""
    reading = PyArrowFileIO({"s3.endpoint": store.endpoint, **_CLIENT})
    found = []
    for path in sorted(store.paths(bucket)):
        with store.files.open_input_stream(path) as stream:
            content = bytes(stream.read())
        if text.encode() in content or text in _rows(reading, path, content):
            found.append(path)
    return found


def _rows(reading: PyArrowFileIO, path: str, content: bytes) -> str:
    if path.endswith(".parquet"):
        return repr(pq.read_table(io.BytesIO(content)).to_pylist())
    if path.endswith(".avro"):
        with AvroFile[Record](reading.new_input(f"s3://{path}")) as records:
            return "\n".join(_shown(record) for record in records)
    if path.endswith(".gz.metadata.json"):
        return gzip.decompress(content).decode()
    return ""


def _shown(value: Any) -> str:
    """Return all of a record as text: the bounds in a manifest are bytes."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Record):
        return " ".join(_shown(value[at]) for at in range(len(value)))
    if isinstance(value, dict):
        return " ".join(_shown(each) for pair in value.items() for each in pair)
    if isinstance(value, list | tuple):
        return " ".join(map(_shown, value))
    return str(value)
