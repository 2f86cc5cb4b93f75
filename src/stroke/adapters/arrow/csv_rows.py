"""CSV text cut into rows: where each one lies, on which line it starts, and if it is regular.

Whole blocks are cut with a few numpy passes. Only a block with a quote where RFC 4180 has none
(``5" wide``) is walked through cell by cell, by the rule that a quote opens at the start of a
cell and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stroke.application.predictions.cells import split, trimmed
from stroke.application.predictions.file_rows import TextLimits, row_too_long, row_without_end
from stroke.domain.errors import InvalidData

Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]

BLOCK_BYTES: Final = 2 * 1024 * 1024
ROW_BYTES: Final = TextLimits().row  # a longer row is a quote that nobody closed
BOM: Final = b"\xef\xbb\xbf"

_NEWLINE, _RETURN, _QUOTE, _COMMA = b'\n\r",'
_QUOTED: Final = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"')
# The first byte of a cell without a value, and what shows that a row has one.
_OF_BLANKS: Final = np.frombuffer(b', \t"\xc2\xe2\xef', np.uint8)
_VALUE: Final = re.compile(rb'(?:[, \t"]|\xc2\xa0|\xe2\x80[\x87\xaf]|\xef\xbb\xbf)*+[^, \t"]')
_CELL_END: Final = re.compile(rb"[,\n]")


@dataclass(frozen=True, slots=True)
class Rows:
    """Whole rows of one block. Row ``i`` is ``data[starts[i]:ends[i]]``, without its line end.

    ``regular`` rows have as many cells as the header, quotes as RFC 4180 has them and UTF-8
    text: any CSV reader reads them alike. Lines without a value (empty ones, and those of blank
    cells) are no rows. ``quoted`` says if there is any quote at all.
    """

    data: bytes
    starts: Indices
    ends: Indices
    lines: Indices
    regular: Mask
    quoted: bool

    def __len__(self) -> int:
        return len(self.starts)

    def row(self, index: int) -> bytes:
        """Return row ``index`` without its line end."""
        return self.data[self.starts[index] : self.ends[index]]

    def shorten(self, index: int, length: int) -> None:
        """Let row ``index`` have its first ``length`` bytes only."""
        self.ends[index] = self.starts[index] + length

    def regular_text(self) -> bytes:
        """Return the regular rows with their line ends, one after another."""
        if self.regular.all():
            return self.data
        bad = np.flatnonzero(~self.regular)
        pieces, position = [], 0
        for index in bad:
            pieces.append(self.data[position : self.starts[index]])
            position = int(self.ends[index])  # the line end that stays makes an empty line
        return b"".join([*pieces, self.data[position:]])

    def since_line(self, line: int) -> Rows:
        """Return the rows that start on ``line`` or after it."""
        first = int(np.searchsorted(self.lines, line))
        if first == len(self):
            nothing = self.starts[:0]
            return Rows(b"", nothing, nothing, nothing, self.regular[:0], quoted=False)
        offset = int(self.starts[first])
        return Rows(
            self.data[offset:],
            self.starts[first:] - offset,
            self.ends[first:] - offset,
            self.lines[first:],
            self.regular[first:],
            self.quoted,
        )


class HeaderRow(NamedTuple):
    """The first row without its line end (a byte-order mark stays), its cells, its line end."""

    text: bytes
    cells: int
    newline: bytes


class RowReader:
    """Reads a CSV stream once: first its header, then its rows, a block at a time.

    Its first line is number ``first_line``. Holds at most a block and one row. Raises
    ``InvalidData`` for a stream without a header, and for a row over ``row_bytes``.
    """

    def __init__(
        self,
        source: BufferedIOBase,
        *,
        block_bytes: int = BLOCK_BYTES,
        first_line: int = 1,
        row_bytes: int = ROW_BYTES,
    ) -> None:
        self._source = source
        self._block_bytes = block_bytes
        self._row_bytes = row_bytes
        self._line = first_line
        self._rest = b""
        self.bytes_read = 0
        self.header = self._header()

    def __iter__(self) -> Iterator[Rows]:
        at_end = False
        while not at_end:
            at_end = not self._fill()
            if at_end and self._rest and not self._rest.endswith(b"\n"):
                self._rest += b"\n"
            rows, used = cut(self._rest, self._line, self.header.cells)
            self._line += self._rest.count(b"\n", 0, used)
            self._rest = self._rest[used:]
            if len(self._rest) > self._row_bytes:
                raise row_too_long(self._line, self._row_bytes)
            if at_end and self._rest:
                raise row_without_end(self._line)
            if len(rows):
                yield rows

    def _header(self) -> HeaderRow:
        while (row := _walk_row(self._rest, len(BOM) * self._rest.startswith(BOM))) is None:
            if len(self._rest) > self._row_bytes:
                raise InvalidData("the first line is no CSV header: it does not end")
            if not self._fill():
                if not self._rest.removeprefix(BOM).strip() or self._rest.endswith(b"\n"):
                    raise InvalidData("there is no CSV header in the first line")
                self._rest += b"\n"
        text, newline = self._rest[: row.end], b"\n"
        if text.endswith(b"\r"):
            text, newline = text[:-1], b"\r\n"
        self._rest = self._rest[row.end + 1 :]
        self._line += text.count(b"\n") + 1
        return HeaderRow(text, row.cells, newline)

    def _fill(self) -> bool:
        """Read one block more; return if there was any."""
        # One system call at a time: a signal is acted on between two of them, where a long
        # read of a pipe would act on it once the pipe is full or closed, if ever.
        pieces, missing = [self._rest], self._block_bytes
        while missing and (piece := self._source.read1(missing)):
            pieces.append(piece)
            missing -= len(piece)
        self.bytes_read += self._block_bytes - missing
        self._rest = b"".join(pieces)
        return missing < self._block_bytes


def cut(data: bytes, line: int, width: int) -> tuple[Rows, int]:
    """Return the whole rows of ``data``, and how many bytes they take.

    ``data`` starts with a row, on line ``line``; a regular row has ``width`` cells. What
    follows the last row's line end is left for the next call.
    """
    view = np.frombuffer(data, np.uint8)
    newlines = np.flatnonzero(view == _NEWLINE)
    quotes = np.flatnonzero(view == _QUOTE) if b'"' in data else newlines[:0]
    if _quotes_are_regular(view, quotes):
        stops = _outside(newlines, quotes)
        regular = _have_width(stops, _outside(np.flatnonzero(view == _COMMA), quotes), width)
        if data.count(b"\r") != data.count(b"\r\n"):
            lone = _outside(np.flatnonzero(view[:-1] == _RETURN), quotes)
            lone = lone[view[lone + 1] != _NEWLINE]
            owners = np.searchsorted(stops, lone)
            regular[owners[owners < len(stops)]] = False
    else:
        stops, regular = _walk(data, width)
    if not len(stops):
        return Rows(b"", stops, stops, stops, regular, quoted=False), 0
    used = int(stops[-1]) + 1
    starts = np.concatenate((newlines[:0], [0], stops[:-1] + 1))
    ends = stops - ((stops > starts) & (view[stops - 1] == _RETURN))
    _mark_undecodable(data[:used], stops, regular)
    filled = ends > starts
    text = _without_blank(data[:used], starts, ends, filled)
    lines = line + np.searchsorted(newlines, starts)
    rows = Rows(text, starts, ends, lines, regular, quoted=bool(len(quotes)))
    if not filled.all():
        rows = Rows(
            rows.data, starts[filled], ends[filled], lines[filled], regular[filled], rows.quoted
        )
    return rows, used


def _without_blank(data: bytes, starts: Indices, ends: Indices, filled: Mask) -> bytes:
    """Take rows of blank cells (``,,,``, ``" ",""``) out of ``filled``, and out of the text.

    Line ends take their place, so that every other row stays where it is.
    """
    view = np.frombuffer(data, np.uint8)
    may_be = np.flatnonzero(filled & np.isin(view[np.minimum(starts, len(view) - 1)], _OF_BLANKS))
    places = [(int(starts[index]), int(ends[index]), index) for index in may_be.tolist()]
    blank = [place for place in places if _is_blank(data, *place[:2])]
    if not blank:
        return data
    changed = bytearray(data)
    for start, end, index in blank:
        filled[index] = False
        changed[start:end] = b"\n" * (end - start)
    return bytes(changed)


def _is_blank(data: bytes, start: int, end: int) -> bool:
    if _VALUE.match(data, start, end) is not None:
        return False
    try:  # only of quotes and what may stand in them: ``","`` is a value
        return not any(trimmed(cell.text) for cell in split(data[start:end].decode()))
    except InvalidData:
        return False


def _quotes_are_regular(view: NDArray[np.uint8], quotes: Indices) -> bool:
    """Return if every quote opens or closes a cell, or is doubled within one."""
    opening, closing = quotes[0::2], quotes[1::2]
    before = view[opening - 1]
    opens = (opening == 0) | (before == _COMMA) | (before == _NEWLINE)
    opens[1:] |= opening[1:] == closing[: len(opening) - 1] + 1
    after = view[np.minimum(closing + 1, len(view) - 1)]
    closes = (closing + 1 == len(view)) | np.isin(after, (_COMMA, _NEWLINE, _RETURN))
    closes[: len(opening) - 1] |= opening[1:] == closing[: len(opening) - 1] + 1
    return bool(opens.all() and closes.all())


def _outside(positions: Indices, quotes: Indices) -> Indices:
    """Return the ``positions`` that do not lie between an opening and a closing quote."""
    if not len(quotes):
        return positions
    found: Indices = positions[np.searchsorted(quotes, positions) % 2 == 0]
    return found


def _have_width(stops: Indices, commas: Indices, width: int) -> Mask:
    cells = np.diff(np.searchsorted(commas, stops), prepend=0) + 1
    mask: Mask = cells == width
    return mask


def _mark_undecodable(data: bytes, stops: Indices, regular: Mask) -> None:
    position = 0
    while position < len(data):
        try:
            str(memoryview(data)[position:], "utf-8")
        except UnicodeDecodeError as error:
            row = int(np.searchsorted(stops, position + error.start))
            regular[row] = False
            position = int(stops[row]) + 1
        else:
            return


class _WalkedRow(NamedTuple):
    end: int
    cells: int
    regular: bool


def _walk(data: bytes, width: int) -> tuple[Indices, Mask]:
    stops, regular, position = [], [], 0
    while (row := _walk_row(data, position)) is not None:
        stops.append(row.end)
        regular.append(row.regular and row.cells == width)
        position = row.end + 1
    return np.array(stops, np.int64), np.array(regular, np.bool_)


def _walk_row(data: bytes, position: int) -> _WalkedRow | None:
    """Return the row that starts at ``position``, or None when it does not end in ``data``."""
    cells, regular = 1, True
    while True:
        quoted = data[position : position + 1] == b'"'
        if quoted:
            cell = _QUOTED.match(data, position)
            if cell is None:
                return None
            position = cell.end()
        stop = _CELL_END.search(data, position)
        if stop is None:
            return None
        end_of_row = stop.group() == b"\n"
        bare = data[position : stop.start()]
        bare = bare.removesuffix(b"\r") if end_of_row else bare
        regular &= not bare if quoted else b'"' not in bare and b"\r" not in bare
        if end_of_row:
            return _WalkedRow(stop.start(), cells, regular)
        cells, position = cells + 1, stop.end()
