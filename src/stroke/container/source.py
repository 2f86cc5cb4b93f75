"""MySQL as the pipeline's commands and the doctor read it; needs no package of the pipeline."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.source_of_truth import MySqlSource
from stroke.adapters.sql.tables import predictions
from stroke.config import DatabaseSettings, PipelineSettings
from stroke.container.engines import engine_of
from stroke.domain.errors import InvalidSetting


def source_engine(settings: DatabaseSettings) -> AsyncEngine:
    """Return the engine. Raises ``InvalidSetting`` where the service's database is not MySQL."""
    if settings.sqlalchemy_url.get_backend_name() != "mysql":
        raise InvalidSetting("the pipeline starts at MySQL: set MYSQL_HOST, MYSQL_USER and so on")
    # A replica asks for the columns while a chunk is read.
    return engine_of(settings, pool_size=2)


def mysql_source(engine: AsyncEngine, settings: PipelineSettings) -> MySqlSource:
    """Return the table that copies are held against, masked as they are."""
    salt = settings.cdc.mask_salt
    return MySqlSource(
        engine,
        predictions.name,
        statement_timeout=settings.database.statement_timeout_seconds,
        mask=settings.cdc.mask,
        mask_salt=None if salt is None else salt.get_secret_value(),
    )
