"""Composition root of `stroke erase`: every place that the settings name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.binlog import BinlogRetention
from stroke.adapters.sql.erasure import SqlBatchKeys, SqlPredictionPlace, forget_free_pages
from stroke.application.audit.trail import AuditTrail
from stroke.application.erasure.erasure import Erasure
from stroke.application.erasure.ports import ErasablePlace, Retention
from stroke.config import PipelineSettings
from stroke.container.audit import system_actor, trail_of
from stroke.container.configured import has_connect, has_kafka, has_lake, has_sql_sink
from stroke.container.engines import opened_engine
from stroke.container.service import utc_now
from stroke.domain.audit import AuditAction, AuditOutcome

if TYPE_CHECKING:
    from stroke.application.pipeline.ports import Replica

Progress = Callable[[int, int], None]
"""Receives how much of the lake is done, and how much there is."""


@asynccontextmanager
async def erasure_of(settings: PipelineSettings, *, on_lake: Progress) -> AsyncIterator[Erasure]:
    """Give the erasure of the service and of the copies that ``settings`` name.

    Raises ``ModuleNotFoundError`` where a copy is named and its packages are not installed.
    """
    database = settings.database
    async with AsyncExitStack() as closing:
        engine = await closing.enter_async_context(opened_engine(database))
        seconds, batch = database.statement_timeout_seconds, settings.erasure.batch_rows
        trail = trail_of(engine, database)
        yield Erasure(
            SqlPredictionPlace(engine, statement_timeout=seconds),
            [
                SqlBatchKeys(engine, statement_timeout=seconds, page=batch),
                *_copies(settings, closing, on_lake),
            ],
            settled=partial(_settled, settings, engine),
            write_down=partial(_write_down, trail),
            batch=batch,
            retentions=_retentions(settings, engine),
            erased_at=partial(_erased_at, trail, batch),
            now=utc_now,
        )


async def write_down_request(settings: PipelineSettings, count: int) -> None:
    """Write into the trail that so many predictions are about to be erased.

    Of a run that is killed at once, this entry is left.
    """
    database = settings.database
    async with opened_engine(database) as engine:
        await trail_of(engine, database).record(
            AuditAction.PREDICTION_ERASE,
            actor=system_actor(),
            outcome=AuditOutcome.ASKED,
            target=f"{count} predictions",
        )


async def _write_down(trail: AuditTrail, found: Mapping[int, bool]) -> None:
    await trail.record_each(
        AuditAction.PREDICTION_ERASE,
        actor=system_actor(),
        outcomes={
            str(number): AuditOutcome.DONE if was_there else AuditOutcome.NOT_FOUND
            for number, was_there in found.items()
        },
    )


async def _erased_at(trail: AuditTrail, batch: int, ids: Collection[int]) -> datetime | None:
    targets = [str(number) for number in ids]
    return await trail.last_done(AuditAction.PREDICTION_ERASE, targets, batch=batch)


def _retentions(settings: PipelineSettings, engine: AsyncEngine) -> list[Retention]:
    found: list[Retention] = [
        BinlogRetention(engine, statement_timeout=settings.database.statement_timeout_seconds)
    ]
    if has_kafka(settings):
        from stroke.adapters.kafka.retention import TopicRetention  # noqa: PLC0415 -- its package

        kafka = settings.kafka
        found.append(
            TopicRetention(kafka.bootstrap_servers, settings.topic, timeout=kafka.timeout_seconds)
        )
    if settings.erasure.backups:
        from stroke.adapters.backups.retention import BackupRetention  # noqa: PLC0415 -- start-up
        from stroke.container.places import place_of  # noqa: PLC0415 -- start-up time

        keep = timedelta(days=settings.erasure.backup_days)
        place = place_of(settings.lake, settings.erasure.backups)
        found.append(BackupRetention(*place, keep=keep))
    return found


def _copies(
    settings: PipelineSettings, closing: AsyncExitStack, on_lake: Progress
) -> list[ErasablePlace]:
    copies: list[ErasablePlace] = []
    if has_sql_sink(settings):
        from stroke.adapters.sql_sink.erasure import SqlCopyPlace  # noqa: PLC0415 -- needs drivers

        copy = SqlCopyPlace(
            settings.sink.sqlalchemy_url,
            settings.sink.table,
            timeout=settings.database.statement_timeout_seconds,
        )
        closing.push_async_callback(copy.close)
        copies.append(copy)
    if has_lake(settings):
        from stroke.adapters.iceberg.erasable import LakePlace  # noqa: PLC0415 -- start-up time
        from stroke.container.lake import lake_of  # noqa: PLC0415 -- start-up time

        copies.append(LakePlace(lake_of(settings.lake), now=utc_now, on_progress=on_lake))
    return copies


async def _settled(settings: PipelineSettings, engine: AsyncEngine, seconds: float) -> None:
    """Wait until the copies hold what MySQL has committed; without Connect nothing feeds them."""
    await forget_free_pages(engine, seconds=settings.database.statement_timeout_seconds)
    if not has_connect(settings):
        return
    from stroke.container.pipeline import PipelineContainer  # noqa: PLC0415 -- needs its packages

    parts = PipelineContainer(settings=settings)
    try:
        replicas: list[Replica] = []
        if has_sql_sink(settings):
            replicas.append(parts.sql_replica())
        if has_lake(settings):
            replicas.append(parts.lake_replica())
        await parts.catching_up().wait(replicas, seconds=seconds)
    finally:
        if has_sql_sink(settings):
            await parts.sql_replica().close()
        await parts.source_engine().dispose()
        await parts.connect().aclose()
