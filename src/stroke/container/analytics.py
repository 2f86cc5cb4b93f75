"""Composition root of the analyses: which source and which store stand behind a name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pyarrow import fs

from stroke.adapters.duckdb.engine import DuckDbEngine
from stroke.adapters.iceberg.changes import IcebergChanges
from stroke.adapters.results.folder import FolderResults
from stroke.adapters.sql.changes import SqlChanges
from stroke.adapters.sql_sink.results import SqlResults
from stroke.application.analytics import AnalyticsService, ChangeSource, ResultStore
from stroke.config import LakeSettings, PipelineSettings, results_url
from stroke.container.lake import lake_of, revealed
from stroke.domain.errors import InvalidSetting


def analytics_service(
    settings: PipelineSettings,
    engine: DuckDbEngine,
    *,
    source: str,
    output: str,
    as_of: datetime | None,
) -> AnalyticsService:
    """Return what runs analyses of ``source`` ("iceberg" or "db") into ``output``.

    ``output`` is a folder, an ``s3://`` prefix or a database's URL. Raises ``InvalidSetting``.
    """
    return AnalyticsService(
        _source(settings, source, as_of),
        engine,
        _results(settings.lake, output),
        source_name=source,
        engine_name="duckdb",
        now=lambda: datetime.now(UTC),
    )


def _source(settings: PipelineSettings, name: str, as_of: datetime | None) -> ChangeSource:
    if name == "iceberg":
        return IcebergChanges(lake_of(settings.lake), as_of=as_of)
    if as_of is not None:
        raise InvalidSetting("--as-of is for the change log (--source iceberg)")
    return SqlChanges(settings.database.sqlalchemy_url)


def _results(settings: LakeSettings, output: str) -> ResultStore:
    if output.startswith("s3://"):
        return FolderResults(_s3(settings), output.removeprefix("s3://"))
    if "://" in output:
        return SqlResults(results_url(output))
    return FolderResults(fs.LocalFileSystem(), str(Path(output).resolve()))


def _s3(settings: LakeSettings) -> fs.FileSystem:
    return fs.S3FileSystem(
        access_key=settings.access_key_id,
        secret_key=revealed(settings.secret_access_key),
        region=settings.region,
        endpoint_override=settings.endpoint,
        force_virtual_addressing=not settings.path_style and settings.endpoint is not None,
    )
