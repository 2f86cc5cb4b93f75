"""Composition root of the analyses on Spark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyspark.sql import SparkSession

from stroke.adapters.avro.changes import AvroChanges
from stroke.adapters.avro.changes import read as read_avro
from stroke.adapters.iceberg.changes import IcebergChanges
from stroke.adapters.kafka.registry import SchemaRegistry
from stroke.adapters.results.states import FolderPointer
from stroke.adapters.spark.changes import SparkSource
from stroke.adapters.spark.engine import SparkAnalytics
from stroke.adapters.spark.files import SparkFiles
from stroke.adapters.spark.kafka import SparkTopic, topic_options
from stroke.adapters.spark.lake import SparkLake, catalog_options
from stroke.adapters.spark.session import spark_session
from stroke.adapters.spark.state import SparkState
from stroke.config import LakeSettings, PipelineSettings
from stroke.container.analytics import place_of
from stroke.container.lake import lake_of, revealed
from stroke.domain.errors import InvalidSetting

_S3: Final = "s3://"


@contextmanager
def lake_session(
    settings: PipelineSettings, name: str, *, master: str | None = None
) -> Iterator[SparkSession]:
    """Start Spark with the lake's catalog and bucket. Raises ``InvalidSetting``."""
    with spark_session(name, _options(settings.lake), master=master) as session:
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

    ``source`` is "iceberg", "kafka", or a folder or ``s3://`` prefix of Avro files. ``checkpoint``
    is a folder or prefix, which the workers know, for what lets the next run read only what is new.
    Raises ``InvalidSetting``.
    """
    if source != "iceberg" and (as_of is not None or checkpoint is not None):
        raise InvalidSetting("--as-of and --checkpoint are for the change log (--source iceberg)")
    if as_of is not None and checkpoint is not None:
        raise InvalidSetting("--checkpoint is for the change log as it is now: without --as-of")
    state = None if checkpoint is None else spark_state(settings.lake, checkpoint)
    return SparkAnalytics(session, _source(settings, session, source, as_of), state)


def spark_state(settings: LakeSettings, address: str) -> SparkState:
    """Return what keeps states in a folder or under an ``s3://`` prefix."""
    return SparkState(address_for_spark(address), FolderPointer(*place_of(settings, address)))


def address_for_spark(address: str) -> str:
    """Return what Spark calls a folder of this machine, or an ``s3://`` prefix."""
    if address.startswith(_S3):
        return f"s3a://{address.removeprefix(_S3)}"
    return Path(address).resolve().as_uri()


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
        raise InvalidSetting("--source db needs no Spark: leave --engine out")
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


def _options(lake: LakeSettings) -> dict[str, str]:
    return catalog_options(
        lake.catalog,
        name=lake.catalog_name,
        uri=revealed(lake.catalog_uri),
        warehouse=lake.warehouse,
        region=lake.region,
        endpoint=lake.endpoint,
        path_style=lake.path_style,
        access_key_id=lake.access_key_id,
        secret_access_key=revealed(lake.secret_access_key),
    )
