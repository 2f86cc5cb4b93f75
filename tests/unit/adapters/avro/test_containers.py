from __future__ import annotations

import io
import zlib
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.examples import examples
from stroke.adapters.avro.containers import read_head, read_part
from stroke.adapters.avro.schemas import NotAvro

SCHEMA = {
    "type": "record",
    "name": "thing",
    "fields": [{"name": "number", "type": "long"}, {"name": "text", "type": ["null", "string"]}],
}
CODECS = ("null", "deflate", "bzip2", "xz")


class Bytes:
    """A file in memory."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read_at(self, count: int, offset: int) -> bytes:
        return self.content[offset : offset + max(count, 0)]

    def size(self) -> int:
        return len(self.content)


def a_file(count: int, *, block: int = 200, codec: str = "null") -> bytes:
    sink = io.BytesIO()
    records = [{"number": n, "text": None if n % 3 else f"Ānna {n}"} for n in range(count)]
    fastavro.writer(sink, SCHEMA, records, codec=codec, sync_interval=block)
    return sink.getvalue()


def numbers(content: bytes, start: int = 0, end: int = 1 << 30) -> tuple[list[int], int]:
    """Return the numbers read from a part, and how many places were broken."""
    broken = list[None]()
    file = Bytes(content)
    blocks = read_part(file, read_head(file), start, end, broken=lambda: broken.append(None))
    return [record["number"] for block in blocks for record in block], len(broken)


@pytest.mark.parametrize("codec", CODECS)
def test_all_records_come_in_their_order(codec: str) -> None:
    assert numbers(a_file(500, codec=codec)) == (list(range(500)), 0)


def test_what_other_libraries_compress_is_read() -> None:
    """Snappy and Zstandard, which fastavro has no means to write here, made block by block."""
    for codec in ("snappy", "zstandard"):
        assert numbers(recompressed(a_file(300), codec)) == (list(range(300)), 0)


@given(st.integers(0, 80), st.integers(1, 400), st.integers(1, 400))
@settings(max_examples=examples(200))
def test_parts_that_join_give_each_record_once(count: int, block: int, part: int) -> None:
    content = a_file(count, block=block)
    found = [numbers(content, start, start + part) for start in range(0, len(content), part)]
    assert [number for read, _ in found for number in read] == list(range(count))
    assert not any(broken for _, broken in found)


@given(st.data())
@settings(max_examples=examples(200))
def test_what_is_broken_costs_its_block_alone(data: st.DataObject) -> None:
    content = bytearray(a_file(60, block=100))
    whole = bytes(content)
    begin = read_head(Bytes(whole)).end
    at = data.draw(st.integers(begin, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    read, _ = numbers(bytes(content))
    sync = read_head(Bytes(whole)).sync
    # The block that was hit, and where it was the marker at the end of one, the next one too.
    first = whole.rfind(sync, 0, at) + 16
    untouched = numbers(whole[:first])[0]
    after = whole.find(sync, whole.find(sync, at - 15) + 1)
    untouched += numbers(whole, after, len(whole))[0] if after > 0 else []
    missing = [number for number in untouched if number not in read]
    assert missing == []


@given(st.integers(0, 2000))
@settings(max_examples=examples(100))
def test_a_file_that_was_cut_off_gives_what_is_whole(length: int) -> None:
    whole = a_file(100, block=100)
    cut = whole[:length]
    try:
        read, broken = numbers(cut)
    except NotAvro:
        assert length < read_head(Bytes(whole)).end
        return
    assert read == list(range(len(read)))
    assert broken == (not cut.endswith(read_head(Bytes(whole)).sync))


@given(st.binary(max_size=300))
def test_what_is_no_avro_file_is_refused(content: bytes) -> None:
    for each in (content, b"Obj\x01" + content):
        with pytest.raises(NotAvro):
            read_head(Bytes(each))


def test_an_unknown_codec_is_refused() -> None:
    content = a_file(3).replace(b"\x08null", b"\x08lzip", 1)
    with pytest.raises(NotAvro, match="the codec lzip is none of null, deflate"):
        read_head(Bytes(content))


def test_a_schema_longer_than_usual_is_read_whole() -> None:
    schema: dict[str, Any] = {**SCHEMA, "doc": "x" * 100_000}
    sink = io.BytesIO()
    fastavro.writer(sink, schema, [{"number": 7, "text": None}])
    assert numbers(sink.getvalue()) == ([7], 0)


def recompressed(content: bytes, codec: str) -> bytes:
    """Return an uncompressed file with its blocks compressed by pyarrow, framed as Avro has it."""
    head = read_head(Bytes(content))
    made = content[: head.end].replace(b"\x08null", varint(len(codec)) + codec.encode(), 1)
    for block in fastavro.block_reader(io.BytesIO(content)):
        records = io.BytesIO()
        for record in block:
            fastavro.schemaless_writer(records, SCHEMA, record)
        plain = records.getvalue()
        pressed = pa.compress(plain, codec={"zstandard": "zstd"}.get(codec, codec), asbytes=True)
        if codec == "snappy":
            pressed += zlib.crc32(plain).to_bytes(4, "big")
        made += varint(block.num_records) + varint(len(pressed)) + pressed + head.sync
    return made


def varint(number: int) -> bytes:
    value, made = number << 1, bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])
