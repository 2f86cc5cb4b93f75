"""Composition root of the pipeline's commands; the service does not import it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from dependency_injector import containers, providers

from stroke.adapters.iceberg.change_log import IcebergChangeLog
from stroke.adapters.kafka.dead_letters import KafkaDeadLetterQueue
from stroke.adapters.kafka.records import KafkaTopicRecords
from stroke.adapters.kafka.registry import SchemaRegistry
from stroke.adapters.kafka.topics import KafkaChangeTopic
from stroke.adapters.kafka_connect.chart_values import chart_values
from stroke.adapters.kafka_connect.column_types import column_types, required_columns
from stroke.adapters.kafka_connect.connector_files import ConnectorFiles
from stroke.adapters.kafka_connect.rest import KafkaConnect
from stroke.adapters.prometheus.observer import create_registry
from stroke.adapters.prometheus.pipeline import PrometheusPipelineObserver
from stroke.adapters.sql.source_of_truth import MySqlSource
from stroke.adapters.sql.tables import predictions
from stroke.adapters.sql_sink.replica import SqlReplica
from stroke.application.pipeline.catch_up import CatchingUp
from stroke.application.pipeline.connector_topics import own_topics
from stroke.application.pipeline.connector_watch import ConnectorWatch, WatchPolicy
from stroke.application.pipeline.connectors import ConnectorService, checked
from stroke.application.pipeline.dead_letters import DeadLetterService
from stroke.application.pipeline.next_id import NextIds
from stroke.application.pipeline.verification import PipelineVerifier
from stroke.config import PipelineSettings
from stroke.container.database import migrating
from stroke.container.lake import lake_of
from stroke.container.source import mysql_source, source_engine
from stroke.container.tracing import tracing_of

if TYPE_CHECKING:
    from stroke.adapters.iceberg.catalog import Lake
    from stroke.adapters.iceberg.replica import IcebergReplica
    from stroke.adapters.opentelemetry.tracing import Tracing

# A sink commits nothing between two commits of the lake: only several without one are a stand.
_COMMITS_TO_WAIT_FOR = 4


def connector_files(settings: PipelineSettings) -> ConnectorFiles:
    """Return the connectors' files with what ``settings`` choose and fill in."""
    cdc, lake, kafka = settings.cdc, settings.lake, settings.kafka
    chosen = {
        f"catalog-{lake.catalog}": True,
        "s3-endpoint": lake.endpoint is not None,
        "s3-path-style": lake.path_style,
        "mask": bool(cdc.mask),
        "mask-salted": bool(cdc.mask) and cdc.mask_salt is not None,
    }
    values = {
        "server_id": str(cdc.server_id),
        "server_name": cdc.server_name,
        "heartbeat_ms": str(cdc.heartbeat_seconds * 1000),
        "mask": cdc.mask,
        "database": settings.database.mysql_database,
        "topic": settings.topic,
        "columns": required_columns(predictions),
        "replication_factor": str(kafka.replication_factor),
        "retention_ms": str(kafka.retention_ms),
        "max_record_bytes": str(kafka.max_record_bytes),
        "max_message_bytes": str(kafka.max_message_bytes),
        "max_letter_bytes": str(kafka.max_letter_bytes),
        "buffer_bytes": str(kafka.buffer_bytes),
        "sink_table": settings.sink.table,
        "lake_table": f"{lake.namespace}.{lake.table}",
        "catalog_name": lake.catalog_name,
        "warehouse": lake.warehouse,
        "commit_ms": str(lake.commit_seconds * 1000),
    }
    overlays = [name for name, wanted in chosen.items() if wanted]
    return ConnectorFiles(settings.connect.folder, overlays=overlays, values=values)


def connector_chart_values(settings: PipelineSettings, cluster_id: str) -> dict[str, Any]:
    """Return the connectors, and the topics that are theirs alone, as values of the Helm chart.

    ``cluster_id`` is the Kafka cluster's. Contacts nothing. Raises ``InvalidConnector``.
    """
    specs = checked(connector_files(settings), cluster_id)
    topics = {name: kept for spec in specs for name, kept in own_topics(spec.config).items()}
    return chart_values(specs, topics, replication_factor=settings.kafka.replication_factor)


def _wanted(files: ConnectorFiles) -> list[str]:
    return sorted(files.names().values())


def _watch_policy(commit_seconds: int) -> WatchPolicy:
    patience = float(max(120, _COMMITS_TO_WAIT_FOR * commit_seconds))
    return WatchPolicy(stalled_seconds=patience, gap_seconds=patience)


def _sql_replica(
    settings: PipelineSettings, source: MySqlSource, files: ConnectorFiles, connect: KafkaConnect
) -> SqlReplica:
    return SqlReplica(
        settings.sink.sqlalchemy_url,
        settings.sink.table,
        committed=partial(connect.offsets, files.names()["sqlserver-sink"]),
        columns=source.columns,
        timeout=settings.database.statement_timeout_seconds,
    )


def _lake_replica(
    lake: Lake,
    *,
    topic: str,
    cluster_id: Callable[[], Awaitable[str]],
    columns: Callable[[], Awaitable[Mapping[str, str]]],
) -> IcebergReplica:
    # What reads Parquet takes seconds to import, and most commands read none.
    from stroke.adapters.iceberg.replica import IcebergReplica  # noqa: PLC0415

    return IcebergReplica(lake, topic=topic, cluster_id=cluster_id, columns=columns)


def _source_connector(files: ConnectorFiles) -> str:
    return files.names()["mysql-source"]


def _names(files: ConnectorFiles) -> dict[str, str]:
    return files.names()


def _connect(url: str, timeout: float, tracing: Tracing | None) -> KafkaConnect:
    if tracing is None:
        return KafkaConnect(url, timeout=timeout)
    from stroke.adapters.opentelemetry.connect_calls import trace_calls  # noqa: PLC0415

    return KafkaConnect(url, timeout=timeout, trace=partial(trace_calls, tracing.provider))


class PipelineContainer(containers.DeclarativeContainer):
    """Builds each part once, on first use, from ``settings``."""

    settings = providers.Dependency(instance_of=PipelineSettings)

    tracing = providers.Singleton(tracing_of, settings.provided.traces)
    connect = providers.Singleton(
        _connect,
        settings.provided.connect.url,
        settings.provided.connect.timeout_seconds,
        tracing,
    )
    connector_files = providers.Singleton(connector_files, settings)
    metrics_registry = providers.Singleton(create_registry)
    pipeline_observer = providers.Singleton(PrometheusPipelineObserver, metrics_registry)
    change_topic = providers.Singleton(
        KafkaChangeTopic,
        settings.provided.kafka.broker,
        settings.provided.kafka.registry_url,
        timeout=settings.provided.kafka.timeout_seconds,
        replication_factor=settings.provided.kafka.replication_factor,
    )
    dead_letters = providers.Singleton(
        KafkaDeadLetterQueue,
        settings.provided.kafka.broker,
        settings.provided.kafka.registry_url,
        timeout=settings.provided.kafka.timeout_seconds,
        replication_factor=settings.provided.kafka.replication_factor,
        max_letter_bytes=settings.provided.kafka.max_letter_bytes,
    )
    topic_records = providers.Singleton(
        KafkaTopicRecords,
        settings.provided.kafka.broker,
        settings.provided.kafka.registry_url,
        timeout=settings.provided.kafka.timeout_seconds,
    )
    schema_registry = providers.Singleton(
        SchemaRegistry,
        settings.provided.kafka.registry_url,
        timeout=settings.provided.kafka.timeout_seconds,
    )
    lake = providers.Singleton(lake_of, settings.provided.lake)
    change_log = providers.Singleton(
        IcebergChangeLog,
        lake,
        columns=column_types(predictions),
        topic=settings.provided.topic,
        file_format=settings.provided.lake.format,
    )
    connectors = providers.Singleton(
        ConnectorService,
        registry=connect,
        control=connect,
        specs=connector_files,
        change_topic=change_topic,
        change_log=change_log,
        dead_letters=dead_letters,
    )
    watch_policy = providers.Singleton(_watch_policy, settings.provided.lake.commit_seconds)
    connector_watch = providers.Singleton(
        ConnectorWatch,
        registry=connect,
        control=connect,
        change_topic=change_topic,
        change_log=change_log,
        dead_letters=dead_letters,
        observer=pipeline_observer,
        wanted=providers.Singleton(_wanted, connector_files),
        policy=watch_policy,
    )

    source_engine = providers.Singleton(source_engine, settings.provided.database)
    source = providers.Singleton(mysql_source, source_engine, settings)
    sql_replica = providers.Singleton(_sql_replica, settings, source, connector_files, connect)
    lake_replica = providers.Singleton(
        _lake_replica,
        lake,
        topic=settings.provided.topic,
        cluster_id=connect.provided.cluster_id,
        columns=source.provided.columns,
    )
    catching_up = providers.Singleton(
        CatchingUp,
        source,
        connect,
        change_topic,
        topic=settings.provided.topic,
        source_connector=providers.Singleton(_source_connector, connector_files),
        now=providers.Object(time.monotonic),
        sleep=providers.Object(asyncio.sleep),
    )
    verifier = providers.Factory(PipelineVerifier, source, catching_up=catching_up)
    next_ids = providers.Singleton(
        NextIds,
        source,
        change_topic,
        name=settings.provided.topic,
        logs=providers.Dict({"the lake": lake_replica}),
        copies=providers.Dict({"the SQL copy": sql_replica}),
    )
    dead_letter_service = providers.Singleton(
        DeadLetterService,
        dead_letters,
        source,
        connect,
        registry=connect,
        change_topic=change_topic,
        connectors=providers.Singleton(_names, connector_files),
        topic=settings.provided.topic,
    )


def use_schema_account(parts: PipelineContainer, settings: PipelineSettings) -> None:
    """Reach MySQL as the account that changes the schema, where there is one.

    MySQL's counter of ids is part of the schema. Call it before any part is made.
    """
    parts.source_engine.override(providers.Singleton(source_engine, migrating(settings.database)))
