"""The rows of the table ``predictions`` in a mysqldump.

sqlglot reads the statements; this module finds where they start and end, so that a dump of any
size passes through a few megabytes (mysqldump keeps its INSERTs under one, unless told otherwise).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

# It logs statements that it does not know, with the values in them.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)

_TABLE: Final = "predictions"
_STARTS: Final = re.compile(r"\s*(INSERT|REPLACE|CREATE\s+TABLE)\b", re.IGNORECASE)
_CREATE: Final = re.compile(r"\A\s*CREATE\b", re.IGNORECASE)
_REPLACE: Final = re.compile(r"\A\s*REPLACE\b", re.IGNORECASE)
_QUOTED: Final = re.compile(
    r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`[^`]*`|/\*.*?\*/|(?:--\s|#)[^\n]*",
    re.DOTALL,
)

# Line of the statement, place in it, and the cells by column or what is wrong with them.
DumpRow = tuple[int, int, "dict[str, object] | str"]


def rows_of_dump(lines: Iterable[str]) -> Iterator[DumpRow]:
    """Return the rows that the dump inserts into ``predictions``, in its order.

    An INSERT without a list of columns has those of the dump's CREATE TABLE. What is not a
    literal is a problem of its row; a statement that cannot be read is one problem.
    """
    columns: list[str] = []
    for line, statement in _statements(lines):
        if _TABLE not in statement[:1000]:
            continue
        try:
            # sqlglot knows no REPLACE; what it says of rows is the same
            trees = sqlglot.parse(_REPLACE.sub("INSERT", statement, count=1), read="mysql")
        except SqlglotError:
            yield line, 1, "is not a complete SQL statement"
            continue
        for tree in trees:
            if isinstance(tree, exp.Create) and _table_of(tree) == _TABLE:
                columns = [column.name for column in tree.this.find_all(exp.ColumnDef)]
            elif isinstance(tree, exp.Insert) and _table_of(tree) == _TABLE:
                yield from _rows_of_insert(line, tree, columns)
            elif isinstance(tree, exp.Command) and not _CREATE.match(statement):
                yield line, 1, "is not a statement that can be read"


def _statements(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Return each INSERT, REPLACE and CREATE TABLE with the line that it starts on."""
    started = 0
    pending: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not pending:
            if not _STARTS.match(line):
                continue
            started = number
        pending.append(line)
        if line.rstrip().endswith(";") and _is_whole(statement := "".join(pending)):
            yield started, statement
            pending = []
    if pending:  # the dump ends inside a statement
        yield started, "".join(pending)


def _is_whole(statement: str) -> bool:
    """Return whether the statement's last semicolon is outside of quotes and comments."""
    rest = _QUOTED.sub("", statement)
    return rest.rstrip().endswith(";") and not any(mark in rest for mark in ("'", '"', "`", "/*"))


def _table_of(tree: exp.Create | exp.Insert) -> str:
    table = tree.find(exp.Table)
    return table.name if table is not None else ""


def _rows_of_insert(line: int, insert: exp.Insert, columns: list[str]) -> Iterator[DumpRow]:
    named = insert.this.expressions if isinstance(insert.this, exp.Schema) else []
    names = [column.name for column in named] or columns
    values = insert.expression
    if not isinstance(values, exp.Values):
        yield line, 1, "inserts what a query finds, not values"
        return
    for place, row in enumerate(values.expressions, start=1):
        cells = row.expressions if isinstance(row, exp.Tuple) else [row]
        if not names:
            yield line, place, "names no columns, and the dump has no CREATE TABLE before it"
        elif len(cells) != len(names):
            yield line, place, f"has {len(cells)} values for {len(names)} columns"
        else:
            yield line, place, _cells(names, cells)


def _cells(names: list[str], cells: list[exp.Expression]) -> dict[str, object] | str:
    row: dict[str, object] = {}
    for name, cell in zip(names, cells, strict=True):
        try:
            row[name] = _literal(cell)
        except ValueError:
            return f"{name} is not a literal"
    return row


def _literal(cell: exp.Expression) -> object:
    """Return what a literal says: text (of numbers too) or None."""
    if isinstance(cell, exp.Literal):
        return cell.name
    if isinstance(cell, exp.Null):
        return None
    if isinstance(cell, exp.Neg) and isinstance(cell.this, exp.Literal):
        return f"-{cell.this.name}"
    if isinstance(cell, exp.Boolean):
        return str(int(cell.this))
    if isinstance(cell, exp.Introducer):  # _utf8mb4'text', _binary'text'
        return _literal(cell.expression)
    if isinstance(cell, exp.HexString):  # mysqldump --hex-blob
        return bytes.fromhex(cell.name).decode()
    raise ValueError("not a literal")
