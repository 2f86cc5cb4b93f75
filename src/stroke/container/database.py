"""The schema of the service's database: its revision, and how it gets to another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from stroke.adapters.sql import schema
from stroke.adapters.sql.copying import CopyTally, DatabaseCopy
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.grants import Account, grants
from stroke.config import DatabaseSettings, database_url
from stroke.container.engines import existing_database, is_there, opened_engine
from stroke.domain.errors import InvalidSetting, StoreUnavailable, wrong_schema

_log = logging.getLogger("stroke.database")


def needed_revision() -> str:
    """Return the revision that this version of stroke needs."""
    return schema.head()


def schema_revision(settings: DatabaseSettings) -> str | None:
    """Return the revision of the database, or None; also where there is no SQLite file.

    None is made. Raises ``StoreUnavailable``.
    """
    return schema.revision(settings.sqlalchemy_url) if is_there(settings) else None


def wait_for_database(settings: DatabaseSettings) -> None:
    """Return once the database answers; raise ``StoreUnavailable`` if it never does."""
    schema.wait_until_reachable(settings.sqlalchemy_url, settings.wait_seconds)


def upgrade_schema(settings: DatabaseSettings, revision: str = "head") -> bool:
    """Bring the schema up to ``revision``; return whether anything had to be done.

    Where another account than the service's own does so on MySQL, it also gives the service's the
    rights that ``account_grants`` names, if it may: a new table needs new ones. If it may not, it
    warns.

    Raises ``InvalidData`` for an unknown revision and for a foreign table ``predictions``, and
    ``StoreUnavailable``. Not to be called from a running event loop.
    """
    changing = migrating(settings).sqlalchemy_url
    moved = schema.upgrade(changing, target=revision)
    if rights := rights_to_give(settings, revision):
        try:
            schema.give(changing, rights)
        except StoreUnavailable as error:
            _log.warning(
                "the service's account of MySQL keeps the rights that it has: %s. See `stroke db "
                "grants`",
                error,
            )
    return moved


def rights_to_give(settings: DatabaseSettings, revision: str = "head") -> list[str]:
    """Return the statements that give the service's account its rights after an upgrade.

    There are none where the same account upgrades, or where the database has no accounts; nor for
    a former revision, which lacks some of the tables that they name.
    """
    changing = migrating(settings)
    url = changing.sqlalchemy_url
    service = changing.service_user
    if url.get_backend_name() != "mysql" or service in {None, "", url.username}:
        return []
    if revision not in {"head", schema.head()}:
        return []
    return account_grants(changing, "service", str(service), host="%")


def account_grants(
    settings: DatabaseSettings, account: Account, user: str, *, host: str
) -> list[str]:
    """Return the statements that give ``user`` the rights of an account, and no more.

    Raises ``InvalidSetting`` where the database is not MySQL, or for a name that it cannot have.
    """
    url = settings.sqlalchemy_url
    if url.get_backend_name() != "mysql" or not url.database:
        raise InvalidSetting("only MySQL has accounts: set MYSQL_HOST or STROKE_DATABASE_URL")
    try:
        return grants(account, user, url.database, host=host)
    except ValueError as error:
        raise InvalidSetting(str(error)) from error


def migrating(settings: DatabaseSettings) -> DatabaseSettings:
    """Return settings with the account that changes the schema.

    They know the service's account as ``service_user``.
    """
    if settings.migration_url is None:
        return settings
    service = settings.service_user or settings.user
    return settings.model_copy(update={"url": settings.migration_url, "service_user": service})


def downgrade_sql(settings: DatabaseSettings, revision: str) -> str:
    """Return the SQL that ``downgrade_schema`` would run."""
    return schema.downgrade_sql(existing_database(settings), revision)


def prepare_schema(
    settings: DatabaseSettings, *, migrate: bool | None = None, may_make: bool = False
) -> None:
    """Wait for the database and bring its schema up to date, or refuse one that is not.

    ``migrate`` says whether to upgrade; without it, SQLite is upgraded and MySQL is not. An SQLite
    file that is not there is made only with ``may_make``. Raises what ``upgrade_schema`` does,
    ``SchemaOutdated``, and ``InvalidSetting`` where there is no such file.
    """
    if not may_make:
        existing_database(settings)
    embedded = settings.sqlalchemy_url.get_backend_name() == "sqlite"
    if not embedded:
        wait_for_database(migrating(settings) if migrate else settings)
    if embedded if migrate is None else migrate:
        upgrade_schema(settings)
    elif (found := schema_revision(settings)) != needed_revision():
        raise wrong_schema(found, needed_revision())


def copy_database(
    source: str, settings: DatabaseSettings, *, dry_run: bool, progress: Callable[[int], None]
) -> CopyTally:
    """Copy all rows of the database ``source`` (a URL or a file of SQLite) into that of settings.

    Raises what ``DatabaseCopy`` does, and ``InvalidSetting`` when there is no such source. Not to
    be called from a running event loop.
    """
    url = database_url(source)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise InvalidSetting(f"{url.database} is no file: name the SQLite file to copy from")
    seconds = settings.connect_timeout_seconds

    async def copied() -> CopyTally:
        origin = create_engine(url, pool_size=1, connect_timeout=seconds)
        try:
            # It sets the counter of ids, which is part of the schema.
            async with opened_engine(migrating(settings)) as engine:
                return await DatabaseCopy(origin, engine, dry_run=dry_run).run(progress)
        finally:
            await origin.dispose()

    return asyncio.run(copied())
