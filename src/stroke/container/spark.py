"""Composition root of the analyses on Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from stroke.adapters.avro.changes import AvroChanges
from stroke.adapters.avro.changes import read as read_avro
from stroke.adapters.iceberg.changes import IcebergChanges
from stroke.adapters.kafka.registry import SchemaRegistry
from stroke.adapters.results.pointer import FolderPointer
from stroke.adapters.spark.batches import SparkBatches
from stroke.adapters.spark.bucket import S3Access, address_for_spark
from stroke.adapters.spark.changes import SparkSource
from stroke.adapters.spark.checkpoint import SparkState
from stroke.adapters.spark.engine import SparkAnalytics
from stroke.adapters.spark.files import SparkFiles
from stroke.adapters.spark.kafka import MicroBatch, SparkTopic, topic_options
from stroke.adapters.spark.lake import SparkLake, catalog_options
from stroke.adapters.spark.session import spark_session
from stroke.adapters.spark.stream import SparkStream
from stroke.adapters.sql.snapshot import SqlChanges
from stroke.application.analyses.checkpoints import CannotContinue
from stroke.application.analyses.queries import Analysis
from stroke.application.analyses.service import AnalyticsRun
from stroke.config import LakeSettings, PipelineSettings
from stroke.container.analytics import analytics_service, place_of
from stroke.container.lake import lake_of, revealed
from stroke.domain.errors import InvalidSetting


@contextmanager
def lake_session(
    settings: PipelineSettings, name: str, *, master: str | None = None
) -> Iterator[SparkSession]:
    """Start Spark with the lake's catalog and its S3. Raises ``InvalidSetting``."""
    lake = settings.lake
    catalog = catalog_options(
        lake.catalog,
        name=lake.catalog_name,
        uri=revealed(lake.catalog_uri),
        warehouse=lake.warehouse,
        bucket=_s3(lake),
    )
    options = {**_s3(lake).options(), **catalog}
    secret = revealed(settings.spark.secret)
    with spark_session(name, options, master=master, secret=secret) as session:
        yield session


@contextmanager
def s3_session(
    settings: PipelineSettings, name: str, *, master: str | None = None
) -> Iterator[SparkSession]:
    """Start Spark with the lake's S3 alone. Raises ``InvalidSetting``."""
    options = _s3(settings.lake).options()
    secret = revealed(settings.spark.secret)
    with spark_session(name, options, master=master, secret=secret) as session:
        yield session


def spark_analytics(
    settings: PipelineSettings,
    session: SparkSession,
    *,
    source: str,
    as_of: datetime | None = None,
    checkpoint: str | None = None,
) -> SparkAnalytics:
    """Return what runs analyses of ``source`` on Spark.

    ``source`` is "iceberg", "db", "kafka", or a folder or ``s3://`` prefix of Avro files.
    ``checkpoint`` is a folder or prefix, which the workers know, for what lets the next run read
    only what is new. Raises ``InvalidSetting``.
    """
    if source != "iceberg" and (as_of is not None or checkpoint is not None):
        raise InvalidSetting("--as-of and --checkpoint are for the change log (--source iceberg)")
    if as_of is not None and checkpoint is not None:
        raise InvalidSetting("--checkpoint is for the change log as it is now: without --as-of")
    state = None if checkpoint is None else spark_state(settings.lake, checkpoint)
    return SparkAnalytics(session, _source(settings, session, source, as_of), state)


def analytics_stream(
    settings: PipelineSettings,
    session: SparkSession,
    analyses: Sequence[Analysis],
    *,
    output: str,
    checkpoint: str,
    records_at_once: int,
    on_run: Callable[[AnalyticsRun], None],
) -> SparkStream:
    """Return what keeps the results in ``output`` as current as the topic.

    ``on_run`` is told of each batch that is done. Each is counted once, whenever the stream ends.
    """
    schema_of = schema_registry(settings).schema
    state = spark_state(settings.lake, checkpoint)

    def work(records: DataFrame, number: int) -> None:
        if _is_done(state, number):
            return  # and killed before Spark took note of it
        batch = MicroBatch(records, schema_of, topic=settings.topic, number=number)
        service = analytics_service(
            settings,
            SparkAnalytics(records.sparkSession, batch, state),
            engine_name="spark",
            source="kafka",
            output=output,
        )
        on_run(service.run(analyses, with_name=False, on_progress=lambda *_: None))

    return SparkStream(
        session,
        topic_options(settings.kafka.bootstrap_servers, settings.topic),
        checkpoint=address_for_spark(checkpoint),
        work=work,
        records_at_once=records_at_once,
    )


def _is_done(state: SparkState, batch: int) -> bool:
    try:
        return (state.resume() or {}).get("batch") == batch
    except CannotContinue:
        return False


def spark_state(settings: LakeSettings, address: str) -> SparkState:
    """Return what keeps states in a folder or under an ``s3://`` prefix."""
    return SparkState(address_for_spark(address), FolderPointer(*place_of(settings, address)))


def schema_registry(settings: PipelineSettings) -> SchemaRegistry:
    """Return the registry that has the schemas of change events."""
    return SchemaRegistry(settings.kafka.registry_url, timeout=settings.kafka.timeout_seconds)


def _source(
    settings: PipelineSettings, session: SparkSession, name: str, as_of: datetime | None
) -> SparkSource:
    lake = settings.lake
    if name == "iceberg":
        return SparkLake(
            session,
            catalog=lake.catalog_name,
            table=f"{lake.namespace}.{lake.table}",
            history=IcebergChanges(lake_of(lake), as_of=as_of),
        )
    if name == "kafka":
        options = topic_options(settings.kafka.bootstrap_servers, settings.topic)
        return SparkTopic(session, options, schema_registry(settings).schema)
    if name == "db":
        return SparkBatches(session, SqlChanges(settings.database.sqlalchemy_url))
    return _avro_files(session, AvroChanges(*place_of(lake, name)))


def _avro_files(session: SparkSession, changes: AvroChanges) -> SparkFiles:
    parts, point = changes.plan()

    def read(number: int, *, with_name: bool) -> tuple[Sequence[pa.RecordBatch], Mapping[str, int]]:
        part = parts[number]
        found = read_avro(part, with_name=with_name)
        unreadable = not found.readable and part.start == 0
        beside: dict[str, Any] = asdict(found.counts)
        beside |= {"broken_places": found.broken_places, "unreadable_objects": int(unreadable)}
        return found.batches, beside

    return SparkFiles(session, len(parts), read, point)


def _s3(lake: LakeSettings) -> S3Access:
    return S3Access(
        region=lake.region,
        endpoint=lake.endpoint,
        path_style=lake.path_style,
        access_key_id=lake.access_key_id,
        secret_access_key=revealed(lake.secret_access_key),
    )
