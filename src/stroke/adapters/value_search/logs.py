"""Searches logs, which should name nobody, for ids of predictions and for values."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final, cast

import pyarrow as pa

from stroke.application.erasure.ports import SearchedPlace, Trace, ValueSearch, ValueTrace
from stroke.application.erasure.values import FoundValues, SoughtValues
from stroke.domain.errors import InvalidData

# A number alone says nothing: a log is full of them. One that is called an id does.
_IDS: Final = re.compile(
    rb"\b(?:predictions?|prediction_ids?|ids?)\b[\"']?[\s:=/#]*[\[(]?\s*(\d+(?:\s*,\s*\d+)*)",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(rb"\d+")


class LogFiles(SearchedPlace, ValueSearch):
    """The files at ``paths``, those in folders included; a packed one (.gz, .zst) is unpacked.

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
        found = {
            Trace(each, where)
            for where, line in self._lines()
            for named in _IDS.findall(line)
            for each in ids.intersection(int(number) for number in _NUMBER.findall(named))
        }
        return sorted(found)

    def _find_values(self, sought: SoughtValues) -> list[ValueTrace]:
        found = FoundValues()
        for where, line in self._lines():
            found.add(sought.in_bytes(line), where)
        return found.listed()

    def _lines(self) -> Iterator[tuple[str, bytes]]:
        for path in self._files():
            try:
                with pa.input_stream(str(path), compression="detect") as stream:
                    lines = io.BufferedReader(cast("io.RawIOBase", stream))
                    for number, line in enumerate(lines, start=1):
                        yield f"{path}, line {number}", line
            except (OSError, pa.ArrowException) as error:
                raise InvalidData(f"{path} cannot be read: it may hold what is sought") from error

    def _files(self) -> Iterator[Path]:
        for path in self._paths:
            if path.is_dir():
                yield from sorted(each for each in path.rglob("*") if each.is_file())
            else:
                yield path
