"""What the service's database keeps of predictions: rows, outcomes and keys of batches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from stroke.adapters.sql.assessments import erase_assessments
from stroke.adapters.sql.engine import transaction
from stroke.adapters.sql.faults import again_after_deadlock, translated
from stroke.adapters.sql.filters import conditions
from stroke.adapters.sql.tables import assessments, batches, outcomes, predictions, shadow_scores
from stroke.application.erasure.ports import ErasablePlace, OldRows, Trace
from stroke.domain.errors import StoreUnavailable
from stroke.domain.prediction import LARGEST_ID, PredictionFilter

# In the place of an erased one: no prediction has it. A retry of the batch is then refused as not
# replayable, as its documentation says, and stores nobody a second time.
_NOBODY: Final = [0, 1, 1]

_Runs = list[list[int]]  # [first id, how many, step] each


class SqlPredictionPlace(ErasablePlace):
    """The table ``predictions``, and what other tables keep of its rows: outcomes, scores, charts.

    A row has its idempotency key with it.

    Each call is one transaction, so give it a bounded number of ids. One that takes longer than
    ``statement_timeout`` seconds raises ``StoreUnavailable``.
    """

    name = "database"

    def __init__(self, engine: AsyncEngine, *, statement_timeout: float) -> None:
        self._transaction = partial(transaction, engine, seconds=statement_timeout)

    @again_after_deadlock
    async def erase(self, ids: Collection[int]) -> int:
        wanted = storable_ids(ids)
        async with self._transaction(writes=True) as connection:
            others = 0
            for table in (outcomes, shadow_scores):
                of_rows = table.c.prediction_id.in_(wanted)
                others += (await connection.execute(delete(table).where(of_rows))).rowcount
            charts = await erase_assessments(connection, wanted, datetime.now(UTC))
            rows = await connection.execute(delete(predictions).where(predictions.c.id.in_(wanted)))
        return others + charts + rows.rowcount

    async def find(self, ids: Collection[int]) -> list[Trace]:
        wanted = storable_ids(ids)
        found: list[Trace] = []
        async with self._transaction() as connection:
            for column in (
                predictions.c.id,
                outcomes.c.prediction_id,
                shadow_scores.c.prediction_id,
                assessments.c.prediction_id,
            ):
                rows = await connection.scalars(select(column).where(column.in_(wanted)))
                found += [Trace(number, f"table {column.table}") for number in rows]
        return sorted(found)


class SqlOldRows(OldRows):
    """The times in the table ``predictions``, which has an index of them.

    A call that takes longer than ``statement_timeout`` seconds raises ``StoreUnavailable``.
    """

    def __init__(self, engine: AsyncEngine, *, statement_timeout: float) -> None:
        self._transaction = partial(transaction, engine, seconds=statement_timeout)
        self._dialect = engine.dialect

    async def count(self, before: datetime) -> int:
        query = select(func.count()).select_from(predictions).where(*self._made(before))
        async with self._transaction() as connection:
            return int(await connection.scalar(query) or 0)

    async def oldest(self, before: datetime, *, limit: int) -> list[int]:
        query = (
            select(predictions.c.id)
            .where(*self._made(before))
            .order_by(predictions.c.timestamp, predictions.c.id)
            .limit(limit)
        )
        async with self._transaction() as connection:
            return list(await connection.scalars(query))

    def _made(self, before: datetime) -> list[ColumnElement[bool]]:
        return conditions(PredictionFilter(until=before), self._dialect)


async def forget_free_pages(engine: AsyncEngine, *, seconds: float) -> None:
    """Rewrite SQLite's file and its journal without what was removed; nothing on MySQL.

    SQLite leaves a removed row in the file until another takes its place. Others may read and write
    before and after, and wait meanwhile. Raises ``StoreUnavailable`` when it takes longer than
    ``seconds``, or when somebody goes on reading what was there before.
    """
    if engine.dialect.name != "sqlite":
        return
    with translated():
        async with asyncio.timeout(seconds), engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.exec_driver_sql("VACUUM")
            result = await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            if result.one()[0]:
                raise StoreUnavailable(
                    "another process reads the SQLite file, whose journal still has the rows that "
                    "were removed: run the command again"
                )


class SqlBatchKeys(ErasablePlace):
    """The keys of batches, which list the ids of their predictions.

    A batch keeps its key while one of its predictions is left: a retry must not store these again.
    The place of an erased one is left empty. The table is read ``page`` keys at a time.
    """

    name = "keys of batches"

    def __init__(self, engine: AsyncEngine, *, statement_timeout: float, page: int) -> None:
        self._transaction = partial(transaction, engine, seconds=statement_timeout)
        self._page = page

    async def erase(self, ids: Collection[int]) -> int:
        wanted = frozenset(storable_ids(ids))
        removed = 0
        async for keys in self._holding(wanted):
            removed += await self._erase(keys, wanted)
        return removed

    async def find(self, ids: Collection[int]) -> list[Trace]:
        wanted = frozenset(storable_ids(ids))
        found: set[int] = set()
        async for keys in self._holding(wanted):
            async with self._transaction() as connection:
                for _, runs in await _batches(connection, keys):
                    found |= wanted.intersection(_ids(runs))
        return [Trace(number, f"table {batches.name}") for number in sorted(found)]

    @again_after_deadlock
    async def _erase(self, keys: Sequence[str], ids: frozenset[int]) -> int:
        removed = 0
        async with self._transaction(writes=True) as connection:
            for key, runs in await _batches(connection, keys, lock=True):
                erased = ids.intersection(_ids(runs))
                left = _without(runs, ids)
                this = batches.c.idempotency_key == key
                if any(number for number in _ids(left)):
                    await connection.execute(update(batches).where(this).values(ids=left))
                else:
                    await connection.execute(delete(batches).where(this))
                removed += len(erased)
        return removed

    async def _holding(self, ids: frozenset[int]) -> AsyncIterator[list[str]]:
        """Give the keys that list one of these ids, page by page."""
        after = ""
        while True:
            query = select(batches.c.idempotency_key, batches.c.ids).order_by(
                batches.c.idempotency_key
            )
            async with self._transaction() as connection:
                rows = await connection.execute(
                    query.where(batches.c.idempotency_key > after).limit(self._page)
                )
                page = [(row[0], row[1]) for row in rows]
            if keys := [key for key, runs in page if not ids.isdisjoint(_ids(runs))]:
                yield keys
            if len(page) < self._page:
                return
            after = page[-1][0]


async def _batches(
    connection: AsyncConnection, keys: Sequence[str], *, lock: bool = False
) -> list[tuple[str, _Runs]]:
    query = select(batches.c.idempotency_key, batches.c.ids).where(
        batches.c.idempotency_key.in_(keys)
    )
    rows = await connection.execute(query.with_for_update() if lock else query)
    return [(row[0], row[1]) for row in rows]


def _ids(runs: Iterable[Any]) -> list[int]:
    return [each for first, rows, step in runs for each in range(first, first + rows * step, step)]


def _without(runs: _Runs, ids: frozenset[int]) -> _Runs:
    """Return ``runs`` with nobody in the place of each of ``ids``; all others keep theirs."""
    left: _Runs = []
    for first, rows, step in runs:
        begun: list[int] | None = None
        for number in range(first, first + rows * step, step):
            if number in ids:
                begun = None
                left.append(list(_NOBODY))
            elif begun is None:
                begun = [number, 1, step]
                left.append(begun)
            else:
                begun[1] += 1
    return left


def storable_ids(ids: Collection[int]) -> list[int]:
    """Return the ids that a row may have: a column cannot be compared with others."""
    return sorted(number for number in set(ids) if 0 < number <= LARGEST_ID)
