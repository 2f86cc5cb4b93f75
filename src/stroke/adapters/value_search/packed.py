"""Unpacks what may be packed, by what it is and not by what its name says."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any, Final

import pyarrow as pa

BLOCK: Final = 4 * 2**20
UNREADABLE: Final = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    RuntimeError,  # of zipfile: a password, or a packing that nobody knows
    pa.ArrowException,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
_HEAD: Final = 512
_DEPTH: Final = 4
# Where each kind has which bytes.
_SIGNS: Final = {
    "parquet": (0, b"PAR1"),
    "avro": (0, b"Obj\x01"),
    "duckdb": (8, b"DUCK"),
    "gz": (0, b"\x1f\x8b\x08"),
    "zst": (0, b"\x28\xb5\x2f\xfd"),
    "lz4": (0, b"\x04\x22\x4d\x18"),
    "xz": (0, b"\xfd7zXZ\x00"),
    "bz2": (4, b"1AY&SY"),
    "zip": (0, b"PK\x03\x04"),
    "tar": (257, b"ustar"),
    # Packed, and nothing here reads them:
    "7z": (0, b"7z\xbc\xaf\x27\x1c"),
    "rar": (0, b"Rar!\x1a\x07"),
    "orc": (0, b"ORC"),
    "arrow": (0, b"ARROW1"),
}
_UNKNOWN: Final = ("7z", "rar", "orc", "arrow")
_RANDOM: Final = ("parquet", "zip")  # are not read from the beginning to the end
_UNPACK: Final[dict[str, Callable[[Any], Any]]] = {
    "gz": lambda stream: gzip.GzipFile(fileobj=stream),
    "bz2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
    "zst": lambda stream: pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd"),
    "lz4": lambda stream: pa.CompressedInputStream(pa.PythonFile(stream, "r"), "lz4"),
}


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A file that is not packed any more. ``name`` is the one in its archive, if it has one.

    ``kind`` is ``parquet``, ``avro``, ``duckdb`` or empty, for what is read as bytes.
    """

    name: str
    kind: str
    stream: Any


def unpacked(stream: Any, path: str) -> Iterator[Unpacked]:
    """Give what a stream, which can be sought in, holds. Read each before asking for the next.

    Raises one of ``UNREADABLE``, also where it is not what the ending of ``path`` says.
    """
    yield from _unpacked(stream, path, "", 0, stream)


def _unpacked(
    stream: Any, path: str, name: str, depth: int, source: Any = None
) -> Iterator[Unpacked]:
    buffered = io.BufferedReader(_Whole(stream), BLOCK)
    head = buffered.peek(_HEAD)[:_HEAD]
    kind = _kind(head)
    ending = path.lower().rpartition(".")[2]
    other = bool(head) and ending in _SIGNS and ending not in ("tar", kind)  # old ones have no sign
    if kind in _UNKNOWN or depth > _DEPTH or other:
        raise ValueError(kind or ending)
    if unpack := _UNPACK.get(kind):
        yield from _unpacked(unpack(buffered), "", name, depth + 1)
    elif kind == "tar":
        with tarfile.open(fileobj=buffered, mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else io.BytesIO()
                yield from _unpacked(content, "", member.name, depth + 1)
    elif kind in _RANDOM:
        with _sought_in(buffered, source) as whole:
            if kind == "parquet":
                yield Unpacked(name, kind, whole)
                return
            with zipfile.ZipFile(whole) as members:
                for each in members.infolist():
                    with members.open(each) as content:
                        yield from _unpacked(content, "", each.filename, depth + 1)
    else:
        yield Unpacked(name, kind, buffered)


def _kind(head: bytes) -> str:
    for kind, (start, sign) in _SIGNS.items():
        if head.startswith(sign, start):
            return kind
    return ""


def _sought_in(stream: Any, source: Any) -> Any:
    """Return the ``source`` of a stream, or where there is none a copy without a name."""
    if source is None:
        source = TemporaryFile()  # noqa: SIM115 -- whoever asks closes it
        shutil.copyfileobj(stream, source, BLOCK)
    source.seek(0)
    return source


class _Whole(io.RawIOBase):
    """Reads as much as is asked for, unless the stream ends: some give less at a time."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        done, size = 0, len(buffer)
        while done < size and (part := self._stream.read(size - done)):
            buffer[done : done + len(part)] = part
            done += len(part)
        return done
