"""The schema of the service's database: its revision, and how it gets to another."""

from __future__ import annotations

from stroke.adapters.sql import schema
from stroke.config import DatabaseSettings


def needed_revision() -> str:
    """Return the revision that this version of stroke needs."""
    return schema.head()


def schema_revision(settings: DatabaseSettings) -> str | None:
    """Return the revision of the database, or None. Raises ``StoreUnavailable``."""
    return schema.revision(settings.sqlalchemy_url)


def wait_for_database(settings: DatabaseSettings) -> None:
    """Return once the database answers; raise ``StoreUnavailable`` if it never does."""
    schema.wait_until_reachable(settings.sqlalchemy_url, settings.wait_seconds)


def upgrade_schema(settings: DatabaseSettings, revision: str = "head") -> bool:
    """Bring the schema up to ``revision``; return whether anything had to be done.

    Raises ``InvalidData`` for an unknown revision and for a foreign table ``predictions``, and
    ``StoreUnavailable``. Not to be called from a running event loop.
    """
    return schema.upgrade(settings.sqlalchemy_url, target=revision)


def downgrade_schema(settings: DatabaseSettings, revision: str) -> bool:
    """Take the schema back to ``revision``; return whether it moved. Raises as above."""
    return schema.downgrade(settings.sqlalchemy_url, revision)


def downgrade_sql(settings: DatabaseSettings, revision: str) -> str:
    """Return the SQL that ``downgrade_schema`` would run."""
    return schema.downgrade_sql(settings.sqlalchemy_url, revision)
