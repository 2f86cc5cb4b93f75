"""The rows of the table ``predictions`` in a dump of a database, as SQL.

A dump is read in the dialect of the database that it is from: that of MySQL and MariaDB (of
mysqldump, mydumper, Workbench, DataGrip), or SQLite's. The others are refused by name, because a
string may mean something else there. Where a row is broken, reading goes on with the next
place that is certainly the beginning of a row.

A dump may say nothing of its database: editors write bare INSERTs. MySQL and SQLite then differ
only where a backslash stands. Such a row is read both ways. The right way always reads it, so a row
that can be read in one way only is read so; a row that means two things is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from stroke.adapters.tabular.sql_text import (
    MYSQL,
    NAME,
    SQLITE,
    Broken,
    Cursor,
    Dialect,
    NotLiteral,
    Short,
    bare_name,
)
from stroke.application.predictions.file_rows import DumpKind, TextLimits
from stroke.domain.errors import InvalidData

# Line of the statement, place in it, and the cells by column or what is wrong with them.
DumpRow = tuple[int, int, "dict[str, object] | str"]

LIMITS: Final = TextLimits()

_TABLE: Final = "predictions"
_Values = list[str | type[NotLiteral] | None]

_DIALECTS: Final = {DumpKind.MYSQL: MYSQL, DumpKind.SQLITE: SQLITE}
_HEAD: Final = 256 * 1024
_CHUNK: Final = 1024 * 1024
_RESUME_WITHIN: Final = 2 * 1024 * 1024
_SURE: Final = 20  # rows that are read to be sure that reading can go on with them

_BROKEN: Final = "is not a complete SQL statement"

# Rows that MySQL inserts only by its version, the end of a damaged dump of SQLite, and a mode in
# which a backslash is one: nothing of these is passed over without a word.
_BY_VERSION: Final = re.compile(
    r"/\*M?!\d*\s*(?P<statement>(?:INSERT|REPLACE)\b.*?)\*/", re.IGNORECASE | re.DOTALL
)
_DAMAGED: Final = re.compile(r"ROLLBACK; -- due to errors")
# In 50003, mysqldump writes the mode of a trigger: its own strings have backslashes all the same.
_MODE_BY_VERSION: Final = r"M?!(?!50003)\d*\s*SET\b(?:[^*]|\*(?!/))*?\bNO_BACKSLASH_ESCAPES\b"
_NO_ESCAPES: Final = re.compile(
    rf"SET\b[^;\n]*\bNO_BACKSLASH_ESCAPES\b[^;\n]*|/\*{_MODE_BY_VERSION}", re.IGNORECASE
)
# What may stand before a statement on its line: others (``SET NAMES 'utf8';``), and comments.
_ASIDE: Final = rf"/\*(?!M?!\d*\s*(?:INSERT|REPLACE)\b|{_MODE_BY_VERSION})(?:[^*]|\*(?!/))*+\*/"
_BESIDE: Final = (
    r"(?:(?!--|/\*)[^;'\"`#\n]|'[^'\\;\n]*'|\"[^\"\\;\n]*\"|`[^`;\n]*`"
    rf"|{_ASIDE})*+;"
)
_START: Final = re.compile(
    rf"(?P<version>{_BY_VERSION.pattern}|/\*{_MODE_BY_VERSION})"
    rf"|^(?:{_BESIDE})*?(?:[ \t\r]|{_ASIDE})*+(?P<start>"
    rf"(?:INSERT|REPLACE|CREATE\s+(?:TEMPORARY\s+)?TABLE)\b"
    rf"|{_DAMAGED.pattern}|{_NO_ESCAPES.pattern})|/\*.*?\*/",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_LINE_START: Final = re.compile(
    r"^[ \t]*(?:INSERT|REPLACE|CREATE\s+TABLE)\b", re.IGNORECASE | re.MULTILINE
)
# Between two words: blanks, and comments, which editors keep where people wrote them.
_COMMENT: Final = r"(?:/\*(?:[^*]|\*(?!/))*+\*/|--[^\n]*+|#[^\n]*+)"
_GAP: Final = rf"(?:\s|{_COMMENT})"
_NAME_OF_TABLE: Final = rf"(?P<table>{NAME}(?:{_GAP}*+\.{_GAP}*+{NAME})*)"
_INSERT: Final = re.compile(
    rf"(?:INSERT|REPLACE)\b"
    rf"(?:{_GAP}++(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE|OR{_GAP}++\w+)\b)*"
    rf"{_GAP}*+(?:INTO\b{_GAP}*+)?{_NAME_OF_TABLE}{_GAP}*+"
    rf"(?P<columns>\({_GAP}*+{NAME}(?:{_GAP}*+,{_GAP}*+{NAME})*{_GAP}*+\))?{_GAP}*+"
    rf"(?P<values>VALUES?{_GAP}*+(?=\())?",
    re.IGNORECASE,
)
_CREATE: Final = re.compile(
    rf"CREATE{_GAP}++(?:TEMPORARY{_GAP}++)?TABLE{_GAP}++"
    rf"(?:IF{_GAP}++NOT{_GAP}++EXISTS{_GAP}++)?{_NAME_OF_TABLE}{_GAP}*+\(",
    re.IGNORECASE,
)
_COLUMN: Final = re.compile(
    rf"\s*(?!(?:PRIMARY|UNIQUE|KEY|INDEX|CONSTRAINT|FOREIGN|CHECK|FULLTEXT|SPATIAL)\b)({NAME})\s",
    re.IGNORECASE,
)
_AFTER_ROWS: Final = re.compile(r"(?:ON|AS|RETURNING)\b", re.IGNORECASE)
_NEXT_ROW: Final = re.compile(r"\)\s*,\s*(?=\()")
_NAMES: Final = re.compile(rf"{_COMMENT}|({NAME})")
_TEXT_OR_COMMENT: Final = re.compile(rf"('(?:[^']|'')*'|`[^`]*`|\"[^\"]*\")|{_COMMENT}")

# What only one kind of dump has, before its first row. What several have comes last.
_SIGNS: Final = (
    (
        "PostgreSQL",
        r"^-- PostgreSQL|^SET standard_conforming|^COPY .* FROM stdin;|^SELECT pg_catalog",
    ),
    ("SQL Server", r"^SET IDENTITY_INSERT|^GO\s*$|^USE \[|^SET ANSI_NULLS|^INSERT (INTO )?\["),
    ("Oracle", r"^REM INSERTING|^SET DEFINE OFF|\bVARCHAR2\b"),
    (DumpKind.SQLITE, r"^PRAGMA |^BEGIN TRANSACTION;|\bAUTOINCREMENT\b|\bsqlite_sequence\b"),
    ("PostgreSQL", r"^[ \t]*INSERT INTO public\."),
    ("SQL Server", r"^[ \t]*INSERT INTO dbo\."),
    (DumpKind.SQLITE, r"^[ \t]*INSERT INTO (?:main|temp)\."),
    (
        DumpKind.MYSQL,
        r"`|/\*M?!|^-- (?:MySQL|MariaDB|Dumping)|^SET NAMES|^LOCK TABLES|\bENGINE\s*=|INTO \w+\.",
    ),
)
_BOTH: Final = MYSQL._replace(name="MySQL or SQLite")
_AMBIGUOUS: Final = (
    "has a backslash, which MySQL and SQLite read differently, and the dump does not say which of "
    "them wrote it: say it with --dump-of"
)
_IN_COMMENT: Final = "stands in a comment that only some versions of MySQL run"
_ROLLED_BACK: Final = "is the end of a damaged database: SQLite could not write all of its rows"
_WITHOUT_ESCAPES: Final = (
    "{name} sets NO_BACKSLASH_ESCAPES, and stroke cannot say how its strings are written: make the "
    "dump with mysqldump, or export the table predictions as CSV with a header"
)
_REFUSED: Final = (
    "{name} is a dump of {kind}, whose strings stroke does not read: export the table "
    "predictions as CSV with a header, and import that"
)


def rows_of_dump(
    pieces: Iterable[str],
    *,
    name: str = "the dump",
    limits: TextLimits = LIMITS,
    kind: DumpKind | None = None,
) -> Iterator[DumpRow]:
    """Return the rows that the dump inserts into ``predictions``, in its order.

    ``pieces`` are its text. An INSERT without a list of columns has those of the dump's CREATE
    TABLE. What is not a literal is a problem of its row, and so is a row that is broken, or that
    means two things. ``kind`` is the database that wrote the dump; without it, the dump says it
    itself. Raises ``InvalidData`` for a dump of a database whose dialect is not known here, and
    where nobody can say where a row ends.
    """
    source = _Source(pieces, limits, name)
    dialect = _DIALECTS[kind] if kind else _dialect_of(source.head(), name)
    columns: list[str] = []
    while (start := source.seek()) is not None:
        line = source.cut(start)
        source.ensure(_HEAD)  # the head of the statement
        if aside := _BY_VERSION.match(source.text):
            inside = _INSERT.match(aside["statement"])
            if inside and _is_ours(inside["table"]):
                yield line, 1, _IN_COMMENT
            source.cut(aside.end())
            continue
        if damaged := _DAMAGED.match(source.text):
            yield line, 1, _ROLLED_BACK
            source.cut(damaged.end())
            continue
        if _NO_ESCAPES.match(source.text):
            raise InvalidData(_WITHOUT_ESCAPES.format(name=name))
        if created := _CREATE.match(source.text):
            if _is_ours(created["table"]) and (end := source.statement_end(dialect)):
                columns = _columns_of(source.text[created.end() : end], dialect)
            source.skip_statement(dialect)
            continue
        insert = _INSERT.match(source.text)
        if insert is None or not _is_ours(insert["table"]):
            source.skip_statement(dialect)
        elif insert["values"] is None:
            yield line, 1, "inserts what a query finds, not values"
            source.skip_statement(dialect)
        else:
            named = insert["columns"]
            names = [each.lower() for each in (_names_in(named) if named else columns)]
            yield from _rows_of_insert(source, dialect, line, names, insert.end())


def _rows_of_insert(
    source: _Source, dialect: Dialect, line: int, names: list[str], position: int
) -> Iterator[DumpRow]:
    """Read rows from ``position`` of the source's text on; leave it after the statement."""
    place, is_twice = 0, len(set(names)) < len(names)
    while True:
        place += 1
        try:
            values, end, more = _row_in(source, dialect, position, len(names))
        except Broken:
            yield line, place, _BROKEN
            resumed = _resumed(source, dialect, position, len(names))
            if resumed is None:
                source.cut_line(position)
                return
            position = resumed
            continue
        if values is None:
            yield line, place, _AMBIGUOUS
        elif not names:
            yield line, place, "names no columns, and the dump has no CREATE TABLE before it"
        elif is_twice:
            yield line, place, "names a column twice"
        elif len(values) != len(names):
            yield line, place, f"has {len(values)} values for {len(names)} columns"
        else:
            yield line, place, _cells(names, values)
        if not more:
            source.cut(end)
            return
        position = end
        if position > _CHUNK:
            source.cut(position)
            position = 0


def _row_in(
    source: _Source, dialect: Dialect, position: int, width: int
) -> tuple[_Values | None, int, bool]:
    """Return what ``_row`` does, in the one dialect that fits; no values where two of them do.

    Raises ``Broken``, and ``InvalidData`` where it ends at two places.
    """
    if dialect is not _BOTH:
        return _row(source, dialect, position)
    found = []
    for each in (MYSQL, SQLITE):
        try:
            row = _row(source, each, position)
        except Broken:
            continue
        if width in (0, len(row[0])):
            found.append(row)
    if not found:
        return _row(source, MYSQL, position)
    (values, end, more), *others = found
    if any((end, more) != other[1:] for other in others):
        raise InvalidData(f"{source.name}: a row {_AMBIGUOUS}")
    return None if any(values != other[0] for other in others) else values, end, more


def _row(source: _Source, dialect: Dialect, position: int) -> tuple[_Values, int, bool]:
    """Return the values of the row at ``position``, where it ends, and if a row follows.

    Raises ``Broken`` where it is none, and where the dump ends inside it.
    """
    while True:
        cursor = Cursor(source.text, position, dialect)
        try:
            values = cursor.row()
            cursor.skip_blank()
            if _AFTER_ROWS.match(source.text, cursor.position):
                cursor.skip_statement()
                return values, cursor.position, False
            return values, *_after(cursor)
        except Short:
            too_long = len(source.text) - position > source.limits.dump_row
            if too_long or not source.read():
                raise Broken from None


def _after(cursor: Cursor) -> tuple[int, bool]:
    more = cursor.next_mark(",;") == ","
    return cursor.position, more


def _resumed(source: _Source, dialect: Dialect, broken: int, width: int) -> int | None:
    """Return where the next sure row of the same statement is, after a broken one, if anywhere.

    It stands before the next line that begins a statement, has as many values as there are
    columns, and so have the rows behind it.
    """
    source.ensure(broken + _RESUME_WITHIN)
    following = _LINE_START.search(source.text, broken + 1)
    bound = following.start() if following else len(source.text)
    for candidate in _NEXT_ROW.finditer(source.text, broken + 1, bound):
        if _is_sure(source, dialect, candidate.end(), width):
            return candidate.end()
    return None


def _is_sure(source: _Source, dialect: Dialect, position: int, width: int) -> bool:
    cursor = Cursor(source.text, position, dialect)
    try:
        for _ in range(_SURE):
            if len(cursor.row()) != width:
                return False
            if not _after(cursor)[1]:
                return True
    except (Broken, Short):
        return False
    return True


def _cells(names: list[str], values: _Values) -> dict[str, object] | str:
    row: dict[str, object] = {}
    for name, value in zip(names, values, strict=True):
        if value is NotLiteral:
            return f"{name} is not a literal"
        row[name] = value
    return row


def _columns_of(body: str, dialect: Dialect) -> list[str]:
    """Return the names of the columns that the body of a CREATE TABLE defines."""
    body = _TEXT_OR_COMMENT.sub(lambda found: found.group(1) or " ", body)
    columns = []
    depth, start, position = 0, 0, 0
    while position < len(body):
        mark = body[position]
        quoted = dialect.single.match(body, position) if mark == "'" else None
        if quoted:
            position = quoted.end()
            continue
        if mark == "(":
            depth += 1
        elif mark in ",)" and depth == 0:
            if found := _COLUMN.match(body[start:position] + " "):
                columns.append(bare_name(found.group(1)))
            start = position + 1
            if mark == ")":
                break
        elif mark == ")":
            depth -= 1
        position += 1
    return columns


def _is_ours(table: str) -> bool:
    names = _names_in(table)
    return bool(names) and names[-1].lower() == _TABLE


def _names_in(text: str) -> list[str]:
    return [bare_name(name) for name in _NAMES.findall(text) if name]


def _dialect_of(head: str, name: str) -> Dialect:
    """Return the dialect that the text before the first row gives away, or ``_BOTH``.

    Only that text counts: what patients are called decides nothing.
    """
    first = re.search(r"^[ \t]*(?:INSERT|REPLACE)\b[^(]*", head, re.IGNORECASE | re.MULTILINE)
    before = head[: first.end()] if first else head
    for kind, signs in _SIGNS:
        if re.search(signs, before, re.MULTILINE):
            if isinstance(kind, DumpKind):
                return _DIALECTS[kind]
            raise InvalidData(_REFUSED.format(name=name, kind=kind))
    if first and re.search(r'INTO\s+"', first.group(), re.IGNORECASE):
        if "." in first.group():
            raise InvalidData(_REFUSED.format(name=name, kind="PostgreSQL"))
        return SQLITE
    return _BOTH


class _Source:
    """The text of a dump: the part that is held, and on which line that part begins."""

    def __init__(self, pieces: Iterable[str], limits: TextLimits, name: str) -> None:
        self.name = name
        self.limits = limits
        self._pieces = iter(pieces)
        self._line = 1
        self.text = ""

    def head(self) -> str:
        """Return how the dump begins."""
        self.ensure(_HEAD)
        return self.text[:_HEAD]

    def ensure(self, size: int) -> None:
        """Hold ``size`` characters, if there are so many."""
        while len(self.text) < size and self.read():
            pass

    def read(self) -> bool:
        """Hold about a megabyte more, or as much again as is held; return if there was any."""
        wanted, gathered = max(_CHUNK, len(self.text)), [self.text]
        for piece in self._pieces:
            gathered.append(piece)
            wanted -= len(piece)
            if wanted <= 0:
                break
        more = len(gathered) > 1
        self.text = "".join(gathered)
        return more

    def cut(self, position: int) -> int:
        """Drop what stands before ``position``; return the line that begins or goes on there."""
        self._line += self.text.count("\n", 0, position)
        self.text = self.text[position:]
        return self._line

    def cut_line(self, position: int) -> None:
        """Drop all up to the end of the line at ``position``."""
        end = self.text.find("\n", position)
        self.cut(len(self.text) if end < 0 else end + 1)

    def seek(self) -> int | None:
        """Return where the next statement begins that makes a table or inserts rows."""
        while True:
            for found in _START.finditer(self.text):
                if started := found["start"] or found["version"]:
                    return found.end() - len(started)
            opened = self.text.rfind("/*")
            keep = opened if opened > self.text.rfind("*/") else self.text.rfind("\n") + 1
            if len(self.text) - keep > self.limits.statement:
                keep = len(self.text)
            self.cut(keep)
            if not self.read():
                return None

    def statement_end(self, dialect: Dialect) -> int | None:
        """Return where the statement at the start of the text ends; None where it does not."""
        while (found := dialect.rest.match(self.text)) is None:
            if len(self.text) > self.limits.statement or not self.read():
                return None
        return found.end()

    def skip_statement(self, dialect: Dialect) -> None:
        """Drop the statement at the start of the text; where it does not end, its first line."""
        end = self.statement_end(dialect)
        if end is None:
            self.cut_line(0)
        else:
            self.cut(end)
