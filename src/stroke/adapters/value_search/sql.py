"""Searches the tables of a database, row by row, whatever their columns are."""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import ColumnClause, Connection, Select, and_, column, inspect, or_, select, table
from sqlalchemy.exc import SAWarning

from stroke.application.erasure.ports import ValueSearch, ValueTrace
from stroke.application.erasure.values import FoundValues, SoughtValues

_T = TypeVar("_T")


class Caller(Protocol):
    """Runs work in a transaction of its own, and translates the database's errors."""

    def __call__(self, work: Callable[[Connection], _T]) -> Awaitable[_T]: ...


class SqlValueSearch(ValueSearch):
    """The ``tables`` of the database that ``call`` reaches; None stands for all that there are.

    A table is read ``page`` rows at a time, by its primary key; one without a key as a whole. A row
    is named by its key only where that is a whole number: others may be a patient's.
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
            last: Sequence[object] = ()
            while True:
                rows = await self._call(partial(_page, table_, last, self._page))
                for row in rows:
                    if numbers := sought.in_values(row):
                        found.add(numbers, f"table {table_.name}{table_.named(row)}")
                if not table_.keys or len(rows) < self._page:
                    break
                last = table_.key(rows[-1])
        return found.listed()

    def _there(self, connection: Connection) -> list[_Table]:
        known = inspect(connection)
        there = sorted(known.get_table_names())
        wanted = there if self._tables is None else [each for each in self._tables if each in there]
        with warnings.catch_warnings():  # of types that SQLAlchemy does not know, and all can read
            warnings.simplefilter("ignore", SAWarning)
            return [
                _Table(
                    name,
                    [each["name"] for each in known.get_columns(name)],
                    known.get_pk_constraint(name)["constrained_columns"],
                )
                for name in wanted
            ]


@dataclass(frozen=True, slots=True)
class _Table:
    """The names of a table, its columns, and those of its primary key."""

    name: str
    columns: Sequence[str]
    keys: Sequence[str]

    def key(self, row: Sequence[object]) -> list[object]:
        return [row[self.columns.index(key)] for key in self.keys]

    def named(self, row: Sequence[object]) -> str:
        key = self.key(row)
        return f", row {key[0]}" if len(key) == 1 and type(key[0]) is int else ""


def _page(
    of: _Table, last: Sequence[Any], rows: int, connection: Connection
) -> list[Sequence[Any]]:
    """Return the rows after the one with the key ``last``; all of a table without a key."""
    keys: list[ColumnClause[Any]] = [column(key) for key in of.keys]
    columns: list[ColumnClause[Any]] = [column(each) for each in of.columns]
    query: Select[Any] = select(*columns).select_from(table(of.name))
    if keys:
        query = query.order_by(*keys).limit(rows)
    if last:
        # Databases use an index for this, and not for a comparison of whole keys.
        later = [
            and_(*(keys[n] == last[n] for n in range(at)), keys[at] > last[at])
            for at in range(len(keys))
        ]
        query = query.where(keys[0] >= last[0], or_(*later))
    return list(connection.execute(query))
