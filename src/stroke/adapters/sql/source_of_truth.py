"""The table ``predictions`` in MySQL as the truth that copies are held against."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from sqlalchemy import (
    CHAR,
    ColumnElement,
    cast,
    column,
    delete,
    func,
    insert,
    literal_column,
    select,
    table,
    text,
)
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from stroke.adapters.sql.engine import transaction
from stroke.adapters.sql.faults import mysql_code
from stroke.application.pipeline.column_values import (
    GEOMETRIES,
    inexact,
    is_compared,
    stored_value,
    type_word,
)
from stroke.application.pipeline.consistency import Row, SourceChunk, runs, table_row_digest
from stroke.application.pipeline.ports import SourceOfTruth
from stroke.domain.errors import InvalidData, StoreUnavailable

_SIGNALS: Final = table("debezium_signal", column("id"), column("type"), column("data"))
_COLUMNS: Final = text(
    "SELECT column_name, column_type FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name = :table ORDER BY ordinal_position"
)
_EXACT: Final[Mapping[str, Callable[[ColumnElement[Any]], ColumnElement[Any]]]] = {
    "float": lambda stored: stored + literal_column("0e0"),
    "bit": lambda stored: stored + literal_column("0"),
    **dict.fromkeys(("date", "datetime", "timestamp", "time"), lambda stored: cast(stored, CHAR)),
    **dict.fromkeys((*GEOMETRIES, "vector"), func.hex),
}
_WRITABLE: Final = text(
    "SELECT column_name, is_nullable FROM information_schema.columns WHERE table_schema ="
    " DATABASE() AND table_name = :table AND COALESCE(generation_expression, '') = ''"
)
_MASKED: Final = "***"
# A row may have 15 MB, and a chunk thousands of them: so few are in memory at a time. MySQL sends
# all of them in one answer, so that it costs no more.
_AT_ONCE: Final = 2
_NEXT_ID: Final = text(
    "SELECT auto_increment FROM information_schema.tables"
    " WHERE table_schema = DATABASE() AND table_name = :table"
)
_DUPLICATE_ENTRY: Final = 1062
_DENIED: Final = frozenset({1044, 1142})
_DELETES_PER_TRANSACTION: Final = 200
# TEXT holds 65,535 bytes; the rest of a signal has 200 or so.
_CONDITION_BYTES: Final = 60_000
# Where its counter cannot be set back, MySQL goes on above an id that was inserted. So an id far
# beyond those in use is not, and least of all the last that there is.
_REACH: Final = 1_000_000


class MySqlSource(SourceOfTruth):
    """Reads the table ``name`` as Debezium sends it, and asks Debezium to send rows once more.

    ``mask`` names the column that leaves MySQL as ``***``, or with ``mask_salt`` as the
    hexadecimal HMAC-SHA-256 of its value. A call that takes longer than ``statement_timeout``
    seconds raises ``StoreUnavailable``.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        name: str,
        *,
        statement_timeout: float,
        mask: str = "",
        mask_salt: str | None = None,
    ) -> None:
        self._engine = engine
        self._name = name
        self._table = table(name, column("id"))
        self._transaction = partial(transaction, engine, seconds=statement_timeout)
        self._mask = mask
        self._mask_salt = mask_salt
        self._inexact: dict[str, str] = {}

    async def bounds(self) -> tuple[int, int] | None:
        number = self._table.c.id
        async with self._transaction() as connection:
            low, high = (await connection.execute(select(func.min(number), func.max(number)))).one()
        return None if low is None else (low, high)

    async def count(self) -> int:
        async with self._transaction() as connection:
            return int(await connection.scalar(select(func.count()).select_from(self._table)) or 0)

    async def boundary(self, first: int, count: int) -> int | None:
        number = self._table.c.id
        query = select(number).where(number >= first).order_by(number).limit(1).offset(count - 1)
        async with self._transaction() as connection:
            found: int | None = await connection.scalar(query)
        return found

    async def chunk(self, first: int, last: int) -> SourceChunk:
        """Return the digests over the columns that the table has now."""
        number = self._table.c.id
        async with self._transaction() as connection:
            kinds = await self._columns(connection)
            wanted = (self._read(name, kind) for name, kind in kinds.items())
            query = select(number, *wanted).select_from(self._table)
            rows = await connection.stream(
                query.where(number.between(first, last)).execution_options(yield_per=_AT_ONCE)
            )
            suspects = [
                (place, name, kind)
                for place, (name, kind) in enumerate(kinds.items(), start=1)
                if type_word(kind) in {"datetime", "year"}
            ]
            digests: dict[int, bytes] = {}
            async for few in rows.partitions():
                for row in few:
                    for place, name, kind in suspects:
                        if found := inexact(row[place], kind):
                            self._inexact[name] = f"{kind}, {found}"
                    digests[row[0]] = table_row_digest(self._as_sent(kinds, row[1:]), kinds)
        return SourceChunk(digests)

    async def columns(self) -> dict[str, str]:
        """Return MySQL's types in lower case, as ``datetime(3)``, by the names of the columns.

        Only those that are compared: see ``uncompared``.
        """
        async with self._transaction() as connection:
            return await self._columns(connection)

    async def uncompared(self) -> dict[str, str]:
        async with self._transaction() as connection:
            found = await self._all_columns(connection)
            unknown = {name: kind for name, kind in found.items() if not is_compared(kind)}
        return unknown | self._inexact

    async def position(self) -> str:
        """Return the GTID set, whose last transaction changed a row.

        Debezium counts a statement that changes none (ALTER, GRANT) as sent only with the next
        transaction, which on a quiet system may be tomorrow's.
        """
        if await self._variable("gtid_mode") != "ON":
            raise StoreUnavailable("MySQL must run with gtid_mode=ON: a copy has no other clock")
        await self._commit_a_mark()
        return (await self._variable("gtid_executed")).replace("\n", "")

    async def _variable(self, name: str) -> str:
        async with self._transaction() as connection:
            return str(await connection.scalar(text(f"SELECT @@GLOBAL.{name}")))

    async def _commit_a_mark(self) -> None:
        mark = str(uuid.uuid4())
        async with self._transaction() as connection:
            await connection.execute(
                insert(_SIGNALS).values(id=mark, type="log", data='{"message": "verify"}')
            )
            await connection.execute(delete(_SIGNALS).where(_SIGNALS.c.id == mark))

    async def includes(self, position: str, wanted: str) -> bool:
        async with self._transaction() as connection:
            return bool(await connection.scalar(select(func.gtid_subset(wanted, position))))

    async def bring_back(self, rows: Mapping[int, Row]) -> list[int]:
        async with self._transaction() as connection:
            found = await connection.execute(_WRITABLE, {"table": self._name})
            writable = {row[0]: row[1] for row in found}
            kinds = await self._all_columns(connection)
            return [
                number
                for number in sorted(rows)
                if await self._insert(
                    connection,
                    {"id": number, **rows[number]},
                    {
                        name: kind
                        for name, kind in kinds.items()
                        if name == "id" or name in rows[number] or writable.get(name) == "YES"
                        if name in writable
                    },
                )
            ]

    async def _insert(
        self, connection: AsyncConnection, row: Row, kinds: Mapping[str, str]
    ) -> bool:
        # A column that is NULL in the row is so in the table, whatever its default.
        known = {name: row.get(name) for name in kinds}
        into = table(self._name, *(column(name) for name in known))
        values = {name: stored_value(value, kinds[name]) for name, value in known.items()}
        try:
            await connection.execute(insert(into).values(values))
        except IntegrityError as error:
            if mysql_code(error) != _DUPLICATE_ENTRY:
                raise
            return False
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            raise InvalidData(
                f"MySQL refuses the row with id {row['id']} (error {mysql_code(error)}): "
                "nothing was brought back"
            ) from error
        return True

    async def send_again(self, ids: Sequence[int]) -> None:
        """Insert as many signals as the ids need; Debezium works them off in their order."""
        signals = [self._signal(condition) for condition in _conditions(sorted(set(ids)))]
        async with self._transaction() as connection:
            for signal in signals:
                await connection.execute(
                    insert(_SIGNALS).values(
                        id=str(uuid.uuid4()), type="execute-snapshot", data=signal
                    )
                )

    async def send_deletes(self, ids: Sequence[int]) -> list[int]:
        """Insert a bare row for each id and delete it again before anyone can see it.

        Passed over, too, are ids that MySQL could not have given: those below 1, and those more
        than a million above the highest.
        """
        bounds = await self.bounds()
        highest = (bounds[1] if bounds else 0) + _REACH
        possible = [number for number in sorted(set(ids)) if 1 <= number <= highest]
        deleted: list[int] = []
        for start in range(0, len(possible), _DELETES_PER_TRANSACTION):
            async with (
                self._transaction() as connection,
                self._same_next_id(connection, possible[start : start + _DELETES_PER_TRANSACTION]),
            ):
                deleted += [
                    number
                    for number in possible[start : start + _DELETES_PER_TRANSACTION]
                    if await self._insert_and_delete(connection, number)
                ]
        return deleted

    @asynccontextmanager
    async def _same_next_id(
        self, connection: AsyncConnection, ids: Sequence[int]
    ) -> AsyncIterator[None]:
        """Let the ids be inserted in the block, without MySQL going on far above its counter.

        An id that is inserted counts as given: the counter is set back at the end, but not below
        ids that follow it without a gap, which MySQL may have given before it was restored. Nobody
        else inserts meanwhile, if the account may lock tables; else MySQL itself goes on above the
        ids that others were given meanwhile.
        """
        before = await self._next_id(connection)
        if before is None or max(ids) < before:
            yield
            return
        is_locked = await self._lock(connection)
        try:
            following = await self._next_id(connection) or 1
            for number in ids:
                following += number == following
            yield
            # It commits what was done before.
            await self._continue_at(connection, following)
        finally:
            if is_locked:
                await connection.exec_driver_sql("UNLOCK TABLES")

    async def _lock(self, connection: AsyncConnection) -> bool:
        try:
            await connection.exec_driver_sql(f"LOCK TABLES {self._quoted(connection)} WRITE")
        except DBAPIError as error:
            if mysql_code(error) not in _DENIED:
                raise
            return False
        return True

    async def next_id(self) -> int | None:
        async with self._transaction() as connection:
            return await self._next_id(connection)

    async def continue_at(self, number: int) -> None:
        async with self._transaction() as connection:
            await self._continue_at(connection, number)

    async def _next_id(self, connection: AsyncConnection) -> int | None:
        # What information_schema says of it may be a day old, unless it is asked not to.
        await connection.exec_driver_sql("SET SESSION information_schema_stats_expiry = 0")
        found: int | None = await connection.scalar(_NEXT_ID, {"table": self._name})
        return found

    async def _continue_at(self, connection: AsyncConnection, number: int) -> None:
        await connection.exec_driver_sql(
            f"ALTER TABLE {self._quoted(connection)} AUTO_INCREMENT = {number:d}"
        )

    def _quoted(self, connection: AsyncConnection) -> str:
        return connection.dialect.identifier_preparer.quote(self._name)

    async def _insert_and_delete(self, connection: AsyncConnection, number: int) -> bool:
        try:
            await connection.execute(insert(self._table).values(id=number))
        except IntegrityError as error:
            if mysql_code(error) != _DUPLICATE_ENTRY:
                raise
            return False  # stored: only the statement was undone
        await connection.execute(delete(self._table).where(self._table.c.id == number))
        return True

    def _read(self, name: str, kind: str) -> ColumnElement[Any]:
        """Return an expression that gives every value of a type as it is stored.

        The driver does not know all types, and MySQL prints FLOAT with six digits only. What is
        masked is masked as the text that the driver gives.
        """
        stored: ColumnElement[Any] = column(name)
        how = _EXACT.get(type_word(kind))
        return stored if how is None or name == self._mask else how(stored)

    def _signal(self, condition: str) -> str:
        collection = f"{self._engine.url.database}.{self._name}"
        return json.dumps(
            {
                "type": "incremental",
                "data-collections": [collection],
                "additional-conditions": [{"data-collection": collection, "filter": condition}],
            }
        )

    async def _columns(self, connection: AsyncConnection) -> dict[str, str]:
        found = await self._all_columns(connection)
        return {name: kind for name, kind in found.items() if is_compared(kind)}

    async def _all_columns(self, connection: AsyncConnection) -> dict[str, str]:
        found = await connection.execute(_COLUMNS, {"table": self._name})
        columns = {row[0]: _as_text(row[1]) for row in found}
        if not columns:
            raise StoreUnavailable(f"there is no table {self._name}: run `stroke db upgrade`")
        return columns

    def _as_sent(
        self, names: Iterable[str], values: Iterable[object]
    ) -> Iterator[tuple[str, object]]:
        for name, value in zip(names, values, strict=True):
            yield name, self._masked(value) if name == self._mask else value

    def _masked(self, value: object) -> str | None:
        if value is None:
            return None
        if self._mask_salt is None:
            return _MASKED
        return hmac.new(self._mask_salt.encode(), str(value).encode(), hashlib.sha256).hexdigest()


def _as_text(column_type: str | bytes) -> str:
    """Return MySQL's type, which some servers hand over as bytes, in lower case."""
    return (column_type.decode() if isinstance(column_type, bytes) else column_type).lower()


def _conditions(ids: Sequence[int]) -> Iterator[str]:
    """Return conditions that together select ``ids``, each small enough for one signal."""
    ranges: list[str] = []
    numbers: list[str] = []
    size = 0
    for first, last in runs(ids):
        kept, piece = (
            (numbers, str(first)) if first == last else (ranges, f"id BETWEEN {first} AND {last}")
        )
        if size + len(piece) > _CONDITION_BYTES:
            yield _either(ranges, numbers)
            ranges.clear()
            numbers.clear()
            size = 0
        kept.append(piece)
        size += len(piece) + len(" OR ")
    if size:
        yield _either(ranges, numbers)


def _either(ranges: Sequence[str], numbers: Sequence[str]) -> str:
    """Return one condition in brackets, because Debezium adds conditions of its own."""
    listed = [f"id IN ({', '.join(numbers)})"] if numbers else []
    return f"({' OR '.join([*ranges, *listed])})"
