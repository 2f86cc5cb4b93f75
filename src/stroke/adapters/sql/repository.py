"""Predictions in an SQL database."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Dialect,
    Text,
    delete,
    func,
    insert,
    select,
    type_coerce,
    update,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.assessments import erase_assessments
from stroke.adapters.sql.engine import transaction
from stroke.adapters.sql.faults import again_after_deadlock, translated
from stroke.adapters.sql.filters import comparable, conditions, storable
from stroke.adapters.sql.insert_connection import InsertConnection
from stroke.adapters.sql.pages import PageReader
from stroke.adapters.sql.rows import WRITTEN, parameters, select_records, to_record, to_utc
from stroke.adapters.sql.tables import batches, outcomes, shadow_scores
from stroke.adapters.sql.tables import predictions as table
from stroke.adapters.sql.write_check import WriteCheck
from stroke.application.predictions.ports import PredictionRepository
from stroke.domain.errors import PredictionNotFound, StoreUnavailable
from stroke.domain.prediction import (
    Prediction,
    PredictionFilter,
    PredictionRecord,
    StoredBatch,
)

# At most 2 MB of text per statement, half of the smallest default of max_allowed_packet there
# has been; 17,000 variables, half of what SQLite takes; and a loop that is never busy for long.
_ROWS_PER_STATEMENT: Final = 1000


class SqlPredictionRepository(PredictionRepository):
    """The table ``predictions``. Every call is one transaction on one connection of ``engine``.

    A call that takes longer than ``statement_timeout`` seconds, the wait for a connection
    included, raises ``StoreUnavailable``. ``check`` has a connection of its own and takes
    ``check_timeout`` seconds at the most; it writes a row and removes it again when nothing was
    stored for ``trial_interval`` seconds. At most ``listing_connections`` pages are read at a
    time; more of them wait, and leave the other connections to predictions.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        statement_timeout: float,
        check_timeout: float = 2,
        trial_interval: float = 10,
        listing_connections: int = 2,
    ) -> None:
        self._engine = engine
        self._statement_timeout = statement_timeout
        self._transaction = partial(transaction, engine, seconds=statement_timeout)
        self._dialect = engine.dialect
        self._on_mysql = engine.dialect.name == "mysql"
        self._listings = asyncio.Semaphore(listing_connections)
        # The server ends it, too: a listing that was given up would go on there.
        self._bounded = f"/*+ MAX_EXECUTION_TIME({math.ceil(statement_timeout * 1000)}) */"
        self._kept = InsertConnection(engine)
        self._check = WriteCheck(engine, seconds=check_timeout, trial_seconds=trial_interval)
        self._insert_into, self._one_row = _insert_parts(engine.dialect)
        self._insert = lru_cache(maxsize=_ROWS_PER_STATEMENT)(self._insert_statement)

    @again_after_deadlock
    async def add(
        self, predictions: Sequence[Prediction], *, batch_key: str | None = None
    ) -> list[int]:
        """Store all ``predictions`` with one INSERT per 1,000 rows and one commit."""
        if not predictions:
            return []
        try:
            ids = await self._add(predictions, batch_key)
        except StoreUnavailable:
            self._check.doubted()
            raise
        self._check.proved()
        return ids

    async def _add(self, predictions: Sequence[Prediction], batch_key: str | None) -> list[int]:
        if batch_key is not None:
            # In the unique column, so that no single prediction has the key either.
            predictions = [replace(predictions[0], idempotency_key=batch_key), *predictions[1:]]
        elif len(predictions) <= _ROWS_PER_STATEMENT and not self._kept.busy:
            return await self._add_in_one_statement(predictions)
        runs: list[range] = []
        async with self._transaction() as connection:
            for start in range(0, len(predictions), _ROWS_PER_STATEMENT):
                chunk = predictions[start : start + _ROWS_PER_STATEMENT]
                result = await connection.exec_driver_sql(
                    self._insert(len(chunk)), parameters(chunk)
                )
                step = connection.info.get("id_step", 1)
                runs.append(self._ids(result.lastrowid, len(chunk), step))
            if batch_key is not None:
                await connection.execute(
                    insert(batches).values(
                        idempotency_key=batch_key,
                        made_at=predictions[0].made_at.astimezone(UTC).replace(tzinfo=None),
                        ids=[[run.start, len(run), run.step] for run in runs],
                    )
                )
        return [each for run in runs for each in run]

    async def get(self, prediction_id: int) -> PredictionRecord:
        found = await self._first(table.c.id == storable(prediction_id))
        if found is None:
            raise PredictionNotFound(prediction_id)
        return found

    async def get_many(self, prediction_ids: Sequence[int]) -> dict[int, PredictionRecord]:
        found: dict[int, PredictionRecord] = {}
        async with self._transaction() as connection:
            for start in range(0, len(prediction_ids), _ROWS_PER_STATEMENT):
                chunk = {storable(each) for each in prediction_ids[start:][:_ROWS_PER_STATEMENT]}
                rows = await connection.execute(select_records().where(table.c.id.in_(chunk)))
                found |= {record.id: record for record in map(to_record, rows)}
        return found

    async def find_by_key(self, idempotency_key: str) -> PredictionRecord | StoredBatch | None:
        batch = select(type_coerce(batches.c.made_at, Text), batches.c.ids).where(
            batches.c.idempotency_key == idempotency_key
        )
        single = select_records().where(table.c.idempotency_key == idempotency_key)
        async with self._transaction() as connection:
            one = (await connection.execute(single)).first()
            # After its first prediction, which has the key as well: SQLite may commit both between.
            several = (await connection.execute(batch)).first()
        if several is not None:
            return _to_batch(*several)
        return None if one is None else to_record(one)

    @again_after_deadlock
    async def release_key(self, idempotency_key: str, *, made_before: datetime) -> None:
        until = comparable(made_before)
        single = update(table).where(
            table.c.idempotency_key == idempotency_key,
            type_coerce(table.c.timestamp, Text) < until,
        )
        batch = delete(batches).where(
            batches.c.idempotency_key == idempotency_key,
            type_coerce(batches.c.made_at, Text) < until,
        )
        async with self._transaction() as connection:
            await connection.execute(single.values(idempotency_key=None))
            await connection.execute(batch)

    async def page(
        self, narrowed: PredictionFilter, *, limit: int, before: int | None = None
    ) -> list[PredictionRecord]:
        with translated():
            async with (
                asyncio.timeout(self._statement_timeout),
                self._listings,
                self._transaction() as connection,
            ):
                reader = PageReader(connection, self._bounded)
                rows = await reader.page(narrowed, limit=limit, before=before)
                return [to_record(row) for row in rows]

    async def count(self, narrowed: PredictionFilter, *, most: int) -> int:
        some = select(table.c.id).where(*conditions(narrowed, self._dialect)).limit(most)
        query = select(func.count()).select_from(some.subquery())
        with translated():
            async with (
                asyncio.timeout(self._statement_timeout),
                self._listings,
                self._transaction() as connection,
            ):
                found = await connection.scalar(query.prefix_with(self._bounded, dialect="mysql"))
                return int(found or 0)

    @again_after_deadlock
    async def remove(self, prediction_id: int) -> None:
        known = storable(prediction_id)
        async with self._transaction() as connection:
            erased = await connection.execute(delete(table).where(table.c.id == known))
            if erased.rowcount == 0:
                raise PredictionNotFound(prediction_id)
            await erase_assessments(connection, [known], datetime.now(UTC))
            if not self._on_mysql:  # where foreign keys do it
                for other in (outcomes, shadow_scores):
                    await connection.execute(delete(other).where(other.c.prediction_id == known))

    async def check(self) -> None:
        await self._check.run()

    async def _add_in_one_statement(self, batch: Sequence[Prediction]) -> list[int]:
        with translated():
            async with asyncio.timeout(self._statement_timeout):
                last_row_id, step = await self._kept.insert(
                    self._insert(len(batch)), parameters(batch)
                )
        return list(self._ids(last_row_id, len(batch), step))

    async def _first(self, condition: ColumnElement[bool]) -> PredictionRecord | None:
        async with self._transaction() as connection:
            row = (await connection.execute(select_records().where(condition))).first()
        return None if row is None else to_record(row)

    def _insert_statement(self, rows: int) -> str:
        return self._insert_into + ", ".join([self._one_row] * rows)

    def _ids(self, last_row_id: int, rows: int, step: int) -> range:
        """Return the ids of one INSERT. See docs/decisions/0004-ids-of-a-batch.md."""
        first = last_row_id if self._on_mysql else last_row_id - rows + 1
        return range(first, first + rows * step, step)


def _to_batch(made_at: object, runs: Iterable[Any]) -> StoredBatch:
    moment = to_utc(made_at)
    assert moment is not None  # noqa: S101 - the column is of our own making
    ids = (range(first, first + rows * step, step) for first, rows, step in runs)
    return StoredBatch(tuple(each for run in ids for each in run), moment)


def _insert_parts(dialect: Dialect) -> tuple[str, str]:
    """Return the text before the rows and that of one row, as ``dialect`` writes them."""
    one = insert(table).values(dict.fromkeys(WRITTEN, None)).compile(dialect=dialect)
    before, values, row = str(one).partition(" VALUES ")
    return before + values, row
