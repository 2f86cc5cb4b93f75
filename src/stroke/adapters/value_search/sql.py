"""Searches the tables of a database, row by row, whatever their columns are."""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, Self, TypeVar

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Connection,
    Inspector,
    LargeBinary,
    Select,
    and_,
    case,
    cast,
    column,
    func,
    inspect,
    or_,
    select,
    table,
    type_coerce,
)
from sqlalchemy.exc import SAWarning
from sqlalchemy.types import NullType

from stroke.application.erasure.ports import ValueSearch, ValueTrace
from stroke.application.erasure.values import FoundValues, SoughtValues

_T = TypeVar("_T")
_AT_ONCE: Final = 100  # rows in memory: each may be large


class Caller(Protocol):
    """Runs work in a transaction of its own, and translates the database's errors."""

    def __call__(self, work: Callable[[Connection], _T]) -> Awaitable[_T]: ...


class SqlValueSearch(ValueSearch):
    """The ``tables`` of the database that ``call`` reaches; None stands for all that there are.

    A table is read by its primary key, ``page`` rows in a transaction; what has no key as a whole.
    A row is named by its key only where that is a whole number: others may be a patient's.
    """

    def __init__(
        self, name: str, call: Caller, *, tables: Sequence[str] | None = None, page: int = 5_000
    ) -> None:
        self._name = name
        self._call: Final = call
        self._tables = tables
        self._page = page

    @property
    def name(self) -> str:
        return self._name

    async def find_values(self, sought: SoughtValues) -> list[ValueTrace]:
        found = FoundValues()
        for table_ in await self._call(self._there):
            search = _Search(table_, sought, found)
            if table_.keys:
                last: Sequence[object] | None = ()
                while last is not None:
                    last = await self._call(partial(search.page, last, self._page))
            if table_.unkeyed:
                await self._call(search.unkeyed)
        return found.listed()

    def _there(self, connection: Connection) -> list[_Table]:
        known = inspect(connection)
        there = sorted(known.get_table_names())
        wanted = there if self._tables is None else [each for each in self._tables if each in there]
        with warnings.catch_warnings():  # of types that SQLAlchemy does not know, and all can read
            warnings.simplefilter("ignore", SAWarning)
            return [_Table.of(known, name) for name in wanted]


@dataclass(frozen=True, slots=True)
class _Table:
    """The names of a table, its columns, and those of its primary key.

    ``unkeyed`` says that rows may have no key: SQLite lets a key be NULL.
    """

    name: str
    columns: Sequence[str]
    keys: Sequence[str]
    unkeyed: bool

    @classmethod
    def of(cls, known: Inspector, name: str) -> Self:
        columns = known.get_columns(name)
        keys = known.get_pk_constraint(name)["constrained_columns"]
        nullable = any(each["nullable"] for each in columns if each["name"] in keys)
        return cls(name, [each["name"] for each in columns], keys, unkeyed=nullable or not keys)


@dataclass(frozen=True, slots=True)
class _Search:
    """Searches the rows of a table for what is sought, and notes what is found."""

    table: _Table
    sought: SoughtValues
    found: FoundValues

    def page(
        self, last: Sequence[Any], rows: int, connection: Connection
    ) -> Sequence[object] | None:
        """Search the rows after the one with the key ``last``; return the last one's, or None."""
        keys = self._keys
        query = self._rows(connection).where(
            *(key.is_not(None) for key in keys if self.table.unkeyed)
        )
        query = query.order_by(*keys).limit(rows)
        if last:
            # Databases use an index for this, and not for a comparison of whole keys.
            later = [
                and_(*(keys[n] == last[n] for n in range(at)), keys[at] > last[at])
                for at in range(len(keys))
            ]
            query = query.where(keys[0] >= last[0], or_(*later))
        count, end = self._search(query, connection)
        return end if count == rows else None

    def unkeyed(self, connection: Connection) -> None:
        """Search the rows that have no key: all of a table without one."""
        query = self._rows(connection)
        if self._keys:
            query = query.where(or_(*(key.is_(None) for key in self._keys)))
        self._search(query, connection)

    @property
    def _keys(self) -> list[ColumnClause[Any]]:
        return [column(key) for key in self.table.keys]

    def _rows(self, connection: Connection) -> Select[Any]:
        """Return a query for the key, and behind it all columns."""
        columns: list[ColumnElement[Any]] = [column(each) for each in self.table.columns]
        if connection.dialect.name == "sqlite":
            columns = [_undecoded(each) for each in columns]
        return select(*self._keys, *columns).select_from(table(self.table.name))

    def _search(self, query: Select[Any], connection: Connection) -> tuple[int, Sequence[object]]:
        """Return how many rows there are, and the key of the last."""
        width, count = len(self.table.keys), 0
        key: Sequence[object] = ()
        for row in connection.execute(query, execution_options={"yield_per": _AT_ONCE}):
            count, key = count + 1, tuple(row[:width])
            if numbers := self.sought.in_values(row[width:]):
                named = f", row {key[0]}" if width == 1 and type(key[0]) is int else ""
                self.found.add(numbers, f"table {self.table.name}{named}")
        return count, key


def _undecoded(of: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column of SQLite with its texts as bytes: they need not be UTF-8."""
    content = case((func.typeof(of) == "text", cast(of, LargeBinary)), else_=of)
    return type_coerce(content, NullType())
