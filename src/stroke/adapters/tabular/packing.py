"""What a file is by its first bytes: packed text, or something else that is named.

The end of a file's name says nothing here: people rename files.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import pyarrow as pa

from stroke.domain.errors import InvalidData

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

HEAD_BYTES: Final = 256 * 1024
"""So much of a file is looked at to know what it is."""

_PARQUET: Final = b"PAR1"
_BLOCK: Final = 1024 * 1024
_GZIP, _ZSTD, _BZIP2, _XZ, _ZIP = (
    b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"PK\x03\x04",
)
_SUFFIXES: Final = {".gz": _GZIP, ".zst": _ZSTD, ".bz2": _BZIP2, ".xz": _XZ, ".zip": _ZIP}
_SAVE_AS: Final = "save the sheet as CSV (UTF-8)"
# The first bytes of what people take for a table of text, what it is, and what to do.
_OTHERS: Final = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)", _SAVE_AS),
    (_PARQUET, "a Parquet file", "`stroke score` reads it"),
    (b"SQLite format 3\x00", "a SQLite database", "export the table as CSV"),
    (b"ARROW1", "an Arrow file", "write it as Parquet or CSV"),
    (b"Obj\x01", "an Avro file", "write it as Parquet or CSV"),
    (b"ORC", "an ORC file", "write it as Parquet or CSV"),
    (b"$FL2", "an SPSS file (.sav)", "export it as CSV"),
    (b"$FL3", "an SPSS file (.zsav)", "export it as CSV"),
    (b"<stata_dta>", "a Stata file", "export it as CSV"),
    (b"RDX", "an R workspace", "write the table with write.csv"),
    (b"\x89HDF", "an HDF5 file", "write it as Parquet or CSV"),
    (b"\x80\x04\x95", "a Python pickle", "write it as Parquet or CSV"),
    (b"\x80\x05\x95", "a Python pickle", "write it as Parquet or CSV"),
    (b"%PDF", "a PDF", "get the table as CSV"),
    (b"PGDMP", "a custom-format dump of PostgreSQL", "export the table as CSV"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it"),
    (b"Rar!", "a RAR archive", "unpack it"),
    (b"{\\rtf", "an RTF document", "save the table as CSV (UTF-8)"),
)
_SAS: Final = b"\xc2\xea\x81\x60\xb3\x14\x11\xcf\xbd\x92\x08\x00\x09\xc7\x31\x8c"
_TAR: Final = b"ustar"  # at byte 257
_MARKUP: Final = re.compile(rb"\s*(?:<\?xml|<!doctype|<html|<table|<meta)", re.IGNORECASE)
_JSON: Final = re.compile(rb'\s*(?:\[\s*[\[{"\d]|\{\s*["}])')
_WORKBOOK: Final = (b"xl/", b"[Content_Types].xml", b"opendocument.spreadsheet")


class Replayed(BufferedIOBase):
    """A stream whose first bytes were read already, and come again."""

    def __init__(self, head: bytes, rest: BufferedIOBase | BinaryIO) -> None:
        self._head = head
        self._rest = cast("BufferedIOBase", rest)

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1, /) -> bytes:
        if self._head:
            size = len(self._head) if size < 0 else size
            piece, self._head = self._head[:size], self._head[size:]
            return piece
        return self._rest.read1(size if size >= 0 else _BLOCK)

    def read(self, size: int | None = -1, /) -> bytes:
        missing = -1 if size is None else size
        pieces = []
        while missing and (piece := self.read1(missing if missing > 0 else _BLOCK)):
            pieces.append(piece)
            missing -= len(piece) if missing > 0 else 0
        return b"".join(pieces)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        piece = self.read(len(view))
        view[: len(piece)] = piece
        return len(piece)


class _Whole(BufferedIOBase):
    """Gives a stream that has nothing but ``read`` what a buffered one has."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1, /) -> bytes:
        return bytes(self._stream.read(size if size >= 0 else _BLOCK))

    def read(self, size: int | None = -1, /) -> bytes:
        return bytes(self._stream.read(-1 if size is None else size))


def head_of(stream: BufferedIOBase | BinaryIO, size: int = HEAD_BYTES) -> bytes:
    """Read up to ``size`` bytes, one system call at a time, so that signals get their turn."""
    pieces, missing = [], size
    while missing and (piece := cast("BufferedIOBase", stream).read1(missing)):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


@contextmanager
def unpacked(name: str, stream: BufferedIOBase | BinaryIO) -> Iterator[tuple[bytes, Replayed]]:
    """Give the first bytes of the text in ``stream``, and the stream of all of it.

    What is packed (gzip, Zstandard, bzip2, xz, or a zip with one file) is unpacked. Raises
    ``InvalidData`` for what is no text, by its name, and for damaged packing.
    """
    packed = head_of(stream)
    for suffix, first in _SUFFIXES.items():
        if name.lower().endswith(suffix) and not packed.startswith(first):
            raise InvalidData(f"{name} is not packed as {suffix} says: it is damaged or misnamed")
    try:
        plain = _plain(name, packed, Replayed(packed, stream), stream)
        head = packed if plain is None else head_of(plain)
        _refuse_others(name, head)
        if plain is not None and _is_packed(head):
            raise InvalidData(f"{name} is packed twice: unpack it once")
        yield head, Replayed(head, stream if plain is None else plain)
    except (gzip.BadGzipFile, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError) as error:
        raise _damaged(name) from error
    except OSError as error:  # of bzip2 and Zstandard too, which have no errors of their own
        if error.errno is None:
            raise _damaged(name) from error
        raise


def is_parquet_file(path: Path) -> bool:
    """Return whether there is a Parquet file at ``path``, whatever its name is."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(_PARQUET)) == _PARQUET
    except OSError:
        return False


def _damaged(name: str) -> InvalidData:
    return InvalidData(f"{name} cannot be unpacked: it is damaged, or only a part of a file")


def _is_packed(head: bytes) -> bool:
    return head.startswith((_GZIP, _ZSTD, _BZIP2, _XZ, _ZIP))


def _plain(
    name: str, head: bytes, replayed: Replayed, stream: BufferedIOBase | BinaryIO
) -> BufferedIOBase | None:
    """Return the unpacked stream, or None where nothing is packed."""
    if head.startswith(_GZIP):
        return cast("BufferedIOBase", gzip.GzipFile(fileobj=replayed))
    if head.startswith(_BZIP2):
        return cast("BufferedIOBase", bz2.BZ2File(cast("BinaryIO", replayed)))
    if head.startswith(_XZ):
        return cast("BufferedIOBase", lzma.LZMAFile(cast("BinaryIO", replayed)))
    if head.startswith(_ZSTD):
        return _Whole(pa.CompressedInputStream(pa.PythonFile(replayed, "r"), "zstd"))
    if head.startswith(_ZIP):
        return _only_member(name, head, stream)
    return None


def _only_member(name: str, head: bytes, stream: BufferedIOBase | BinaryIO) -> BufferedIOBase:
    if any(part in head for part in _WORKBOOK):
        raise InvalidData(f"{name} is a workbook (.xlsx or .ods): {_SAVE_AS}")
    if not stream.seekable():
        raise InvalidData(f"{name} is a zip archive: unpack it, or give it by its name")
    archive = zipfile.ZipFile(cast("BinaryIO", stream))
    members = [each for each in archive.infolist() if not each.is_dir()]
    members = [each for each in members if not each.filename.startswith("__MACOSX/")]
    if any(each.filename.startswith(("xl/", "word/", "ppt/")) for each in members):
        raise InvalidData(f"{name} is a workbook or another Office document: {_SAVE_AS}")
    if len(members) != 1:
        raise InvalidData(f"{name} is a zip archive of {len(members)} files: unpack it")
    if members[0].flag_bits & 1:
        raise InvalidData(f"{name} is a zip archive with a password: unpack it")
    return cast("BufferedIOBase", archive.open(members[0]))


def _refuse_others(name: str, head: bytes) -> None:
    for first, kind, advice in _OTHERS:
        if head.startswith(first):
            raise InvalidData(f"{name} is {kind}: {advice}")
    if head.startswith(_TAR, 257):
        raise InvalidData(f"{name} is a tar archive: unpack it")
    if _SAS in head[:64]:
        raise InvalidData(f"{name} is a SAS data set: export it as CSV")
    if b"urn:schemas-microsoft-com:office:spreadsheet" in head[:4096]:
        raise InvalidData(f"{name} is an Excel workbook in XML: {_SAVE_AS}")
    if _MARKUP.match(head):
        raise InvalidData(f"{name} is HTML or XML, whatever its name is: {_SAVE_AS}")
    if _JSON.match(head):
        raise InvalidData(f"{name} is JSON: write it as CSV, or send it to the API")


def blocks(stream: BufferedIOBase) -> Iterator[bytes]:
    """Yield what is left of ``stream``, about a megabyte at a time."""
    while block := stream.read1(_BLOCK):
        yield block


def text_stream(pieces: Iterator[bytes]) -> io.BufferedReader:
    """Return a stream of ``pieces``, which are made as they are needed."""
    return io.BufferedReader(_Pieces(pieces), _BLOCK)


class _Pieces(io.RawIOBase):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        view = memoryview(buffer).cast("B")
        size = min(len(view), len(self._left))
        view[:size] = self._left[:size]
        self._left = self._left[size:]
        return size
