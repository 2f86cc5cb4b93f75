"""Composition root of the analyses: which source and which store stand behind a name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pyarrow import fs

from stroke.adapters.avro.changes import AvroChanges
from stroke.adapters.avro.envelopes import EnvelopeReader
from stroke.adapters.duckdb.engine import DuckDbEngine
from stroke.adapters.iceberg.changes import IcebergChanges
from stroke.adapters.results.checkpoints import FolderCheckpoints
from stroke.adapters.results.folder import FolderResults
from stroke.adapters.sql.snapshot import SqlChanges
from stroke.adapters.sql_sink.results import SqlResults
from stroke.application.analyses.changes import ChangeSource
from stroke.application.analyses.embedded import Continuation, EmbeddedAnalytics
from stroke.application.analyses.service import AnalyticsEngine, AnalyticsService, ResultStore
from stroke.config import LakeSettings, PipelineSettings, results_url
from stroke.container.lake import lake_of, revealed
from stroke.domain.errors import InvalidSetting

_NAMED: Final = ("iceberg", "db", "kafka")
_S3: Final = "s3://"


def analytics_service(
    settings: PipelineSettings,
    engine: AnalyticsEngine,
    *,
    engine_name: str,
    source: str,
    output: str | ResultStore,
) -> AnalyticsService:
    """Return what runs analyses on ``engine`` into ``output``.

    That is a folder, an ``s3://`` prefix, a database's URL, or the store itself. ``source`` is
    what ``engine`` reads. Raises ``InvalidSetting``.
    """
    return AnalyticsService(
        engine,
        _results(settings.lake, output) if isinstance(output, str) else output,
        source_name=source if source in _NAMED else "avro",
        engine_name=engine_name,
        now=lambda: datetime.now(UTC),
    )


def embedded_analytics(
    settings: PipelineSettings,
    engine: DuckDbEngine,
    *,
    source: str,
    as_of: datetime | None = None,
    checkpoint: str | None = None,
) -> EmbeddedAnalytics:
    """Return what reads ``source`` into ``engine``, in this process.

    ``source`` is "iceberg", "db", "kafka", or a folder or ``s3://`` prefix of Avro files.
    ``checkpoint`` is a folder or prefix for what lets the next run read only what is new. Raises
    ``InvalidSetting``.
    """
    changes = _source(settings, source, as_of)
    if checkpoint is None:
        return EmbeddedAnalytics(changes, engine)
    if as_of is not None or not isinstance(changes, IcebergChanges):
        raise InvalidSetting("--checkpoint is for the change log as it is now (--source iceberg)")
    kept = FolderCheckpoints(*place_of(settings.lake, checkpoint), scratch=engine.folder)
    return EmbeddedAnalytics(changes, engine, Continuation(changes, engine, kept))


def _source(settings: PipelineSettings, name: str, as_of: datetime | None) -> ChangeSource:
    if name == "iceberg":
        return IcebergChanges(lake_of(settings.lake), as_of=as_of)
    if as_of is not None:
        raise InvalidSetting("--as-of is for the change log (--source iceberg)")
    if name == "db":
        return SqlChanges(settings.database.sqlalchemy_url)
    if name == "kafka":
        return _topic(settings)
    return AvroChanges(*place_of(settings.lake, name))


def _topic(settings: PipelineSettings) -> ChangeSource:
    # Whoever has no Kafka need not have its client.
    from stroke.adapters.kafka.changes import KafkaChanges  # noqa: PLC0415
    from stroke.adapters.kafka.registry import SchemaRegistry  # noqa: PLC0415

    kafka = settings.kafka
    registry = SchemaRegistry(kafka.registry_url, timeout=kafka.timeout_seconds)
    return KafkaChanges(
        kafka.bootstrap_servers,
        settings.topic,
        schema_of=registry.schema,
        reader_of=EnvelopeReader,
        timeout=kafka.timeout_seconds,
    )


def _results(settings: LakeSettings, output: str) -> ResultStore:
    if "://" in output and not output.startswith(_S3):
        return SqlResults(results_url(output))
    return folder_results(settings, output)


def folder_results(settings: LakeSettings, address: str) -> FolderResults:
    """Return the results in a folder or under an ``s3://`` prefix."""
    return FolderResults(*place_of(settings, address))


def place_of(settings: LakeSettings, address: str) -> tuple[fs.FileSystem, str]:
    """Return the file system and the path of a folder or an ``s3://`` prefix."""
    if address.startswith(_S3):
        return _s3(settings), address.removeprefix(_S3)
    return fs.LocalFileSystem(), str(Path(address).resolve())


def _s3(settings: LakeSettings) -> fs.FileSystem:
    return fs.S3FileSystem(
        access_key=settings.access_key_id,
        secret_key=revealed(settings.secret_access_key),
        region=settings.region,
        endpoint_override=settings.endpoint,
        force_virtual_addressing=not settings.path_style and settings.endpoint is not None,
    )
