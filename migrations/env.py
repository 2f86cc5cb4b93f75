"""How Alembic reaches the database: on the connection that ``stroke db`` gives it, or offline.

``alembic`` on the command line uses the database of the settings.
"""

from __future__ import annotations

import asyncio
import warnings

from alembic import context
from sqlalchemy import Connection

from stroke.adapters.sql.versions import VERSION_TABLE, take_over


def run_on(connection: Connection) -> None:
    take_over(connection)
    # Revisions that run again ask for the names of indexes; that of the day is of an expression.
    warnings.filterwarnings("ignore", "Skipped unsupported reflection of expression-based index")
    context.configure(connection=connection, version_table=VERSION_TABLE)
    with context.begin_transaction():
        context.run_migrations()


def run_offline(dialect: str) -> None:
    context.configure(dialect_name=dialect, literal_binds=True, version_table=VERSION_TABLE)
    with context.begin_transaction():
        context.run_migrations()


async def run_on_the_settings_database() -> None:
    from stroke.adapters.sql.engine import create_engine  # noqa: PLC0415 -- only on this path
    from stroke.config import Settings  # noqa: PLC0415

    database = Settings.load().database
    engine = create_engine(
        database.sqlalchemy_url, pool_size=1, connect_timeout=database.connect_timeout_seconds
    )
    async with engine.begin() as connection:
        await connection.run_sync(run_on)
    await engine.dispose()


if context.is_offline_mode():
    run_offline(context.config.attributes.get("dialect", "mysql"))
elif "connection" in context.config.attributes:
    run_on(context.config.attributes["connection"])
else:
    asyncio.run(run_on_the_settings_database())
