"""What models answered last, from the table ``predictions``."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from sqlalchemy import Text, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.engine import transaction
from stroke.adapters.sql.filters import comparable, conditions
from stroke.adapters.sql.rows import to_utc
from stroke.adapters.sql.tables import predictions
from stroke.application.models.ports import AnsweredRisks
from stroke.domain.canary import AnsweredRisk
from stroke.domain.prediction import PredictionFilter


class SqlAnsweredRisks(AnsweredRisks):
    """Every call is one transaction on one connection of ``engine``.

    A call that takes longer than ``statement_timeout`` seconds raises ``StoreUnavailable``.
    """

    def __init__(self, engine: AsyncEngine, *, statement_timeout: float) -> None:
        self._dialect = engine.dialect
        self._transaction = partial(transaction, engine, seconds=statement_timeout)

    async def newest(self, version: str, since: datetime, *, limit: int) -> list[AnsweredRisk]:
        # The time is compared outside: an index has the newest rows of a version, and a champion
        # of years would be read whole if the rows since then were fewer than the limit.
        some = (
            select(
                predictions.c.id,
                type_coerce(predictions.c.timestamp, Text).label("made_at"),
                predictions.c.probability,
                predictions.c.risk_category,
            )
            .where(*conditions(PredictionFilter(model_version=version), self._dialect))
            .order_by(predictions.c.id.desc())
            .limit(limit)
            .subquery()
        )
        query = (
            select(some.c.made_at, some.c.probability, some.c.risk_category)
            .where(
                type_coerce(some.c.made_at, Text) >= comparable(since),
                some.c.probability.is_not(None),
                some.c.risk_category.is_not(None),
            )
            .order_by(some.c.id.desc())
        )
        async with self._transaction() as connection:
            rows = await connection.execute(query)
            return [
                AnsweredRisk(made_at, row.probability, row.risk_category)
                for row in rows
                if (made_at := to_utc(row.made_at)) is not None
            ]
