"""What databases of copies keep of predictions: rows of the SQL copy, and of results."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from sqlalchemy import (
    URL,
    BigInteger,
    Connection,
    TableClause,
    column,
    delete,
    inspect,
    select,
    table,
)

from stroke.adapters.sql_sink.database import SinkDatabase
from stroke.application.erasure.ports import ErasablePlace, Trace
from stroke.domain.prediction import LARGEST_ID

# SQL Server takes 2,100 parameters in one statement.
_AT_ONCE: Final = 1_000


class SqlCopyPlace(ErasablePlace):
    """The table ``name`` of the database at ``url``.

    The sink removes a row when it hears that MySQL has none. A row that is still there afterwards
    is one that the pipeline has lost, and ``erase`` removes it.
    """

    name = "SQL copy"

    def __init__(self, url: URL, name: str, *, timeout: float) -> None:
        self._database = SinkDatabase(url, timeout=timeout)
        self._table = table(name, column("id", BigInteger))

    async def erase(self, ids: Collection[int]) -> int:
        removed = 0
        for some in _chunks(ids):
            removing = delete(self._table).where(self._table.c.id.in_(some))

            def work(connection: Connection, removing: object = removing) -> int:
                return connection.execute(removing).rowcount  # type: ignore[call-overload,no-any-return]

            removed += await self._database.call(work)
        return removed

    async def find(self, ids: Collection[int]) -> list[Trace]:
        found: list[Trace] = []
        for some in _chunks(ids):
            wanted = select(self._table.c.id).where(self._table.c.id.in_(some))

            def work(connection: Connection, wanted: object = wanted) -> list[int]:
                return [int(row[0]) for row in connection.execute(wanted)]  # type: ignore[call-overload]

            found += [
                Trace(number, f"table {self._table.name}")
                for number in await self._database.call(work)
            ]
        return sorted(found)

    async def close(self) -> None:
        """Close all connections."""
        await self._database.close()


class SqlResultsPlace(ErasablePlace):
    """The ``tables`` with a row per prediction that analyses wrote to the database at ``url``.

    Those that are not there, or have no ids, keep nothing. A run brings back what its source still
    has: erase there first. Trouble of the database raises ``ReplicaUnavailable``.
    """

    def __init__(self, url: URL, tables: Sequence[str], *, timeout: float) -> None:
        self._name = f"analyses in {url.render_as_string(hide_password=True)}"
        self._database = SinkDatabase(url, timeout=timeout, name="the database for results")
        self._tables = tuple(tables)

    @property
    def name(self) -> str:
        return self._name

    async def erase(self, ids: Collection[int]) -> int:
        chunks = list(_chunks(ids))

        def work(connection: Connection) -> int:
            return sum(
                connection.execute(delete(each).where(each.c.id.in_(some))).rowcount
                for each in self._there(connection)
                for some in chunks
            )

        return await self._database.call(work)

    async def find(self, ids: Collection[int]) -> list[Trace]:
        chunks = list(_chunks(ids))

        def work(connection: Connection) -> list[Trace]:
            return sorted(
                Trace(int(number), f"table {each.name}")
                for each in self._there(connection)
                for some in chunks
                for number in connection.scalars(select(each.c.id).where(each.c.id.in_(some)))
            )

        return await self._database.call(work)

    async def close(self) -> None:
        """Close all connections."""
        await self._database.close()

    def _there(self, connection: Connection) -> list[TableClause]:
        known = inspect(connection)
        return [
            table(name, column("id", BigInteger))
            for name in self._tables
            if known.has_table(name) and any(c["name"] == "id" for c in known.get_columns(name))
        ]


def _chunks(ids: Collection[int]) -> Iterator[list[int]]:
    wanted = sorted(number for number in set(ids) if 0 < number <= LARGEST_ID)
    for start in range(0, len(wanted), _AT_ONCE):
        yield wanted[start : start + _AT_ONCE]
