"""What the SQL copy keeps of predictions: their rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from sqlalchemy import URL, BigInteger, Connection, column, delete, select, table

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


def _chunks(ids: Collection[int]) -> Iterator[list[int]]:
    wanted = sorted(number for number in set(ids) if 0 < number <= LARGEST_ID)
    for start in range(0, len(wanted), _AT_ONCE):
        yield wanted[start : start + _AT_ONCE]
