"""Rows of delimited text, in any dialect that its header gives away."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from stroke.application.predictions.cells import (
    NUMERIC,
    TWO_MARKS,
    check_columns,
    check_line_ends,
    key_of,
    known_names,
    trimmed,
    wrong_width,
)
from stroke.application.predictions.file_rows import TextLimits, row_too_long, row_without_end
from stroke.domain.errors import InvalidData

DELIMITERS: Final = ",;\t|"
ROW: Final = TextLimits().row
DOUBLED: Final = "\r\r\n"

_SEP: Final = re.compile(r'"?sep=(?P<delimiter>.)"?[,;\t|]*', re.IGNORECASE)
_LINE_END: Final = re.compile(r"\r\r\n|\r\n|\r|\n")
_INSIDE: Final = re.compile(r'((?:[^"]|"")*+)"')
_COMMA: Final = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?")
_POINT: Final = re.compile(r"[+-]?[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?")


class RowText(NamedTuple):
    """One row: the line it starts on, how many lines it takes, and its cells.

    ``quoted`` holds the places of the cells that were in quotes, ``problem`` what is wrong.
    """

    line: int
    lines: int
    cells: list[str]
    quoted: Collection[int] = ()
    problem: str | None = None

    @property
    def is_blank(self) -> bool:
        """Whether no cell has a value."""
        return self.problem is None and not any(map(trimmed, self.cells))


@dataclass(frozen=True, slots=True)
class Dialect:
    """What separates cells and lines, and the line (from 1) that the header is on.

    ``newline`` is LF (for CR LF, too), CR, or CR CR LF: so write programs on Windows that put a
    CR before the LF of a CR LF.
    """

    delimiter: str
    newline: str
    line: int


def lines_of(pieces: Iterable[str], newline: str, *, longest: int = ROW) -> Iterator[str]:
    """Yield the lines of a text that comes in ``pieces``, without their ends.

    Raises ``InvalidData`` where a line has more than ``longest`` characters.
    """
    rest, is_doubled = "", newline == DOUBLED
    for piece in pieces:
        *lines, rest = (rest + piece).split(newline[-1])
        yield from (line.removesuffix("\r") for line in lines) if is_doubled else lines
        if len(rest) > longest:
            raise InvalidData(
                f"a line of the file is longer than {longest:,} characters "
                "(STROKE_FILES_MAX_ROW_BYTES): is it a text file?"
            )
    if rest:
        yield rest.removesuffix("\r") if is_doubled else rest


def rows_of(
    lines: Iterator[str], delimiter: str, *, line: int = 1, longest: int = ROW
) -> Iterator[RowText]:
    """Yield the rows of ``lines``, the first of which has the number ``line``.

    A quote opens at the start of a cell and nowhere else; what follows a closing quote belongs to
    the cell. Raises ``InvalidData`` for a quote that nobody closes, or not within ``longest``
    characters.
    """
    for text in lines:
        if '"' in text:
            row = _quoted_row(text, lines, delimiter, line, longest)
        else:
            bare = text.removesuffix("\r")
            problem = "has a carriage return outside quotes" if "\r" in bare else None
            row = RowText(line, 1, bare.split(delimiter), (), problem)
        yield row
        line += row.lines


def _quoted_row(
    text: str, lines: Iterator[str], delimiter: str, line: int, longest: int
) -> RowText:
    cells: list[str] = []
    quoted: set[int] = set()
    position, taken, outside = 0, 1, []
    while True:
        inside = ""
        if text.startswith('"', position):
            quoted.add(len(cells))
            pieces: list[str] = []
            size, position = 0, position + 1
            while (closed := _INSIDE.match(text, position)) is None:
                pieces.append(text[position:])
                size += len(pieces[-1])
                following = next(lines, None)
                if size > longest:
                    raise row_too_long(line, longest)
                if following is None:
                    raise row_without_end(line)
                text, position, taken = following, 0, taken + 1
            pieces.append(closed.group(1))
            inside, position = "\n".join(pieces).replace('""', '"'), closed.end()
        end = text.find(delimiter, position)
        after = text[position:] if end < 0 else text[position:end]
        after = after.removesuffix("\r") if end < 0 else after
        cells.append(inside + after)
        outside.append(after)
        if end < 0:
            problem = None
            if any("\r" in each for each in outside):
                problem = "has a carriage return outside quotes"
            return RowText(line, taken, cells, quoted, problem)
        position = end + 1


def dialect_of(head: str, known: Iterable[str]) -> Dialect:
    """Return the dialect of a file that begins with ``head``.

    The delimiter is the one with which the header has the most of the ``known`` columns. Raises
    ``InvalidData`` where there is no header.
    """
    ends = _LINE_END.search(head)
    newline = "\n" if ends is None or ends.group() == "\r\n" else ends.group()
    texts = list(lines_of([head], newline, longest=len(head)))
    keys = {key_of(name) for name in known}
    preferred, line = ",", 0
    for text in texts:
        line += 1
        if said := _SEP.fullmatch(text.removesuffix("\r")):
            preferred = said["delimiter"]
        elif trimmed(text.removesuffix("\r").replace('"', "")).strip(DELIMITERS + preferred):
            break
    else:
        raise InvalidData("there is no CSV header in the first line")
    counts = {}
    for delimiter in dict.fromkeys(preferred + DELIMITERS):
        try:
            row = next(rows_of(iter(texts[line - 1 :]), delimiter))
        except InvalidData:
            raise InvalidData("the first line is no CSV header: it does not end") from None
        counts[delimiter] = (len({key_of(name) for name in row.cells} & keys), len(row.cells))
    best = max(counts, key=lambda delimiter: (counts[delimiter][0], delimiter == preferred))
    if not counts[best][0]:  # no column is known: the most columns are most likely right
        best = max(counts, key=lambda delimiter: counts[delimiter][1])
    return Dialect(best, newline, line)


class Header:
    """The columns of a file. ``names`` are as stroke spells them where it knows them.

    Nameless columns at the right end are none. ``texts`` are the names as the file has them.
    """

    def __init__(self, cells: Sequence[str], known: Iterable[str]) -> None:
        texts = [trimmed(cell) for cell in cells]
        while texts and not texts[-1]:
            texts.pop()
        self.texts = texts
        self.width = len(texts)
        self.has_surplus = len(cells) > len(texts)
        self.names = known_names(texts, known)
        self._numeric = [at for at, name in enumerate(self.names) if name in NUMERIC]
        self._mark: str | None = None

    def check(self, needed: Iterable[str], known: Iterable[str]) -> None:
        """Raise ``InvalidData`` if a ``needed`` column is missing, or a ``known`` one twice."""
        check_line_ends(self.texts)
        check_columns(self.names, needed, known)

    def fitted(self, row: RowText) -> RowText:
        """Return ``row`` with as many cells as there are columns, and decimal points in numbers.

        What cannot be fitted has a problem.
        """
        if row.problem is not None:
            return row
        cells, count = list(row.cells), len(row.cells)
        if count != self.width:
            if count < self.width or any(map(trimmed, cells[self.width :])):
                return row._replace(problem=wrong_width(cells, self.width))
            cells = cells[: self.width]
        for at in self._numeric:
            text = trimmed(cells[at])
            mark = "," if _COMMA.fullmatch(text) else "." if _POINT.fullmatch(text) else None
            if mark is None:
                continue
            if self._mark is None:
                self._mark = mark
            if mark != self._mark:
                return row._replace(problem=TWO_MARKS)
            if mark == ",":
                cells[at] = text.replace(",", ".")
        return row._replace(cells=cells)

    @property
    def has_decimal_commas(self) -> bool:
        """Whether numbers have had decimal commas so far."""
        return self._mark == ","


def as_csv(cells: Iterable[str], quoted: Collection[int] = ()) -> str:
    """Return a row as CSV has it: with commas, and with quotes where there were or must be some."""
    return ",".join(
        '"' + cell.replace('"', '""') + '"'
        if at in quoted or any(mark in cell for mark in ',"\r\n')
        else cell
        for at, cell in enumerate(cells)
    )
