"""Composition root of `stroke erase`: every place that the settings name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.binlog import BinlogRetention
from stroke.adapters.sql.erasure import SqlOldRows, forget_free_pages
from stroke.application.erasure.erasure import Erased, Erasure
from stroke.application.erasure.jobs import Asker, AttendedErasure, ErasureWorker
from stroke.application.erasure.ports import (
    ErasablePlace,
    ErasureJob,
    Retention,
    SearchedPlace,
    Subject,
)
from stroke.application.erasure.purge import Purge
from stroke.application.erasure.subjects import predictions_of
from stroke.config import PipelineSettings
from stroke.config.urls import S3
from stroke.container.audit import system_actor, trail_of, write_down
from stroke.container.clock import utc_now
from stroke.container.configured import has_connect, has_kafka, has_lake, has_registry, has_sql_sink
from stroke.container.engines import opened_engine
from stroke.container.erasure_jobs import (
    ErasureRecord,
    asker_of,
    database_places,
    job_service,
    jobs_of,
    subjects_of,
    worker_on,
)
from stroke.container.value_searches import value_searches
from stroke.domain.audit import AuditAction, AuditOutcome

if TYPE_CHECKING:
    from stroke.adapters.value_search.logs import LogFiles
    from stroke.application.pipeline.ports import Replica

Progress = Callable[[int, int], None]
"""Receives how much of the lake is done, and how much there is."""


@asynccontextmanager
async def erasure_of(
    settings: PipelineSettings,
    *,
    on_lake: Progress,
    record: ErasureRecord | None = None,
    logs: Sequence[Path] = (),
) -> AsyncIterator[Erasure]:
    """Give the erasure of the service and of the copies that ``settings`` name.

    Without a ``record``, what it erases is written down as done by the system's user. A proof also
    searches the files ``logs``, and those in folders of them. Raises ``ModuleNotFoundError`` where
    a copy is named and its packages are not installed.
    """
    database = settings.database
    async with AsyncExitStack() as closing:
        engine = await closing.enter_async_context(opened_engine(database))
        seconds, batch = database.statement_timeout_seconds, settings.erasure.batch_rows
        place, keys = database_places(engine, seconds, batch)
        if record is None:
            by_hand = Asker(system_actor(), None, None)
            record = ErasureRecord(trail_of(engine, database), by_hand, batch)
        yield Erasure(
            place,
            [*keys, *_copies(settings, closing, on_lake)],
            settled=partial(_settled, settings, engine),
            announce=record.announce,
            write_down=record.write_down,
            batch=batch,
            searched=[*_searched(settings), *_logs(logs)],
            value_searches=lambda: [
                *value_searches(settings, engine, closing, on_lake=on_lake),
                *_logs(logs),
            ],
            retentions=_retentions(settings, engine),
            erased_at=record.erased_at,
            now=utc_now,
        )


@asynccontextmanager
async def erasure_worker(settings: PipelineSettings) -> AsyncIterator[ErasureWorker]:
    """Give what carries out, in every place, the erasures that callers of the API asked for."""
    database, erasing = settings.database, settings.erasure
    async with opened_engine(database) as engine:
        jobs, trail = jobs_of(engine, database), trail_of(engine, database)

        async def erase(job: ErasureJob) -> Erased:
            record = await ErasureRecord(trail, asker_of(job), erasing.batch_rows).resumed(job)
            async with erasure_of(settings, on_lake=_ignored, record=record) as erasure:
                return record.complete(await erasure.erase(job.ids, wait=erasing.wait_seconds))

        yield worker_on(jobs, erase, erasing, utc_now)


@asynccontextmanager
async def purge_of(settings: PipelineSettings) -> AsyncIterator[Purge]:
    """Give what erases the predictions that are older than their retention, from every place."""
    database = settings.database
    async with opened_engine(database) as engine, attended_erasure(settings) as erasure:
        rows = SqlOldRows(engine, statement_timeout=database.statement_timeout_seconds)
        yield Purge(rows, erasure, at_once=settings.erasure.purge_rows)


@asynccontextmanager
async def attended_erasure(settings: PipelineSettings) -> AsyncIterator[AttendedErasure]:
    """Give what stores erasures of the system's user, and waits until they are carried out."""
    database, erasing = settings.database, settings.erasure
    async with opened_engine(database) as engine, erasure_worker(settings) as worker:
        yield AttendedErasure(
            job_service(jobs_of(engine, database), subjects_of(engine, database), erasing, utc_now),
            worker,
            asker=Asker(system_actor(), None, None),
            pause=partial(asyncio.sleep, erasing.poll_seconds),
        )


async def ids_of(settings: PipelineSettings, subjects: Sequence[Subject]) -> set[int]:
    """Return the predictions of record systems' patients, of all sites."""
    database = settings.database
    async with opened_engine(database) as engine:
        return await predictions_of(subjects_of(engine, database), subjects, site=None)


def _ignored(_done: int, _total: int) -> None:
    pass


async def write_down_request(settings: PipelineSettings, count: int) -> None:
    """Write into the trail that so many predictions are about to be erased.

    If the run is killed at once, this entry is left.
    """
    action = AuditAction.PREDICTION_ERASE
    await write_down(settings.database, action, f"{count} predictions", AuditOutcome.ASKED)


def _retentions(settings: PipelineSettings, engine: AsyncEngine) -> list[Retention]:
    found: list[Retention] = [
        BinlogRetention(engine, statement_timeout=settings.database.statement_timeout_seconds)
    ]
    if has_kafka(settings):
        from stroke.adapters.kafka.retention import TopicRetention  # noqa: PLC0415 -- its package

        kafka = settings.kafka
        found.append(TopicRetention(kafka.broker, settings.topic, timeout=kafka.timeout_seconds))
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
    if has_kafka(settings) and has_registry(settings):
        copies.append(_dead_letters(settings))
    if has_kafka(settings) and has_lake(settings):
        copies.append(_control_topics(settings))
    for address in settings.erasure.analyses:
        copies += _of_analyses(settings, address, closing)
    return copies


def _dead_letters(settings: PipelineSettings) -> ErasablePlace:
    from stroke.adapters.kafka.erasure import DeadLetterPlace  # noqa: PLC0415 -- its package
    from stroke.application.pipeline.dead_letters import dead_letter_topic  # noqa: PLC0415
    from stroke.container.pipeline import PipelineContainer  # noqa: PLC0415 -- needs its packages

    parts, kafka = PipelineContainer(settings=settings), settings.kafka
    return DeadLetterPlace(
        kafka.broker,
        kafka.registry_url,
        [dead_letter_topic(name) for name in sorted(parts.connector_files().names().values())],
        queue=parts.dead_letters(),
        timeout=kafka.timeout_seconds,
    )


def _control_topics(settings: PipelineSettings) -> ErasablePlace:
    from stroke.adapters.iceberg.control_events import (  # noqa: PLC0415 -- start-up time
        CONTROL_TOPICS,
        control_reader,
    )
    from stroke.adapters.kafka.control_topics import ControlTopicPlace  # noqa: PLC0415
    from stroke.container.lake import lake_of  # noqa: PLC0415 -- start-up time

    kafka, interval = settings.kafka, settings.lake.commit_seconds
    return ControlTopicPlace(
        kafka.broker,
        CONTROL_TOPICS,
        reader=partial(control_reader, lake_of(settings.lake)),
        # Two commits of the sink, and the time that Connect takes for them.
        wait=2 * interval + kafka.timeout_seconds if has_connect(settings) else 0,
        timeout=kafka.timeout_seconds,
    )


def _of_analyses(
    settings: PipelineSettings, address: str, closing: AsyncExitStack
) -> list[ErasablePlace]:
    from stroke.container.places import place_of  # noqa: PLC0415 -- start-up time

    if "://" in address and not address.startswith(S3):
        from stroke.adapters.sql_sink.erasure import SqlResultsPlace  # noqa: PLC0415 -- drivers
        from stroke.application.analyses.queries import analyses  # noqa: PLC0415 -- start-up time
        from stroke.config import results_url  # noqa: PLC0415 -- start-up time

        results = SqlResultsPlace(
            results_url(address),
            [each.table for each in analyses() if each.patient_level],
            timeout=settings.database.statement_timeout_seconds,
        )
        closing.push_async_callback(results.close)
        return [results]
    from stroke.adapters.duckdb.erasure import CheckpointPlace  # noqa: PLC0415 -- start-up time
    from stroke.adapters.results.checkpoints import FolderCheckpoints  # noqa: PLC0415
    from stroke.adapters.results.erasure import ResultsPlace  # noqa: PLC0415 -- start-up time

    system, folder = place_of(settings.lake, address)
    return [
        ResultsPlace(system, folder, address=address),
        CheckpointPlace(FolderCheckpoints(system, folder), address=address),
    ]


def _searched(settings: PipelineSettings) -> list[SearchedPlace]:
    if not (has_kafka(settings) and has_registry(settings)):
        return []
    from stroke.adapters.kafka.erasure import ChangeTopicPlace  # noqa: PLC0415 -- its package

    kafka = settings.kafka
    return [
        ChangeTopicPlace(
            kafka.broker,
            kafka.registry_url,
            settings.topic,
            timeout=kafka.timeout_seconds,
        )
    ]


def _logs(paths: Sequence[Path]) -> list[LogFiles]:
    if not paths:
        return []
    from stroke.adapters.value_search.logs import LogFiles  # noqa: PLC0415 -- start-up time

    return [LogFiles(paths)]


async def _settled(settings: PipelineSettings, engine: AsyncEngine, seconds: float) -> None:
    """Wait until the copies hold what MySQL has committed; without Connect nothing feeds them."""
    # A large file takes longer than any statement may: as long as the copies may.
    longest = max(seconds, settings.database.statement_timeout_seconds)
    await forget_free_pages(engine, seconds=longest)
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
