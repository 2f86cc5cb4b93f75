"""A table in a file, whatever its dialect, encoding and packing: the one reader of text tables."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO, Final, cast

from stroke.adapters.tabular.delimited import (
    DOUBLED,
    Dialect,
    Header,
    RowText,
    as_csv,
    dialect_of,
    lines_of,
    rows_of,
)
from stroke.adapters.tabular.dumps import LIMITS, rows_of_dump
from stroke.adapters.tabular.encodings import (
    END_MARK,
    UTF8,
    decoded,
    encoding_of,
    is_torn,
    without_end_mark,
)
from stroke.adapters.tabular.packing import (
    HEAD_BYTES,
    Replayed,
    blocks,
    text_stream,
    unpacked,
)
from stroke.application.predictions.cells import TWO_MARKS, Cell, restored, value_of
from stroke.application.predictions.file_rows import (
    DumpKind,
    FileRow,
    RowFile,
    TextLimits,
    check_width,
)
from stroke.application.predictions.file_scoring import CsvText, without_packing
from stroke.application.predictions.scored_columns import earlier_scores, replaced
from stroke.domain.errors import InvalidData

STDIN: Final = Path("-")

_NOT_UTF8: Final = "is not UTF-8 text"
_DELIMITED: Final = (".csv", ".tsv", ".tab", ".txt")
_QUOTED_COMMA: Final = re.compile(rb'"[+-]?[0-9]*,[0-9]+"')
_DELIMITER_NAMES: Final = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


@contextmanager
def opened_csv(path: Path, known: Sequence[str], limits: TextLimits = LIMITS) -> Iterator[CsvText]:
    """Open the table at ``path`` (``-`` is standard input) as CSV.

    The ``known`` columns give its dialect. The scores of an earlier run are left out. Raises
    ``InvalidData`` for what is no table of text, by its name, and where its encoding could be
    several.
    """
    with _opened(path, limits) as text:
        dialect, header = text.header(known)
        earlier = frozenset(earlier_scores(header.texts))
        plain = (
            text.encoding.codec == "utf-8"
            and dialect == Dialect(",", "\n", 1)
            and not header.has_surplus
            and not text.has_quoted_commas
            and not earlier
        )
        if plain:
            yield CsvText(text.raw(), 1, text.size, text.position)
        else:
            pieces = (
                piece.encode("utf-8", "surrogateescape")
                for piece in _translated(text, dialect, known, earlier)
            )
            notes = (*text.notes(dialect), *([replaced(text.name)] if earlier else []))
            stream = text_stream(pieces)
            yield CsvText(stream, dialect.line, text.size, text.position, notes)


@contextmanager
def opened_rows(
    path: Path,
    known: Sequence[str],
    needed: Sequence[str],
    limits: TextLimits = LIMITS,
    own: Collection[str] = (),
) -> Iterator[RowFile]:
    """Open the table at ``path`` row by row; its header must have the ``needed`` columns.

    Cells of ``own`` columns are given as they are: for a model that declares them, a mark for "no
    value" may be a word ("none").
    Raises ``InvalidData`` where it has not, and for files that cannot be read.
    """
    with _opened(path, limits) as text:
        dialect, header = text.header(known)
        header.check(needed, known)
        rows = _file_rows(text, dialect, known, own)
        yield RowFile(rows, text.size, text.position, text.notes(dialect))


@contextmanager
def opened_import(
    path: Path,
    known: Sequence[str],
    limits: TextLimits = LIMITS,
    dump_of: DumpKind | None = None,
) -> Iterator[RowFile]:
    """Open rows of the table ``predictions`` by the file's name: a dump (``.sql``) or a table.

    Both may be packed. ``dump_of`` is the database that wrote a dump which does not say it. Raises
    ``InvalidData`` for other names, and as ``opened_rows`` does.
    """
    kind = without_packing(path).suffix.lower()
    if kind == ".sql":
        with _opened(path, limits) as text:
            yield RowFile(_dump_rows(text, dump_of), text.size, text.position)
    elif kind in _DELIMITED:
        with opened_rows(path, known, ("id",), limits) as rows:
            yield rows
    else:
        with _opened(path, limits):  # a workbook or the like is named, whatever its name is
            raise InvalidData(
                f"{path.name} is neither .sql nor .csv: the end of its name says what a file is"
            )


class _Text:
    """An open text file: what it begins with, its encoding, and its bytes (once)."""

    def __init__(
        self, path: Path, head: bytes, stream: Replayed, raw: BinaryIO, limits: TextLimits
    ) -> None:
        self.limits = limits
        self.name = "standard input" if path == STDIN else str(path)
        self._stream = stream
        whole: Iterable[bytes] = [head]
        self.has_quoted_commas = False
        self._last = b""
        self._guarded = path == STDIN and len(head) >= HEAD_BYTES
        self.size, self.position = 0, lambda: 0
        if path != STDIN:
            self.size, self.position = path.stat().st_size, raw.tell
            whole = _Again(path, self._look)
        else:
            self._look(head)
        self.encoding = encoding_of(self.name, head, whole)
        mark = self.encoding.mark
        codec, errors = self.encoding.codec, "replace"
        self.head = codecs.getincrementaldecoder(codec)(errors).decode(head[mark:])

    def header(self, known: Sequence[str]) -> tuple[Dialect, Header]:
        dialect = dialect_of(self.head, known)
        lines = lines_of([self.head], dialect.newline, longest=self.limits.row)
        for _ in range(dialect.line - 1):
            next(lines)
        return dialect, _header(next(rows_of(lines, dialect.delimiter)), known, self.limits)

    def raw(self) -> BufferedIOBase:
        """Return the bytes as they are, without the mark of DOS at their end."""
        if self._guarded or self._may_have_end_mark:
            return text_stream(without_end_mark(self._blocks(), END_MARK.encode()))
        return self._stream

    def pieces(self) -> Iterator[str]:
        """Yield the text, without the mark of DOS at its end."""
        return without_end_mark(decoded(self.name, self._blocks(), self.encoding), END_MARK)

    def notes(self, dialect: Dialect) -> tuple[str, ...]:
        """Say how the file is read, where that is not how stroke itself writes one."""
        said = [f"{self.encoding.name} text"] if self.encoding.codec != "utf-8" else []
        if dialect.delimiter != ",":
            named = _DELIMITER_NAMES.get(dialect.delimiter, "another character")
            said.append(f"{named} between cells")
        if dialect.newline != "\n":
            named = "CR CR LF" if dialect.newline == DOUBLED else "CR"
            said.append(f"{named} at the ends of lines")
        return (f"{self.name} is read as a table with {', '.join(said)}",) if said else ()

    @property
    def _may_have_end_mark(self) -> bool:
        # The whole file was looked at, unless something in it is no UTF-8.
        return self.encoding.torn or self._last == END_MARK.encode()

    def _look(self, block: bytes) -> None:
        self._last = block[-1:] or self._last
        if b'"' in block and not self.has_quoted_commas:
            self.has_quoted_commas = _QUOTED_COMMA.search(block) is not None

    def _blocks(self) -> Iterator[bytes]:
        return self._checked(blocks(self._stream)) if self._guarded else blocks(self._stream)

    def _checked(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield ``pieces``, of a stream that could not be looked at as a whole before.

        If all was ASCII until something comes that is no UTF-8, then it may be other text, and
        every row that has a name with an accent would be lost.
        """
        beyond = self.encoding != UTF8
        for piece in pieces:
            if not beyond and not piece.isascii():
                decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
                text = decoder.decode(piece)
                if is_torn(text):
                    raise InvalidData(
                        f"{self.name} {_NOT_UTF8}: save it as UTF-8, or give the file by its name, "
                        "so that stroke can look at all of it first"
                    )
                beyond = True
            yield piece


class _Again:
    """The bytes of a text file, unpacked, each time from the start; ``look`` sees them too."""

    def __init__(self, path: Path, look: Callable[[bytes], None]) -> None:
        self._path = path
        self._look = look

    def __iter__(self) -> Iterator[bytes]:
        with self._path.open("rb") as raw, unpacked(str(self._path), raw) as (_, stream):
            for block in blocks(stream):
                self._look(block)
                yield block


@contextmanager
def _opened(path: Path, limits: TextLimits) -> Iterator[_Text]:
    name = "standard input" if path == STDIN else str(path)
    try:
        with ExitStack() as stack:
            if path == STDIN:
                raw = cast("BinaryIO", sys.stdin.buffer)
            else:
                raw = stack.enter_context(path.open("rb"))
            head, stream = stack.enter_context(unpacked(name, raw))
            yield _Text(path, head, stream, raw, limits)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise InvalidData(f"{name} cannot be read: {error.strerror}") from error


def _rows(text: _Text, dialect: Dialect, known: Sequence[str]) -> tuple[Header, Iterator[RowText]]:
    """Return the header, and the rows below it as the file has them."""
    longest = text.limits.row
    lines = lines_of(text.pieces(), dialect.newline, longest=longest)
    for _ in range(dialect.line - 1):
        next(lines)
    rows = rows_of(lines, dialect.delimiter, line=dialect.line, longest=longest)
    return _header(next(rows), known, text.limits), rows


def _header(row: RowText, known: Sequence[str], limits: TextLimits) -> Header:
    header = Header(row.cells, known)
    check_width(header.width, limits.columns)
    return header


def _file_rows(
    text: _Text, dialect: Dialect, known: Sequence[str], own: Collection[str] = ()
) -> Iterator[FileRow]:
    header, rows = _rows(text, dialect, known)
    for row in rows:
        if row.is_blank:
            continue
        fitted = header.fitted(row)
        problem = fitted.problem
        if problem is None and text.encoding.torn and any(map(is_torn, fitted.cells)):
            problem = _NOT_UTF8
        if problem is not None:
            yield FileRow(row.line, 1, problem=problem)
            continue
        cells: dict[str, object] = {
            name: restored(cell)
            if name in own
            else value_of(name, Cell(cell, at in fitted.quoted, 0))
            for at, (name, cell) in enumerate(zip(header.names, fitted.cells, strict=True))
            if name
        }
        yield FileRow(row.line, 1, cells)


def _translated(
    text: _Text, dialect: Dialect, known: Sequence[str], without: Collection[int]
) -> Iterator[str]:
    """Yield the file as CSV: each row on the line that it was on, blank ones as empty lines.

    The columns at the places ``without`` are left out.
    """
    header, rows = _rows(text, dialect, known)
    kept = [at for at in range(header.width) if at not in without]
    yield as_csv([header.texts[at] for at in kept]) + "\n"
    gathered: list[str] = []
    for row in rows:
        if row.is_blank:
            gathered.append("\n" * row.lines)
        else:
            # What has a problem is written as it is, and refused where the CSV is read: but
            # either mark is right there.
            fitted = header.fitted(row)
            if fitted.problem == TWO_MARKS:
                gathered.append(as_csv([TWO_MARKS]) + "\n" * row.lines)
            else:
                gathered.append(as_csv(*_only(fitted, kept, header.width)) + "\n")
        if len(gathered) >= 4096:  # noqa: PLR2004 -- rows at a time
            yield "".join(gathered)
            gathered = []
    yield "".join(gathered)


def _only(row: RowText, kept: Sequence[int], width: int) -> tuple[list[str], Collection[int]]:
    """Return the cells of ``row`` at the places ``kept`` of ``width``, and which are quoted.

    A torn row stays torn: it must not fit because columns are left out.
    """
    if len(kept) == width:
        return row.cells, row.quoted
    if len(row.cells) != width:
        return [*row.cells, *["?"] * (len(row.cells) == len(kept))], row.quoted
    quoted = [place for place, at in enumerate(kept) if at in row.quoted]
    return [row.cells[at] for at in kept], quoted


def _dump_rows(text: _Text, kind: DumpKind | None) -> Iterator[FileRow]:
    found = rows_of_dump(text.pieces(), name=text.name, limits=text.limits, kind=kind)
    for line, place, cells in found:
        if isinstance(cells, str):
            yield FileRow(line, place, problem=cells)
        elif text.encoding.codec != "utf-8" and not _is_ascii(cells.values()):
            yield FileRow(line, place, problem=_REWRITTEN)
        elif text.encoding.torn and any(map(is_torn, filter(None, map(str, cells.values())))):
            yield FileRow(line, place, problem=_NOT_UTF8)
        else:
            yield FileRow(line, place, cells)


_REWRITTEN: Final = (
    "has letters beyond ASCII in a dump that is not UTF-8, where another program (PowerShell's >) "
    "may have changed them: write the dump with mysqldump --result-file"
)


def _is_ascii(values: Iterable[object]) -> bool:
    return all(not isinstance(value, str) or value.isascii() for value in values)
