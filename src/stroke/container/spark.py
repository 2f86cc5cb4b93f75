"""Composition root of the analyses on Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from stroke.adapters.avro.changes import AvroChanges
from stroke.adapters.avro.changes import read as read_avro
from stroke.adapters.iceberg.changes import IcebergChanges
from stroke.adapters.kafka.registry import SchemaRegistry
from stroke.adapters.results.pointer import FolderPointer
from stroke.adapters.spark.batches import SparkBatches
from stroke.adapters.spark.bucket import S3Access, address_for_spark
from stroke.adapters.spark.checkpoint import SparkState
from stroke.adapters.spark.engine import SparkEngine
from stroke.adapters.spark.files import SparkFiles
from stroke.adapters.spark.kafka import SparkRecords, topic_records
from stroke.adapters.spark.lake import SparkLake, catalog_options
from stroke.adapters.spark.session import spark_session
from stroke.adapters.spark.stream import SparkStream
from stroke.adapters.spark.topic_options import topic_options
from stroke.adapters.sql.snapshot import SqlChanges
from stroke.application.analyses.ports import ChangeSource, ResultStore
from stroke.application.analyses.queries import Analysis
from stroke.application.analyses.runs import AnalyticsRun
from stroke.application.analyses.service import AnalyticsService
from stroke.application.analyses.stream import StreamBatches
from stroke.config import LakeSettings, PipelineSettings
from stroke.container.analytics import check_site, results_at, service_on
from stroke.container.change_sources import most_of_a_block
from stroke.container.clock import utc_now
from stroke.container.engines import existing_database
from stroke.container.lake import lake_of, revealed
from stroke.container.places import place_of
from stroke.domain.errors import InvalidSetting
from stroke.domain.prediction import PredictionFilter


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


@contextmanager
def spark_analytics(
    settings: PipelineSettings,
    session: SparkSession,
    *,
    source: str,
    output: str | ResultStore,
    as_of: datetime | None = None,
    checkpoint: str | None = None,
    site: str | None = None,
) -> Iterator[AnalyticsService[DataFrame]]:
    """Give what runs analyses of ``source`` on Spark, and writes them to ``output``.

    The names are those of ``container.analytics.duckdb_analytics``; ``checkpoint`` is a place that
    the workers know. Raises ``InvalidSetting``.
    """
    if source != "iceberg" and (as_of is not None or checkpoint is not None):
        raise InvalidSetting("--as-of and --checkpoint are for the change log (--source iceberg)")
    if as_of is not None and checkpoint is not None:
        raise InvalidSetting("--checkpoint is for the change log as it is now: without --as-of")
    check_site(site, source=source, checkpoint=checkpoint)
    state = None if checkpoint is None else spark_state(settings.lake, checkpoint)
    changes = _source(settings, session, source, as_of, site)
    with closing(SparkEngine(session, state)) as engine:
        yield service_on(
            engine, changes, settings, engine_name="spark", source=source, output=output, site=site
        )


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

    ``on_run`` takes the record of each batch that is done. Each is counted once, whenever the
    stream ends.
    """
    schema_of = schema_registry(settings).schema
    state = spark_state(settings.lake, checkpoint)
    batches = StreamBatches[DataFrame](
        analyses,
        results_at(settings.lake, output),
        topic=settings.topic,
        engine_name="spark",
        now=utc_now,
        on_run=on_run,
    )

    def work(records: DataFrame, number: int) -> None:
        source = SparkRecords(lambda: records, schema_of, topic=settings.topic)
        batches.work(SparkEngine(records.sparkSession, state), source, number)

    return SparkStream(
        session,
        topic_options(settings.kafka.broker, settings.topic),
        checkpoint=address_for_spark(checkpoint),
        work=work,
        records_at_once=records_at_once,
    )


def spark_state(settings: LakeSettings, address: str) -> SparkState:
    """Return what keeps states in a folder or under an ``s3://`` prefix."""
    return SparkState(address_for_spark(address), FolderPointer(*place_of(settings, address)))


def schema_registry(settings: PipelineSettings) -> SchemaRegistry:
    """Return the registry that has the schemas of change events."""
    return SchemaRegistry(settings.kafka.registry_url, timeout=settings.kafka.timeout_seconds)


def _source(
    settings: PipelineSettings,
    session: SparkSession,
    name: str,
    as_of: datetime | None,
    site: str | None,
) -> ChangeSource[DataFrame]:
    lake = settings.lake
    if name == "iceberg":
        return SparkLake(
            session,
            catalog=lake.catalog_name,
            table=f"{lake.namespace}.{lake.table}",
            history=IcebergChanges(lake_of(lake), as_of=as_of),
            site=site,
        )
    if name == "kafka":
        options = topic_options(settings.kafka.broker, settings.topic)
        return SparkRecords(
            lambda: topic_records(session, options),
            schema_registry(settings).schema,
            topic=settings.topic,
        )
    if name == "db":
        within = PredictionFilter(site=site)
        return SparkBatches(session, SqlChanges(existing_database(settings.database), within))
    most = most_of_a_block()
    return _avro_files(session, AvroChanges(*place_of(lake, name), max_block_bytes=most))


def _avro_files(session: SparkSession, changes: AvroChanges) -> SparkFiles:
    parts, place = changes.plan()

    def read(number: int, *, with_name: bool) -> tuple[Sequence[pa.RecordBatch], Mapping[str, int]]:
        found = read_avro(parts[number], with_name=with_name)
        return found.batches, found.skipped()

    return SparkFiles(session, len(parts), read, place)


def _s3(lake: LakeSettings) -> S3Access:
    return S3Access(
        region=lake.region,
        endpoint=lake.endpoint,
        path_style=lake.path_style,
        access_key_id=lake.access_key_id,
        secret_access_key=revealed(lake.secret_access_key),
    )
