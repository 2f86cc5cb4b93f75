"""Outcomes in an SQL database, next to the predictions that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from functools import partial
from typing import Any, Final

from sqlalchemy import Row, Text, delete, func, select, type_coerce
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.engine import transaction
from stroke.adapters.sql.faults import again_after_deadlock
from stroke.adapters.sql.filters import conditions, storable
from stroke.adapters.sql.rows import to_utc
from stroke.adapters.sql.tables import outcomes, predictions
from stroke.application.predictions.ports import OutcomeRepository
from stroke.domain.errors import OutcomeNotFound, PredictionNotFound
from stroke.domain.outcome import JudgedPrediction, KnownPrediction, OutcomeRecord
from stroke.domain.patient import OPTIONAL
from stroke.domain.prediction import LARGEST_ID, PredictionFilter

_TOGETHER: Final = predictions.join(outcomes, predictions.c.id == outcomes.c.prediction_id)
_REPLACED: Final = ("stroke", "date", "source", "recorded_at")


class SqlOutcomeRepository(OutcomeRepository):
    """The table ``outcomes``. Every call is one transaction on one connection of ``engine``.

    A call that takes longer than ``statement_timeout`` seconds raises ``StoreUnavailable``.
    """

    def __init__(self, engine: AsyncEngine, *, statement_timeout: float) -> None:
        self._engine = engine
        self._transaction = partial(transaction, engine, seconds=statement_timeout)

    async def known(self, prediction_ids: Sequence[int]) -> dict[int, KnownPrediction]:
        query = (
            select(
                predictions.c.id,
                type_coerce(predictions.c.timestamp, Text).label("timestamp"),
                predictions.c.site,
                *outcomes.c,
            )
            .select_from(predictions.outerjoin(outcomes, _TOGETHER.onclause))
            .where(predictions.c.id.in_({storable(each) for each in prediction_ids}))
        )
        async with self._transaction() as connection:
            rows = (await connection.execute(query)).all()
        return {
            row.id: KnownPrediction(to_utc(row.timestamp), _record(row), row.site) for row in rows
        }

    @again_after_deadlock
    async def put(self, outcomes: Sequence[OutcomeRecord]) -> None:
        if not outcomes:
            return
        wanted = {each.prediction_id for each in outcomes}
        # Shared locks: no prediction is erased between this look and the commit.
        query = (
            select(predictions.c.id)
            .where(predictions.c.id.in_({storable(each) for each in wanted}))
            .with_for_update(read=True)
        )
        async with self._transaction(writes=True) as connection:
            found = set((await connection.execute(query)).scalars())
            if missing := wanted - found:
                raise PredictionNotFound(min(missing))
            await connection.execute(self._upsert(), [_row(each) for each in outcomes])

    @again_after_deadlock
    async def remove(self, prediction_id: int) -> None:
        known = storable(prediction_id)
        async with self._transaction() as connection:
            gone = await connection.execute(
                delete(outcomes).where(outcomes.c.prediction_id == known)
            )
            if gone.rowcount:
                return
            there = select(predictions.c.id).where(predictions.c.id == known)
            if await connection.scalar(there) is None:
                raise PredictionNotFound(prediction_id)
            raise OutcomeNotFound(prediction_id)

    async def judged(
        self, narrowed: PredictionFilter, *, limit: int, after: int = 0
    ) -> list[JudgedPrediction]:
        query = (
            select(
                outcomes.c.prediction_id,
                predictions.c.probability,
                predictions.c.risk_category,
                outcomes.c.stroke,
                predictions.c.gender,
                predictions.c.age,
                type_coerce(predictions.c.timestamp, Text).label("made_at"),
                predictions.c.smoking_status,
                predictions.c.site,
                *[predictions.c[name].is_(None).label(f"no_{name}") for name in OPTIONAL],
            )
            .select_from(_TOGETHER)
            .where(
                outcomes.c.prediction_id > min(after, LARGEST_ID),
                *conditions(narrowed, self._engine.dialect),
            )
            .order_by(outcomes.c.prediction_id)
            .limit(limit)
        )
        async with self._transaction() as connection:
            return [_judged(row) for row in await connection.execute(query)]

    async def judged_versions(self, narrowed: PredictionFilter) -> dict[str, int]:
        query = (
            select(predictions.c.model_version, func.count())
            .select_from(_TOGETHER)
            .where(
                predictions.c.model_version.is_not(None),
                *conditions(narrowed, self._engine.dialect),
            )
            .group_by(predictions.c.model_version)
            .order_by(predictions.c.model_version)
        )
        async with self._transaction() as connection:
            return {row[0]: row[1] for row in await connection.execute(query)}

    def _upsert(self) -> Any:
        if self._engine.dialect.name == "mysql":
            added = mysql.insert(outcomes)
            return added.on_duplicate_key_update({n: added.inserted[n] for n in _REPLACED})
        new = sqlite.insert(outcomes)
        return new.on_conflict_do_update(
            index_elements=["prediction_id"], set_={n: new.excluded[n] for n in _REPLACED}
        )


def _judged(row: Row[Any]) -> JudgedPrediction:
    return JudgedPrediction(
        row.prediction_id,
        row.probability,
        row.risk_category,
        row.stroke,
        row.gender,
        row.age,
        to_utc(row.made_at),
        tuple(name for name, gap in zip(OPTIONAL, row[-len(OPTIONAL) :], strict=True) if gap),
        row.smoking_status,
        row.site,
    )


def _row(outcome: OutcomeRecord) -> dict[str, Any]:
    return {
        "prediction_id": outcome.prediction_id,
        "stroke": outcome.stroke,
        "date": outcome.date,
        "source": outcome.source,
        "recorded_at": outcome.recorded_at.astimezone(UTC).replace(tzinfo=None),
    }


def _record(row: Row[Any]) -> OutcomeRecord | None:
    if row.prediction_id is None:
        return None
    recorded_at = row.recorded_at.replace(tzinfo=UTC)
    return OutcomeRecord(row.prediction_id, row.stroke, row.date, row.source, recorded_at)
