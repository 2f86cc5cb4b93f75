"""What shadows said of stored predictions: the table ``shadow_scores``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import BindParameter, bindparam, event, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.engine import transaction
from stroke.adapters.sql.faults import again_after_deadlock
from stroke.adapters.sql.filters import conditions
from stroke.adapters.sql.rows import utc_text
from stroke.adapters.sql.tables import predictions
from stroke.adapters.sql.tables import shadow_scores as table
from stroke.application.models.ports import ShadowScores
from stroke.domain.prediction import LARGEST_ID, PredictionFilter
from stroke.domain.shadow import ShadowPair, ShadowScore


class SqlShadowScores(ShadowScores):
    """Every call is one transaction on one connection of ``engine``.

    A call that takes longer than ``statement_timeout`` seconds raises ``StoreUnavailable``.
    """

    def __init__(self, engine: AsyncEngine, *, statement_timeout: float) -> None:
        self._engine = engine
        mark = "?" if engine.dialect.name == "sqlite" else "%s"
        self._insert = _INSERT.replace("?", mark)
        self._transaction = partial(transaction, engine, seconds=statement_timeout)

    @again_after_deadlock
    async def add(self, scores: Sequence[ShadowScore]) -> int:
        if not scores:
            return 0
        wanted = list({each.prediction_id for each in scores})
        async with self._transaction(writes=True) as connection:
            rows = _rows(scores)
            # Nearly always all are there: to count them is cheaper than to fetch them.
            if await connection.scalar(_COUNT, {"wanted": wanted}) != len(wanted):
                found = set(await connection.scalars(_FOUND, {"wanted": wanted}))
                rows = [each for each in rows if each[0] in found]
            if rows:
                # By the driver: through SQLAlchemy each row costs half as much again, and this
                # thread takes its time from the one that answers.
                await connection.exec_driver_sql(self._insert, rows)
        return len(rows)

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
_INSERT: Final = (
    "INSERT INTO shadow_scores (prediction_id, model_version, probability, risk_category, why_not, "
    "scored_at) VALUES (?, ?, ?, ?, ?, ?)"
)


def _rows(scores: Sequence[ShadowScore]) -> list[tuple[int | float | str | None, ...]]:
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
