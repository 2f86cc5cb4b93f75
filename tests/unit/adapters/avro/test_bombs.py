"""Avro files that are small and would fill a machine: what they hold is skipped and counted."""

from __future__ import annotations

import bz2
import io
import json
import lzma
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import fastavro
import pyarrow as pa
import pytest

from stroke.adapters.avro.containers import read_head, read_part
from stroke.adapters.avro.schemas import NotAvro, check_bounded

SYNC = b"0123456789abcdef"
THING = {"type": "record", "name": "thing", "fields": [{"name": "text", "type": "string"}]}
MEGABYTE = 1_000_000


class Bytes:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def read_at(self, count: int, offset: int) -> bytes:
        return self.content[offset : offset + max(count, 0)]

    def size(self) -> int:
        return len(self.content)


def zigzag(number: int) -> bytes:
    left, found = number << 1, []
    while left > 0x7F:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*found, left])


def written(schema: Any, codec: str, *blocks: tuple[int, bytes]) -> Bytes:
    head = io.BytesIO()
    fastavro.schemaless_writer(
        head,
        {"type": "map", "values": "bytes"},
        {"avro.schema": json.dumps(schema).encode(), "avro.codec": codec.encode()},
    )
    body = b"".join(zigzag(count) + zigzag(len(each)) + each + SYNC for count, each in blocks)
    return Bytes(b"Obj\x01" + head.getvalue() + SYNC + body)


def records(file: Bytes, most: int = MEGABYTE) -> tuple[list[Any], int]:
    broken = list[None]()
    blocks = read_part(
        file,
        read_head(file),
        0,
        file.size(),
        broken=lambda: broken.append(None),
        max_block_bytes=most,
    )
    return [each for block in blocks for each in block], len(broken)


def deflated(plain: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(plain) + stream.flush()


def snappy(plain: bytes) -> bytes:
    packed: bytes = pa.compress(plain, codec="snappy", asbytes=True)
    return packed + zlib.crc32(plain).to_bytes(4, "big")


CODECS: dict[str, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": deflated,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "snappy": snappy,
    "zstandard": lambda plain: pa.compress(plain, codec="zstd", asbytes=True),
}


def text(size: int) -> bytes:
    return zigzag(size) + b"x" * size


@pytest.mark.parametrize("codec", CODECS)
def test_a_block_that_unpacks_to_more_than_the_limit_is_one_broken_place(codec: str) -> None:
    pack = CODECS[codec]
    large, small = (1, pack(text(40 * MEGABYTE))), (1, pack(text(3)))
    file = written(THING, codec, small, large, small)
    del large
    tracemalloc.start()
    try:
        found = records(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == ([{"text": "xxx"}] * 2, 1)
    if codec != "null":  # its block is in the file, as it is
        assert peak < 20 * MEGABYTE


@pytest.mark.parametrize("codec", ["deflate", "bzip2", "xz"])
def test_a_block_that_breaks_off_is_broken(codec: str) -> None:
    pack = CODECS[codec]
    cut = pack(bytes(range(256)) * 50)[:-6]
    assert records(written(THING, codec, (1, cut), (1, pack(text(3))))) == ([{"text": "xxx"}], 1)


def test_a_snappy_block_that_says_it_is_endless_is_broken() -> None:
    endless = b"\xff\xff\xff\xff\x0f" + b"x" * 20
    file = written(THING, "snappy", (1, endless), (1, snappy(text(3))))
    assert records(file) == ([{"text": "xxx"}], 1)


def test_a_block_of_more_records_than_bytes_is_broken() -> None:
    schema = ["null", THING]
    file = written(schema, "null", (2**40, b"\0" * 9), (1, b"\0"))
    assert records(file) == ([None], 1)


ITSELF = {
    "type": "record",
    "name": "a.list",
    "fields": [{"name": "next", "type": ["null", "list"]}],
}
EMPTY = {"type": "record", "name": "empty", "fields": []}
ENDLESS: dict[str, Any] = {
    "a type inside itself": ITSELF,
    "a type inside itself by its full name": json.loads(
        json.dumps(ITSELF).replace('"list"]', '"a.list"]')
    ),
    "an array of nothing": {"type": "array", "items": "null"},
    "an array of empty records": {"type": "array", "items": EMPTY},
    "an array of fixed nothing": {
        "type": "array",
        "items": {"type": "fixed", "name": "f", "size": 0},
    },
    "an array of a name that is nothing": [EMPTY, {"type": "array", "items": "empty"}],
    "an array inside a map": {"type": "map", "values": {"type": "array", "items": EMPTY}},
    "nothing": "null",
    "an empty record": EMPTY,
    "a record of nothing": {**THING, "fields": [{"name": "n", "type": "null"}]},
    "no schema": 5,
    "a type that is none": {"type": 5},
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_schema_of_values_without_end_is_none(kind: str) -> None:
    with pytest.raises(NotAvro):
        check_bounded(ENDLESS[kind])
    with pytest.raises(NotAvro):
        read_head(written(ENDLESS[kind], "null", (2**60, b"")))


def test_a_schema_that_is_too_deep_is_none() -> None:
    schema: Any = "int"
    for _ in range(100):
        schema = {"type": "array", "items": schema}
    with pytest.raises(NotAvro):
        check_bounded(schema)


@pytest.mark.parametrize(
    "schema",
    [
        THING,
        ["null", THING],
        {"type": "array", "items": ["null", "int"]},
        {"type": "map", "values": "null"},
        [THING, {"type": "array", "items": "thing"}],
        [{"type": "enum", "name": "e", "symbols": ["a"]}, {"type": "array", "items": "e"}],
        {"type": {"type": "array", "items": {"type": "string", "logicalType": "uuid"}}},
    ],
)
def test_other_schemas_are_taken(schema: Any) -> None:
    check_bounded(schema)
