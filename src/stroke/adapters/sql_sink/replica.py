"""The table that Debezium's JDBC sink keeps, read for comparison."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Select, column, func, literal_column, select, table

from stroke.adapters.sql_sink.database import SinkDatabase
from stroke.application.pipeline.consistency import ReplicaChunk, Row, table_row, table_row_digest
from stroke.application.pipeline.kafka_connect_model import TopicPartition
from stroke.application.pipeline.ports import Replica

_T = TypeVar("_T")
# A row may hold megabytes. SQLAlchemy's cursor for asyncpg fetches as many, and never fewer.
_AT_ONCE: Final = 50


class SqlReplica(Replica):
    """The table ``name`` of the database at ``url``, whatever types its columns have.

    ``committed`` gives the next offset that the sink's connector reads, by partition: the JDBC
    sink commits its transactions first. ``columns`` gives the types by name that the source's
    table has now; columns that only the copy has do not count, and of type "json" are those
    whose text is a document. A call that takes longer than ``timeout`` seconds raises
    ``ReplicaUnavailable``.
    """

    name = "sql"
    keeps_history = False

    def __init__(
        self,
        url: URL,
        name: str,
        *,
        committed: Callable[[], Awaitable[Mapping[TopicPartition, int]]],
        columns: Callable[[], Awaitable[Mapping[str, str]]],
        timeout: float,
    ) -> None:
        self._database = SinkDatabase(url, timeout=timeout)
        self._table = table(name, column("id"))
        self._committed = committed
        self._columns = columns

    async def bounds(self) -> tuple[int, int] | None:
        number = self._table.c.id

        def read(connection: Connection) -> tuple[int | None, int | None]:
            low, high = connection.execute(select(func.min(number), func.max(number))).one()
            return low, high

        low, high = await self._database.call(read)
        return None if low is None or high is None else (int(low), int(high))

    async def count(self) -> int:
        query = select(func.count()).select_from(self._table)
        return await self._database.call(lambda connection: connection.execute(query).scalar_one())

    async def chunk(self, first: int, last: int) -> ReplicaChunk:
        """Return the digests; rows cannot be there twice, the id being the primary key."""
        return ReplicaChunk(await self._read(first, last, table_row_digest))

    async def read_rows(self, first: int, last: int) -> dict[int, Row]:
        return await self._read(first, last, table_row)

    async def _read(self, first: int, last: int, make: Callable[..., _T]) -> dict[int, _T]:
        kinds = await self._columns()
        wanted = self._table.c.id.between(first, last)
        query: Select[Any] = select(literal_column("*")).select_from(self._table).where(wanted)

        def read(connection: Connection) -> dict[int, _T]:
            result = connection.execute(query.execution_options(yield_per=_AT_ONCE))
            names = list(result.keys())
            return {int(row.id): make(zip(names, row, strict=True), kinds) for row in result}

        return await self._database.call(read)

    async def reached(self, offsets: Mapping[TopicPartition, int]) -> bool:
        committed = await self._committed()
        return all(committed.get(partition, 0) > last for partition, last in offsets.items())

    async def close(self) -> None:
        """Close all connections."""
        await self._database.close()
