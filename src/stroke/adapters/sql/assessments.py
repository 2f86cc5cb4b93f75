"""Assessments of charts in an SQL database: the tables ``assessments`` and ``feedback``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Row, and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from stroke.adapters.sql.engine import transaction
from stroke.adapters.sql.faults import again_after_deadlock
from stroke.adapters.sql.tables import assessments as table
from stroke.adapters.sql.tables import feedback as judged
from stroke.adapters.sql.tables import predictions
from stroke.application.clinical.ports import AssessmentStore
from stroke.application.erasure.ports import Subject, Subjects
from stroke.domain.clinical.kept import (
    AssessmentFilter,
    CardTally,
    Feedback,
    KeptAssessment,
    latest_by_card,
)
from stroke.domain.errors import AssessmentErased, AssessmentNotFound, PredictionNotFound


class SqlAssessmentStore(AssessmentStore):
    """Each call is one transaction; one that takes longer than ``statement_timeout`` seconds
    raises ``StoreUnavailable``.
    """

    def __init__(self, engine: AsyncEngine, *, statement_timeout: float) -> None:
        self._transaction = partial(transaction, engine, seconds=statement_timeout)

    @again_after_deadlock
    async def keep(self, assessment: KeptAssessment) -> KeptAssessment:
        number = assessment.prediction_id
        stored = select(predictions.c.id).where(predictions.c.id == number)
        async with self._transaction(writes=True) as connection:
            # Locked until the commit: an erasure finds this, or comes first.
            if (await connection.execute(stored.with_for_update(read=True))).first() is None:
                raise PredictionNotFound(number)
            # Texts are as long as the columns hold: ignored is nothing but the same id.
            await connection.execute(
                insert(table)
                .prefix_with("OR IGNORE", dialect="sqlite")
                .prefix_with("IGNORE", dialect="mysql")
                .values(_values(assessment))
            )
            found = await _row(connection, assessment.id)
        return assessment if found is None or found.subject is None else _kept(found)

    async def get(self, assessment_id: str, *, site: str | None = None) -> KeptAssessment:
        async with self._transaction() as connection:
            found = await _row(connection, assessment_id)
        if found is None or (site is not None and found.site != site):
            raise AssessmentNotFound
        if found.erased_at is not None:
            raise AssessmentErased
        return _kept(found)

    async def page(
        self, narrowed: AssessmentFilter, *, limit: int, before: int | None = None
    ) -> list[KeptAssessment]:
        query = select(table).where(*_conditions(narrowed)).limit(limit)
        if before is not None:
            query = query.where(table.c.prediction_id < before)
        async with self._transaction() as connection:
            rows = await connection.execute(query.order_by(table.c.prediction_id.desc()))
            return [_kept(row) for row in rows]

    async def count(self, narrowed: AssessmentFilter) -> int:
        query = select(func.count()).select_from(table).where(*_conditions(narrowed))
        async with self._transaction() as connection:
            return int((await connection.execute(query)).scalar_one())

    @again_after_deadlock
    async def put_feedback(
        self, feedback: Sequence[Feedback], *, site: str | None = None
    ) -> dict[str, str]:
        latest = latest_by_card(feedback)
        query = select(table.c.id, table.c.model_version).where(
            table.c.id.in_(latest), table.c.erased_at.is_(None)
        )
        if site is not None:
            query = query.where(table.c.site == site)
        async with self._transaction(writes=True) as connection:
            known = (await connection.execute(query.with_for_update())).all()
            return {
                card: version for card, version in known if await _put(connection, latest[card])
            }

    async def models(self) -> list[str]:
        query = select(table.c.model_version).distinct()
        async with self._transaction() as connection:
            return sorted((await connection.execute(query)).scalars())

    async def tally(self, narrowed: AssessmentFilter) -> list[CardTally]:
        joined = table.outerjoin(judged, judged.c.assessment_id == table.c.id)
        columns = (table.c.model_version, judged.c.verdict, judged.c.reason)
        query = (
            select(*columns, func.count())
            .select_from(joined)
            .where(*_conditions(narrowed), table.c.shown.is_(True))
            .group_by(*columns)
            .order_by(*columns)
        )
        async with self._transaction() as connection:
            rows = (await connection.execute(query)).all()
        return sorted(
            (
                CardTally(version, verdict or "ignored", reason, count)
                for version, verdict, reason, count in rows
            ),
            key=lambda each: (each.model_version, each.verdict, each.reason or ""),
        )


class SqlSubjects(Subjects):
    """The patients in the table ``assessments``, whose ids have an index.

    A call that takes longer than ``statement_timeout`` seconds raises ``StoreUnavailable``.
    """

    def __init__(self, engine: AsyncEngine, *, statement_timeout: float) -> None:
        self._transaction = partial(transaction, engine, seconds=statement_timeout)

    async def find(
        self, subject: Subject, *, site: str | None
    ) -> Mapping[str | None, Sequence[int]]:
        query = select(table.c.subject, table.c.server, table.c.prediction_id).where(
            table.c.subject == subject.id, table.c.prediction_id.is_not(None)
        )
        if site is not None:
            query = query.where(table.c.site == site)
        found: dict[str | None, list[int]] = {}
        async with self._transaction() as connection:
            for row in await connection.execute(query.order_by(table.c.prediction_id)):
                server = None if row.server is None else row.server.rstrip("/")
                # MySQL leaves out blanks at the end when it compares.
                if row.subject == subject.id and subject.server in {None, server}:
                    found.setdefault(server, []).append(row.prediction_id)
        return found


async def erase_assessments(
    connection: AsyncConnection, prediction_ids: Collection[int], at: datetime
) -> int:
    """Remove all that is kept of the charts behind these predictions; return how many there were.

    An assessment's id stays, with the time: whoever asks for it is answered that it was erased.
    """
    ours = table.c.prediction_id.in_(prediction_ids)
    await connection.execute(
        delete(judged).where(judged.c.assessment_id.in_(select(table.c.id).where(ours)))
    )
    found = await connection.execute(
        update(table)
        .where(ours)
        .values(
            prediction_id=None,
            subject=None,
            server=None,
            hook_instance=None,
            basis=None,
            notes=None,
            erased_at=_naive(at),
        )
    )
    return found.rowcount


async def _put(connection: AsyncConnection, feedback: Feedback) -> bool:
    """Keep feedback unless there is a later one; return whether it is the card's first."""
    this = judged.c.assessment_id == feedback.assessment_id
    values = {
        "verdict": feedback.verdict,
        "reason": feedback.reason,
        "comment": feedback.comment,
        "given_at": _naive(feedback.at),
    }
    former = (await connection.execute(select(judged.c.given_at).where(this))).first()
    if former is None:
        await connection.execute(
            insert(judged).values(assessment_id=feedback.assessment_id, **values)
        )
        return True
    await connection.execute(
        update(judged).where(and_(this, judged.c.given_at <= values["given_at"])).values(values)
    )
    return False


async def _row(connection: AsyncConnection, assessment_id: str) -> Row[Any] | None:
    return (await connection.execute(select(table).where(table.c.id == assessment_id))).first()


def _conditions(narrowed: AssessmentFilter) -> list[Any]:
    conditions: list[Any] = [table.c.erased_at.is_(None)]
    if narrowed.subject is not None:
        conditions.append(table.c.subject == narrowed.subject)
    if narrowed.site is not None:
        conditions.append(table.c.site == narrowed.site)
    if narrowed.since is not None:
        conditions.append(table.c.made_at >= _naive(narrowed.since))
    if narrowed.until is not None:
        conditions.append(table.c.made_at < _naive(narrowed.until))
    if narrowed.ids is not None:
        conditions.append(table.c.id.in_(narrowed.ids))
    for first, end in narrowed.outside:
        conditions.append(or_(table.c.made_at < _naive(first), table.c.made_at >= _naive(end)))
    return conditions


def _values(kept: KeptAssessment) -> dict[str, Any]:
    return {
        "id": kept.id,
        "prediction_id": kept.prediction_id,
        "subject": kept.subject,
        "server": kept.server,
        "hook_instance": kept.hook_instance,
        "basis": list(kept.basis),
        "notes": list(kept.notes),
        "shown": kept.shown,
        "model_version": kept.model_version,
        "site": kept.site,
        "made_at": _naive(kept.made_at),
    }


def _kept(row: Row[Any]) -> KeptAssessment:
    return KeptAssessment(
        id=row.id,
        prediction_id=row.prediction_id,
        subject=row.subject,
        server=row.server,
        hook_instance=row.hook_instance,
        basis=tuple(row.basis or ()),
        notes=tuple(row.notes or ()),
        shown=bool(row.shown),
        model_version=row.model_version,
        site=row.site,
        made_at=row.made_at.replace(tzinfo=UTC),
    )


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
