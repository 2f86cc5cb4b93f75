"""Parquet files of one column, page by page, whose metadata may say anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

BYTE_ARRAY, INT64, FIXED = 6, 2, 7
PLAIN, RLE, DELTA_PACKED, DICTIONARY = 0, 3, 5, 8
_ZSTD = 6


class Long(int):
    """A number of 64 bits."""


@dataclass(frozen=True)
class Page:
    """A page: its content, and what its header says of it (what is true, where it is None)."""

    content: bytes
    values: int
    encoding: int = PLAIN
    is_dictionary: bool = False
    unpacked: int | None = None
    packed: int | None = None


def written(
    path: Path,
    pages: Sequence[Page],
    *,
    rows: int,
    kind: int = BYTE_ARRAY,
    length: int | None = None,
    says_dictionary: bool = True,
    values: int | None = None,
    unpacked: int | None = None,
    packs: bool = True,
) -> Path:
    """Write the column ``note``; ``values`` and ``unpacked`` are what the metadata say of it."""
    body = b"PAR1"
    offsets: dict[bool, int] = {}
    total = 0
    for page in pages:
        packed = page.content
        if packs:
            packed = pa.Codec("zstd").compress(packed, asbytes=True)
        said: dict[int, object] = {1: page.values, 2: page.encoding}
        if not page.is_dictionary:
            said |= {3: RLE, 4: RLE}
        header = struct(
            {
                1: 2 if page.is_dictionary else 0,
                2: len(page.content) if page.unpacked is None else page.unpacked,
                3: len(packed) if page.packed is None else page.packed,
                7 if page.is_dictionary else 5: said,
            }
        )
        offsets.setdefault(page.is_dictionary, len(body))
        total += len(header) + len(page.content)
        body += header + packed
    start = min(offsets.values())
    count = Long(rows if values is None else values)
    column: dict[int, object] = {
        1: kind,
        2: [PLAIN],
        3: ["note"],
        4: _ZSTD if packs else 0,
        5: count,
        6: Long(total if unpacked is None else unpacked),
        7: Long(len(body) - 4),
        9: Long(offsets[False] if says_dictionary else start),
    }
    if True in offsets and says_dictionary:
        column[11] = Long(offsets[True])
    element: dict[int, object] = {1: kind, 3: 0, 4: "note"}
    if length is not None:
        element[2] = length
    group = {1: [{2: Long(4), 3: column}], 2: Long(total), 3: Long(rows)}
    schema = [{4: "schema", 5: 1}, dict(sorted(element.items()))]
    footer = struct({1: 1, 2: schema, 3: Long(rows), 4: [group]})
    path.write_bytes(body + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    return path


def struct(fields: Mapping[int, object]) -> bytes:
    """Return a struct of Thrift's compact protocol."""
    text, last = b"", 0
    for number, value in fields.items():
        text += bytes([(number - last) << 4 | _kind(value)]) + _content(value)
        last = number
    return text + b"\0"


def texts(*values: bytes) -> bytes:
    """Return texts as PLAIN has them."""
    return b"".join(len(value).to_bytes(4, "little") + value for value in values)


def references(count: int) -> bytes:
    """Return ``count`` references to the first value of a dictionary."""
    return b"\x01" + _varint(count << 1) + b"\0"


def packed_deltas(count: int) -> bytes:
    """Return the head of ``count`` equal numbers as DELTA_BINARY_PACKED has them."""
    return _varint(128) + _varint(4) + _varint(count) + _varint(0) + _varint(0) + bytes(4)


def _kind(value: object) -> int:
    if isinstance(value, Long):
        return 6
    kinds: dict[type, int] = {int: 5, str: 8, dict: 12, list: 9}
    return kinds[type(value)]


def _content(value: object) -> bytes:
    if isinstance(value, int):
        return _varint(value << 1 if value >= 0 else ~(value << 1))
    if isinstance(value, str):
        return _varint(len(value)) + value.encode()
    if isinstance(value, dict):
        return struct(value)
    assert isinstance(value, list)
    assert len(value) < 15
    return bytes([len(value) << 4 | _kind(value[0])]) + b"".join(map(_content, value))


def _varint(number: int) -> bytes:
    found = []
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])
