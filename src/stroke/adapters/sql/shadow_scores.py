"""What shadows said of stored predictions: the table ``shadow_scores``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import chain
from typing import Any, Final

from sqlalchemy import BindParameter, bindparam, event, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.engine import transaction, verify_file
from stroke.adapters.sql.faults import again_after_deadlock, translated
from stroke.adapters.sql.filters import conditions
from stroke.adapters.sql.rows import utc_text
from stroke.adapters.sql.tables import predictions
from stroke.adapters.sql.tables import shadow_scores as table
from stroke.application.models.ports import ShadowScores
from stroke.domain.prediction import LARGEST_ID, PredictionFilter
from stroke.domain.shadow import ShadowPair, ShadowScore

_MOST_AT_ONCE: Final = 5_000
"""Rows: SQLite takes 32,766 values in one statement."""

_GRACE: Final = 1.0
"""Seconds in which a statement of SQLite that is interrupted may end."""

_AGAIN: Final = 0.1
"""Seconds between two interruptions: one that comes before its statement has begun is lost."""

_Row = tuple[int | float | str | None, ...]


class SqlShadowScores(ShadowScores):
    """Every call is one transaction on one connection of ``engine``.

    A call that takes longer than ``statement_timeout`` seconds raises ``StoreUnavailable``.
    """

    def __init__(self, engine: AsyncEngine, *, statement_timeout: float) -> None:
        self._engine = engine
        self._seconds = statement_timeout
        self._on_sqlite = engine.dialect.name == "sqlite"
        self._insert = _INSERT.format("?" if self._on_sqlite else "%s")
        self._transaction = partial(transaction, engine, seconds=statement_timeout)

    async def add(self, scores: Sequence[ShadowScore]) -> int:
        if not scores:
            return 0
        rows = _rows(scores)
        if self._on_sqlite and len(rows) <= _MOST_AT_ONCE:
            return await self._add_at_once(rows)
        return await self._add_after_a_look(rows)

    @again_after_deadlock
    async def _add_after_a_look(self, rows: list[_Row]) -> int:
        wanted = list({each[0] for each in rows})
        async with self._transaction(writes=True) as connection:
            # Nearly always all are there: to count them is cheaper than to fetch them.
            if await connection.scalar(_COUNT, {"wanted": wanted}) != len(wanted):
                found = set(await connection.scalars(_FOUND, {"wanted": wanted}))
                rows = [each for each in rows if each[0] in found]
            if rows:
                # By the driver: through SQLAlchemy each row costs half as much again, and this
                # thread takes its time from the one that answers.
                await connection.exec_driver_sql(self._insert, rows)
        return len(rows)

    async def _add_at_once(self, rows: list[_Row]) -> int:
        """Add ``rows`` to SQLite by one statement, which commits itself.

        Two connections cannot write to SQLite at once, and between two statements this thread waits
        for Python's lock, which the thread that answers has: its commits would wait meanwhile.

        A statement that takes too long is interrupted, and its own end then says whether the rows
        are there. If it does not even end within ``_GRACE`` (it still waits for another writer, or
        for the disk), nobody waits for it: it writes nothing any more, unless it is in the midst of
        its commit already.
        """
        marks = ", ".join([f"({', '.join('?' * len(rows[0]))})"] * len(rows))
        values = tuple(chain.from_iterable(rows))
        end = asyncio.get_running_loop().time() + self._seconds
        with translated():
            async with asyncio.timeout_at(end) as limit, self._engine.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                raw = await connection.get_raw_connection()
                limit.reschedule(end + _GRACE)
                interrupting = asyncio.create_task(_interrupt_from(end, raw.driver_connection))
                try:
                    added = await connection.exec_driver_sql(_INSERT_KNOWN.format(marks), values)
                finally:
                    interrupting.cancel()
        verify_file(self._engine)
        return added.rowcount

    async def versions(self) -> list[str]:
        query = select(table.c.model_version).distinct().order_by(table.c.model_version)
        async with self._transaction() as connection:
            return list(await connection.scalars(query))

    async def pairs(
        self, version: str, within: PredictionFilter, *, limit: int, before: int | None = None
    ) -> list[ShadowPair]:
        query = (
            select(
                table.c.prediction_id,
                predictions.c.model_version,
                predictions.c.probability,
                predictions.c.risk_category,
                table.c.probability,
                table.c.risk_category,
                table.c.why_not,
                predictions.c.gender,
                predictions.c.age,
                predictions.c.smoking_status,
            )
            .select_from(table.join(predictions, predictions.c.id == table.c.prediction_id))
            .where(
                table.c.model_version == version,
                table.c.prediction_id <= (LARGEST_ID if before is None else before - 1),
                *conditions(within, self._engine.dialect),
            )
            .order_by(table.c.prediction_id.desc())
            .limit(limit)
        )
        async with self._transaction() as connection:
            return [ShadowPair._make(row) for row in await connection.execute(query)]

    async def close(self) -> None:
        await self._engine.dispose()


def without_waiting_for_the_disk(engine: AsyncEngine) -> AsyncEngine:
    """Return ``engine``, whose commits on SQLite are not brought to the disk at once.

    What a power failure takes then is the last scores of shadows. The file stays sound (SQLite's
    WAL with ``synchronous = NORMAL``), and commits of other connections are as durable as before.
    MySQL has no such choice for one connection.
    """
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine.sync_engine, "connect")
        def _relax(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA synchronous = NORMAL")
            cursor.close()

    return engine


async def _interrupt_from(end: float, connection: Any) -> None:
    """Interrupt what runs on a connection of aiosqlite, from this time of the loop on."""
    await asyncio.sleep(end - asyncio.get_running_loop().time())
    while True:
        await connection.interrupt()
        await asyncio.sleep(_AGAIN)


# Written into the statement: to bind a thousand numbers costs more than to read them. The shared
# locks see to it that no prediction is erased between this look and the commit.
_WANTED: Final[BindParameter[int]] = bindparam("wanted", expanding=True, literal_execute=True)
_FOUND: Final = (
    select(predictions.c.id).where(predictions.c.id.in_(_WANTED)).with_for_update(read=True)
)
_COUNT: Final = (
    select(func.count())
    .select_from(predictions)
    .where(predictions.c.id.in_(_WANTED))
    .with_for_update(read=True)
)
_COLUMNS: Final = "prediction_id, model_version, probability, risk_category, why_not, scored_at"
_INSERT: Final = (
    f"INSERT INTO shadow_scores ({_COLUMNS}) "  # noqa: S608 -- names of ours
    "VALUES ({0}, {0}, {0}, {0}, {0}, {0})"
)
_INSERT_KNOWN: Final = (
    f"INSERT INTO shadow_scores ({_COLUMNS}) "  # noqa: S608 -- names of ours
    f"WITH said ({_COLUMNS}) AS (VALUES {{}}) "
    "SELECT said.* FROM said JOIN predictions ON predictions.id = said.prediction_id"
)


def _rows(scores: Sequence[ShadowScore]) -> list[_Row]:
    written = {moment: utc_text(moment) for moment in {each.scored_at for each in scores}}
    return [
        (
            number,
            version,
            probability,
            None if category is None else category.value,
            None if why_not is None else why_not.value,
            written[scored_at],
        )
        for number, version, scored_at, probability, category, why_not in scores
    ]
