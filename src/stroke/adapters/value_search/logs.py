"""Searches logs, which should name nobody, for ids of predictions and for values."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

from stroke.adapters.value_search.packed import UNREADABLE, unpacked
from stroke.application.erasure.ports import SearchedPlace, Trace, ValueSearch, ValueTrace
from stroke.application.erasure.values import FoundValues, SoughtValues
from stroke.domain.errors import InvalidData

_PIECE: Final = 2**20  # of a line: one may be as long as its file
_MOST_TRACES: Final = 1_000
# A number alone says nothing: a log is full of them. One that is called an id does. Spaces are
# counted, since a line of many would be searched for hours.
_IDS: Final = re.compile(
    rb"\b(?:predictions?|prediction_ids?|ids?)\b[\"']?[\s:=/#]{0,20}[\[(]?\s{0,20}"
    rb"(\d+(?:\s{0,20},\s{0,20}\d+)*)",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(rb"\d+")
_LONGEST_ID: Final = 1_000  # with what is before it


class LogFiles(SearchedPlace, ValueSearch):
    """The files at ``paths``, those in folders included; packed ones and archives are unpacked.

    An id is found where a line calls it one: ``prediction 17``, ``/predictions/17``, ``"id": 17``.
    Calls raise ``InvalidData`` where a file cannot be read.
    """

    name = "logs"

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)

    async def find(self, ids: Collection[int]) -> list[Trace]:
        return await asyncio.to_thread(self._find, frozenset(ids))

    async def find_values(self, sought: SoughtValues) -> list[ValueTrace]:
        return await asyncio.to_thread(self._find_values, sought)

    def _find(self, ids: frozenset[int]) -> list[Trace]:
        wanted = {str(each).encode(): each for each in ids}
        found: dict[int, set[str]] = {}
        for file, _below_given in self._files():
            for _, number, piece in _pieces(file, file, _LONGEST_ID):
                for each in {wanted[n] for n in _ids_in(piece) if n in wanted}:
                    places = found.setdefault(each, set())
                    if len(places) < _MOST_TRACES:
                        places.add(f"{file}, line {number}")
                    else:
                        places.add("and more")
        return sorted(Trace(each, where) for each, places in found.items() for where in places)

    def _find_values(self, sought: SoughtValues) -> list[ValueTrace]:
        found = FoundValues()
        for file, below in self._files():
            root = str(file)[: len(str(file)) - len(below)]
            shown = f"{root}{sought.without(below)}"
            found.add(sought.in_text(below), shown)
            for member, number, piece in _pieces(file, shown, sought.longest):
                if piece:
                    found.add(sought.in_bytes(piece), f"{shown}, line {number}")
                else:
                    found.add(sought.in_text(member), shown)
        return found.listed()

    def _files(self) -> Iterator[tuple[Path, str]]:
        """Give each file, and its name below the folder that was given: nothing for a file."""
        for path in self._paths:
            if not path.is_dir():
                yield path, ""
            for file in _below(path, set()) if path.is_dir() else ():
                yield file, str(file.relative_to(path))


def _below(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Give the files below a folder, also through links, each folder once."""
    if (real := folder.resolve()) in seen:
        return
    seen.add(real)
    try:
        there = sorted(folder.iterdir())
    except OSError as error:
        raise InvalidData(f"{folder} cannot be listed") from error
    for each in there:
        if each.is_dir():
            yield from _below(each, seen)
        elif each.is_file():
            yield each


def _pieces(file: Path, shown: object, overlap: int) -> Iterator[tuple[str, int, bytes]]:
    """Give each line of a file, and a long one in pieces that have the end of the one before.

    With the name of the file within an archive, and the number of the line in it. Before the first
    line there is an empty piece.
    """
    try:
        with file.open("rb") as stream:
            for each in unpacked(stream, str(file)):
                number, end = 1, b""
                yield each.name, number, end
                while piece := each.stream.readline(_PIECE):
                    yield each.name, number, end + piece
                    ends = piece.endswith(b"\n")
                    number, end = number + ends, b"" if ends else (end + piece)[-overlap:]
    except UNREADABLE as error:
        raise InvalidData(f"{shown} cannot be read: it may hold what is sought") from error


def _ids_in(piece: bytes) -> Iterator[bytes]:
    for named in _IDS.findall(piece):
        for number in _NUMBER.findall(named):
            yield number.lstrip(b"0") or number[:1]
