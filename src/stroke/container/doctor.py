"""Composition root of `stroke doctor`: what is configured is examined, and imported, alone."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from stroke.adapters.http_probes.metrics import ScrapedMetrics
from stroke.adapters.http_probes.service import HttpPredictionApi
from stroke.adapters.sql.schema import SqlSchema
from stroke.application.doctor.canary import Canary
from stroke.application.doctor.doctor import Doctor
from stroke.application.doctor.stack_checks import (
    API_METRICS,
    CONNECT_METRICS,
    VERIFY_METRICS,
    WATCH_METRICS,
    Letters,
    StackParts,
    checks_of,
)
from stroke.config import PipelineSettings
from stroke.container.configured import (
    has_connect,
    has_kafka,
    has_lake,
    has_pipeline,
    has_registry,
    has_sql_sink,
)
from stroke.container.lake_upkeep import lake_ahead
from stroke.container.sink import sink_differences
from stroke.container.source import mysql_source, source_engine

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from stroke.container.pipeline import PipelineContainer

# The longest that a part other than a wait for a copy may take to answer.
_ANSWER: Final = 30.0


@asynccontextmanager
async def doctor_of(settings: PipelineSettings, *, waits: float) -> AsyncIterator[Doctor]:
    """Give the doctor of the stack that ``settings`` describe; its canary is erased at the end.

    A copy has ``waits`` seconds to follow the canary. Raises ``ModuleNotFoundError`` where a
    pipeline is configured and its packages are not installed.
    """
    async with AsyncExitStack() as closing:
        engine = None
        if settings.database.sqlalchemy_url.get_backend_name() == "mysql":
            engine = source_engine(settings.database)
            closing.push_async_callback(engine.dispose)
        pipeline = None
        if has_pipeline(settings):
            pipeline = _pipeline(settings, engine)
            closing.push_async_callback(pipeline.connect().aclose)
        parts = _parts(settings, engine, pipeline, closing)
        canary = Canary(
            parts.api,
            parts.source,
            seconds=waits,
            now=lambda: datetime.now(UTC),
            clock=time.monotonic,
            sleep=asyncio.sleep,
            chance=random.SystemRandom().random,
        )
        closing.push_async_callback(canary.aclose)
        yield Doctor(checks_of(parts, canary, waits=waits), seconds=_ANSWER)


def _pipeline(settings: PipelineSettings, engine: AsyncEngine | None) -> PipelineContainer:
    from stroke.container.pipeline import PipelineContainer  # noqa: PLC0415 -- needs its packages

    parts = PipelineContainer(settings=settings)
    if engine is not None:
        parts.source_engine.override(engine)
    return parts


def _letters(settings: PipelineSettings, pipeline: PipelineContainer | None) -> Letters | None:
    """Return what asks for dead letters, which are on Kafka; ids are read by the registry."""
    if pipeline is None or not (has_kafka(settings) and has_registry(settings)):
        return None
    return pipeline.dead_letter_service().letters


def _parts(
    settings: PipelineSettings,
    engine: AsyncEngine | None,
    pipeline: PipelineContainer | None,
    closing: AsyncExitStack,
) -> StackParts:
    at, database = settings.doctor, settings.database
    # Copies are read with the columns that MySQL has.
    copies = pipeline if engine is not None else None
    sql = copies.sql_replica() if copies and has_sql_sink(settings) else None
    if sql is not None:
        closing.push_async_callback(sql.close)
    urls = {API_METRICS: f"{at.api_url.rstrip('/')}/metrics"}
    if has_connect(settings):
        urls[CONNECT_METRICS] = at.connect_metrics_url
        urls[WATCH_METRICS] = at.watch_metrics_url
        urls[VERIFY_METRICS] = at.verify_metrics_url
    timeout = database.statement_timeout_seconds
    key = None if at.api_key is None else at.api_key.get_secret_value()
    return StackParts(
        api=HttpPredictionApi(at.api_url, seconds=timeout, api_key=key),
        schema=SqlSchema(engine, seconds=timeout) if engine is not None else None,
        source=mysql_source(engine, settings) if engine is not None else None,
        change_topic=pipeline.change_topic() if pipeline and has_kafka(settings) else None,
        topic=settings.topic,
        registry=pipeline.schema_registry() if pipeline and has_registry(settings) else None,
        connectors=pipeline.connectors() if pipeline and has_connect(settings) else None,
        sql=sql,
        lake=copies.lake_replica() if copies and has_lake(settings) else None,
        metrics={
            name: ScrapedMetrics(url, seconds=_ANSWER, api_key=key if name == API_METRICS else None)
            for name, url in urls.items()
        },
        letters=_letters(settings, copies),
        broker_metrics=ScrapedMetrics(at.broker_metrics_url, seconds=_ANSWER)
        if has_kafka(settings)
        else None,
        lake_ahead=partial(asyncio.to_thread, lake_ahead, settings) if has_lake(settings) else None,
        sql_types=None if sql is None else partial(sink_differences, settings.sink),
    )
