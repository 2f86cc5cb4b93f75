"""The table that the SQL sink writes to."""

from __future__ import annotations

from typing import Literal

from stroke.adapters.sql.tables import predictions
from stroke.adapters.sql_sink import schema
from stroke.config import SqlSinkSettings


def sink_ddl(settings: SqlSinkSettings, dialect: Literal["mssql", "postgresql"]) -> str:
    """Return the statement that creates the table, if it is missing."""
    return schema.ddl(predictions, settings.table, dialect)


async def create_sink_table(settings: SqlSinkSettings) -> bool:
    """Create the table if it is missing; return whether it was made.

    Raises ``InvalidSetting`` where no sink is configured, and ``ReplicaUnavailable``.
    """
    return await schema.create(settings.sqlalchemy_url, predictions, settings.table)


async def sink_differences(settings: SqlSinkSettings) -> dict[str, str]:
    """Return the columns that were made with other types than ours. May raise as above."""
    return await schema.differences(settings.sqlalchemy_url, predictions, settings.table)


async def rebuild_sink_table(settings: SqlSinkSettings) -> None:
    """Make the table anew, with our types and without rows. May raise as above."""
    await schema.rebuild(settings.sqlalchemy_url, predictions, settings.table)
