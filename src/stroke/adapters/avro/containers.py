"""Avro object container files, read in parts, and as far as they are whole.

Apache Avro specification 1.12, "Object Container Files". Each block ends with the file's sync
marker, so that a file can be entered in the middle, and what is broken costs its block alone.
"""

from __future__ import annotations

import bz2
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import fastavro
import pyarrow as pa

from stroke.adapters.avro.schemas import NotAvro, check_bounded
from stroke.application.analyses.timestamps import without_time_types

MAX_BLOCK_BYTES: Final = 32 * 1024 * 1024
"""What a block may have decompressed; writers end a block after some 16 kB to 1 MB."""

_SYNC_BYTES: Final = 16
_HEAD_BYTES: Final = (64 * 1024, 4 * 1024 * 1024)
_MORE_BYTES: Final = 1024 * 1024
_LONGEST_VARINT: Final = 10
_XZ_MEMORY: Final = 256 * 1024 * 1024


class RandomAccess(Protocol):
    """A file that is read at any place: ``count`` bytes (fewer at its end) from ``offset`` on."""

    def read_at(self, count: int, offset: int) -> bytes: ...

    def size(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Head:
    """What a file says of itself: its schema, and where and how its blocks are.

    ``readable`` is the schema by which records are read: times are numbers.
    """

    schema: Any
    readable: Any
    codec: str
    sync: bytes
    end: int


def read_head(file: RandomAccess) -> Head:
    """Read a file's header. Raises ``NotAvro``."""
    head = b""
    for size in _HEAD_BYTES:  # the second time only if the schema is longer than schemas are
        head = file.read_at(size, 0)
        stream = io.BytesIO(head)
        try:
            metadata = fastavro.reader(stream).metadata
            schema = json.loads(metadata["avro.schema"])
            check_bounded(schema)
            readable = fastavro.parse_schema(without_time_types(schema))
        except Exception as error:  # noqa: BLE001 - anything may come of bytes that mean nothing
            broken: Exception = error
            if len(head) < size:
                break
        else:
            codec = metadata.get("avro.codec", "null")
            if codec not in _DECOMPRESS:
                raise NotAvro(f"the codec {codec} is none of {', '.join(_DECOMPRESS)}")
            end = stream.tell()
            return Head(schema, readable, codec, head[end - _SYNC_BYTES : end], end)
    raise NotAvro("no header of an Avro file") from broken


def read_part(
    file: RandomAccess,
    head: Head,
    start: int,
    end: int,
    *,
    broken: Callable[[], object],
    max_block_bytes: int = MAX_BLOCK_BYTES,
) -> Iterator[list[Any]]:
    """Yield the records of each block that begins in ``start`` to ``end``.

    Parts that join give each block once. ``broken`` is called for each place where there is no
    block, and for each block without sense, of which no record is given: also for one with more
    than ``max_block_bytes`` decompressed, and for one with more records than bytes.
    """
    for count, content in _blocks(_between(file, head, start, end), head.sync, broken):
        try:
            records = _records(head, count, content, max_block_bytes)
        except Exception:  # noqa: BLE001 - anything may come of bytes that mean nothing
            broken()
        else:
            yield records


def _records(head: Head, count: int, content: bytes, most: int) -> list[Any]:
    plain = _DECOMPRESS[head.codec](content, most)
    if count > len(plain):  # each record has a byte: ``check_bounded``
        raise NotAvro("more records than bytes")
    stream = io.BytesIO(plain)
    records = [fastavro.schemaless_reader(stream, head.readable) for _ in range(count)]
    if stream.read(1):
        raise NotAvro("more bytes than records")
    return records


def _between(file: RandomAccess, head: Head, start: int, end: int) -> bytes:
    """Return the bytes of the blocks whose marker before them begins in ``start`` to ``end``."""
    size = file.size()
    end = min(end, size)
    # A marker that begins in the part may end after it.
    content = file.read_at(end - start + _SYNC_BYTES - 1, start)
    first = head.end - _SYNC_BYTES if start == 0 else content.find(head.sync)
    if first < 0 or first >= end - start:
        return b""
    searched = max(end - start, first + _SYNC_BYTES)
    while (last := content.find(head.sync, searched)) < 0:
        searched = max(searched, len(content) - _SYNC_BYTES + 1)
        more = file.read_at(_MORE_BYTES, start + len(content))
        if not more:
            return content[first + _SYNC_BYTES :]
        content += more
    return content[first + _SYNC_BYTES : last + _SYNC_BYTES]


def _blocks(
    content: bytes, sync: bytes, broken: Callable[[], object]
) -> Iterator[tuple[int, bytes]]:
    """Yield the number of records and the bytes of each block."""
    at = 0
    while at < len(content):
        count, begin = _long(content, at)
        size, begin = _long(content, begin)
        stop = begin + size
        if count >= 0 and size >= 0 and content[stop : stop + _SYNC_BYTES] == sync:
            yield count, content[begin:stop]
            at = stop + _SYNC_BYTES
            continue
        broken()
        found = content.find(sync, at)
        if found < 0:
            return
        at = found + _SYNC_BYTES


def _long(content: bytes, at: int) -> tuple[int, int]:
    """Return the zigzag number at a place, -1 for none, and the place after it."""
    value, after = _unsigned(content, at)
    return (-1 if value < 0 else (value >> 1) ^ -(value & 1)), after


def _unsigned(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(content[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a number has no high bit
            return value, at + index + 1
    return -1, at


def _snappy(content: bytes, most: int) -> bytes:
    """Snappy says first how long it will be, and Avro puts a checksum after it."""
    size, _ = _unsigned(content, 0)
    if size > most:
        raise NotAvro("a block that is too large")
    plain: bytes = pa.decompress(content[:-4], size, codec="snappy", asbytes=True)
    if zlib.crc32(plain) != int.from_bytes(content[-4:], "big"):
        raise NotAvro("another checksum")
    return plain


def _zstandard(content: bytes, most: int) -> bytes:
    plain: bytes = pa.CompressedInputStream(pa.BufferReader(content), "zstd").read(most + 1)
    return _bounded(plain, most)


def _plain(content: bytes, most: int) -> bytes:
    return _bounded(content, most)


def _by(decompressor: Callable[[], Any]) -> Callable[[bytes, int], bytes]:
    def decompress(content: bytes, most: int) -> bytes:
        stream = decompressor()
        plain: bytes = _bounded(stream.decompress(content, most + 1), most)
        if not stream.eof:
            raise NotAvro("a block that is not whole")
        return plain

    return decompress


def _bounded(plain: bytes, most: int) -> bytes:
    if len(plain) > most:
        raise NotAvro("a block that is too large")
    return plain


_DECOMPRESS: Final[Mapping[str, Callable[[bytes, int], bytes]]] = {
    "null": _plain,
    "deflate": _by(lambda: zlib.decompressobj(-zlib.MAX_WBITS)),
    "bzip2": _by(bz2.BZ2Decompressor),
    "xz": _by(lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY)),
    "snappy": _snappy,
    "zstandard": _zstandard,
}
