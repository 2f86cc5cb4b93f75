"""What a Parquet file says of its columns, and the headers of their pages, without pyarrow.

The metadata at the end of a file may say anything of sizes. A page's header may not: a reader
unpacks exactly as many bytes, and decodes at most as many values, as the header says. So these are
the figures that bound what a batch can take, and here they are read before anything is unpacked.
pyarrow does not show them. It shows the metadata, but it ends the process where these have
statistics that contradict each other (26.0.1), so they are read here, too: Thrift's compact
protocol, as parquet.thrift of the format has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from os import SEEK_END
from typing import Any, BinaryIO, Final, NamedTuple

import pyarrow as pa

MAX_HEADER_BYTES: Final = 16 * 1024 * 1024
"""What the header of a page may take: what pyarrow allows."""

_FIRST_READ: Final = 512
_DEEPEST: Final = 32

# The types of fields in Thrift's compact protocol.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)

_LONG: Final = 15  # a list whose length follows

# The fields of the metadata of a file, of a row group, of a column.
_SCHEMA: Final = 2
_GROUPS: Final = 4
_COLUMNS, _ROWS = 1, 3
_METADATA: Final = 3
_CHUNK_FIELDS: Final = (1, 4, 5, 6, 7, 9)
_DICTIONARY_AT: Final = 11

# The fields of a page's header, and the types of pages (parquet.thrift).
_TYPE, _UNPACKED, _PACKED = 1, 2, 3
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_DETAILS: Final = {_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}
_VALUES: Final = 1
_ENCODING: Final = {_DATA: 2, _DICTIONARY: 2, _DATA_V2: 4}

DELTA_BYTE_ARRAY: Final = 7
REFERENCES: Final = frozenset({2, 8})
"""The encodings whose values refer to the dictionary (PLAIN_DICTIONARY and RLE_DICTIONARY)."""

# By their numbers in the format; pyarrow alone unpacks the others.
_CODECS: Final = {0: "", 1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd"}

BYTE_ARRAY: Final = 6
WIDTHS: Final = {0: 1, 1: 4, 2: 8, 3: 12, 4: 4, 5: 8}
"""Bytes of a value of each physical type that has one width by itself."""


class Metadata(NamedTuple):
    """How many bytes the metadata take, and how many columns they have.

    A column that holds others counts as one more.
    """

    size: int
    columns: int


class Chunk(NamedTuple):
    """One column of one row group, as the metadata have it. Sizes are in bytes."""

    kind: int
    codec: int
    values: int
    unpacked: int
    packed: int
    data_at: int
    dictionary_at: int


class Group(NamedTuple):
    """One row group."""

    rows: int
    columns: tuple[Chunk, ...]


class Page(NamedTuple):
    """One page: how many values it has, in which encoding, and what it takes.

    ``unpacked`` and ``packed`` are bytes without the header; the page begins at ``start``.
    """

    is_dictionary: bool
    values: int
    encoding: int
    unpacked: int
    packed: int
    start: int

    @property
    def size(self) -> int:
        """What the page takes: of a column that is not packed, no one reads ``unpacked``."""
        return max(self.unpacked, self.packed)


class DamagedPages(Exception):
    """The pages are not as their column needs them, or no pages."""


def metadata_of(stream: BinaryIO) -> Metadata:
    """Return how large the metadata of the file ``stream`` are. Raises ``DamagedPages``."""
    size = _to_metadata(stream)
    try:
        elements = _Thrift(stream.read(_FIRST_READ)).length_of(_SCHEMA)
    except IndexError:
        raise DamagedPages from None
    return Metadata(size, elements - 1)  # one is the table


def groups_of(stream: BinaryIO) -> list[Group]:
    """Return the row groups of the file ``stream``. Raises ``DamagedPages``."""
    length = _to_metadata(stream)
    try:
        found = _Thrift(stream.read(length)).struct()
    except IndexError:
        raise DamagedPages from None
    return [_group_of(group) for group in _structs(found.get(_GROUPS, []))]


def _to_metadata(stream: BinaryIO) -> int:
    """Go to where the metadata begin; return their length."""
    size = stream.seek(0, SEEK_END)
    stream.seek(max(size - 8, 0))
    length = int.from_bytes(stream.read(4), "little")
    if length + 8 > size:
        raise DamagedPages
    stream.seek(size - 8 - length)
    return length


def pages_of(stream: BinaryIO, chunk: Chunk, size: int) -> Iterator[Page]:
    """Yield the pages of a column chunk of the file ``stream``, which has ``size`` bytes.

    As many as hold the chunk's values. Raises ``DamagedPages`` where they hold another number of
    values, and where a page cannot be what its header says.
    """
    position = chunk.data_at
    if 0 < chunk.dictionary_at < position:
        position = chunk.dictionary_at
    if position < 0:
        raise DamagedPages
    left = chunk.values
    while left > 0:
        page = _page_at(stream, position, size)
        position = page.start + page.packed
        if page.values < 0 or page.unpacked < 0 or page.packed < 0 or position > size:
            raise DamagedPages
        if not page.is_dictionary:
            left -= page.values
        yield page
    if left:
        raise DamagedPages


def longest_text(stream: BinaryIO, chunk: Chunk, page: Page) -> int:
    """Return the length in bytes of the longest text in a dictionary's page.

    Where the page is packed as pyarrow alone can unpack it, the length of all together. Raises
    ``DamagedPages``.
    """
    codec = _CODECS.get(chunk.codec)
    if codec is None:
        return page.size
    stream.seek(page.start)
    content = stream.read(page.packed)
    if codec:
        try:
            content = pa.Codec(codec).decompress(content, page.unpacked, asbytes=True)
        except (pa.ArrowException, OSError) as error:
            raise DamagedPages from error
    longest = position = 0
    for _ in range(page.values):
        length = int.from_bytes(content[position : position + 4], "little")
        longest = max(longest, length)
        position += 4 + length
    if position > len(content):
        raise DamagedPages
    return longest


def _group_of(group: Mapping[int, Any]) -> Group:
    rows = group.get(_ROWS)
    columns = _structs(group.get(_COLUMNS, []))
    if not isinstance(rows, int) or rows < 0:
        raise DamagedPages
    return Group(rows, tuple(_chunk_of(column.get(_METADATA)) for column in columns))


def _chunk_of(metadata: Any) -> Chunk:
    if not isinstance(metadata, dict):
        raise DamagedPages
    said = [*map(metadata.get, _CHUNK_FIELDS), metadata.get(_DICTIONARY_AT, 0)]
    if not all(isinstance(each, int) for each in said):
        raise DamagedPages
    return Chunk(*said)


def _structs(found: Any) -> list[dict[int, Any]]:
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise DamagedPages
    return found


def _page_at(stream: BinaryIO, position: int, size: int) -> Page:
    wanted = _FIRST_READ
    while True:
        stream.seek(position)
        text = stream.read(wanted)
        thrift = _Thrift(text)
        try:
            header = thrift.struct()
        except IndexError:
            if wanted >= MAX_HEADER_BYTES or position + wanted >= size:
                raise DamagedPages from None
            wanted *= 8
        else:
            return _page_of(header, position + thrift.position)


def _page_of(header: Mapping[int, Any], start: int) -> Page:
    kind = header.get(_TYPE)
    details = header.get(_DETAILS.get(kind, 0)) if isinstance(kind, int) else None
    if not isinstance(kind, int) or not isinstance(details, dict):
        raise DamagedPages  # also of a page of an index, which no one writes among the others
    said = (details.get(_VALUES), details.get(_ENCODING[kind]))
    sizes = (header.get(_UNPACKED), header.get(_PACKED))
    if not all(isinstance(each, int) for each in (*said, *sizes)):
        raise DamagedPages
    return Page(kind == _DICTIONARY, *said, *sizes, start)  # type: ignore[arg-type]


class _Thrift:
    """Reads structs of Thrift's compact protocol. Raises ``IndexError`` where the text ends."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self.position = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Return the fields of the struct that begins here, by their numbers."""
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            kind = head & 0x0F
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return fields

    def length_of(self, wanted: int) -> int:
        """Return how many values the list has that is the field ``wanted``, without reading them.

        The fields before it are read. Raises ``DamagedPages`` where it is no list, or not there.
        """
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            kind = head & 0x0F
            if number == wanted and kind == _LIST:
                return self._length()[0]
            if kind not in (_TRUE, _FALSE):
                self._value(kind, 0)
        raise DamagedPages

    def _length(self) -> tuple[int, int]:
        """Return the length of the list that begins here, and the type of its values."""
        head = self._byte()
        return head >> 4 if head >> 4 != _LONG else self._unsigned(), head & 0x0F

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _DEEPEST:
            raise DamagedPages
        if kind in _READERS:
            return _READERS[kind](self)
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in (_LIST, _SET):
            count, of = self._length()
            return [self._value(of, depth + 1) for _ in range(count)]
        raise DamagedPages  # the format has no maps

    def _byte(self) -> int:
        self.position += 1
        return self._text[self.position - 1]

    def _unsigned(self) -> int:
        number = shift = 0
        while (byte := self._byte()) & 0x80:
            number |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:  # noqa: PLR2004 -- bits of the longest number
                raise DamagedPages
        return number | byte << shift

    def _signed(self) -> int:
        number = self._unsigned()
        return (number >> 1) ^ -(number & 1)

    def _skip(self, count: int) -> None:
        self.position += count
        if self.position > len(self._text):
            raise IndexError

    def _skip_text(self) -> None:
        self._skip(self._unsigned())


_READERS: Final[Mapping[int, Callable[[_Thrift], Any]]] = {
    _TRUE: _Thrift._byte,  # noqa: SLF001 -- in a list, a flag takes a byte
    _FALSE: _Thrift._byte,  # noqa: SLF001
    _BYTE: _Thrift._byte,  # noqa: SLF001
    _I16: _Thrift._signed,  # noqa: SLF001
    _I32: _Thrift._signed,  # noqa: SLF001
    _I64: _Thrift._signed,  # noqa: SLF001
    _DOUBLE: lambda thrift: thrift._skip(8),  # noqa: SLF001
    _BINARY: _Thrift._skip_text,  # noqa: SLF001
}
