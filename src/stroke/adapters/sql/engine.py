"""Async engines for the two databases that stroke keeps predictions in."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, FromClause, event
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from stroke.adapters.sql.database_file import DatabaseFile
from stroke.adapters.sql.faults import translated
from stroke.domain.errors import InvalidSetting, StrokeError

# UTC, because rows hold UTC without saying so. Strict, because
# a value that does not fit must be refused and never cut; without NO_BACKSLASH_ESCAPES, because
# the driver escapes with backslashes.
_MYSQL_SESSION: Final = (
    "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
)
# Well under MySQL's wait_timeout of 8 hours and the idle limits of common proxies.
_RECYCLE_SECONDS: Final = 1800
_FILE: Final = "stroke_database_file"
_PASSWORD: Final = "stroke_password"  # noqa: S105 -- the name of an option
_CONNECTION_LOST: Final = 2013  # CR_SERVER_LOST


def create_engine(
    url: URL,
    *,
    pool_size: int,
    connect_timeout: float,
    password: Callable[[], str | None] = lambda: None,
) -> AsyncEngine:
    """Return an engine; nothing is connected yet.

    Each new connection to MySQL asks ``password`` for the password; None means that of ``url``.

    At most ``pool_size`` connections are open at a time, and one more that the repository keeps
    for its inserts. ``info["id_step"]`` of a MySQL connection is the step of generated ids. A
    committed transaction is durable on both databases. No error of the engine quotes a
    parameter's value. Connecting and committing raise ``StoreUnavailable`` once SQLite's file is
    not the one that was opened first. Raises ``InvalidSetting`` when that file cannot be written.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, pool_size, connect_timeout)
    return _mysql(url, pool_size, connect_timeout, password)


def create_sibling(engine: AsyncEngine, *, pool_size: int, connect_timeout: float) -> AsyncEngine:
    """Return another engine for the same database, which asks for the same current password."""
    password = engine.sync_engine.get_execution_options().get(_PASSWORD, lambda: None)
    return create_engine(
        engine.url, pool_size=pool_size, connect_timeout=connect_timeout, password=password
    )


def verify_file(engine: AsyncEngine) -> None:
    """Raise ``StoreUnavailable`` if the engine's SQLite file is no longer where it was opened."""
    file: DatabaseFile | None = engine.sync_engine.get_execution_options().get(_FILE)
    if file is not None:
        file.verify()


@asynccontextmanager
async def transaction(
    engine: AsyncEngine, *, seconds: float, writes: bool = False
) -> AsyncIterator[AsyncConnection]:
    """Give a connection whose transaction is committed when the block ends without an error.

    With ``writes``, SQLite takes its write lock before the block; MySQL locks row by row. Errors of
    the database are ``translated``. Raises ``StoreUnavailable`` when all of it, the wait for a
    connection included, takes longer than ``seconds``, or when SQLite's file has changed.
    """
    with translated():
        try:
            async with asyncio.timeout(seconds), engine.begin() as connection:
                if writes and connection.dialect.name == "sqlite":
                    await connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
        except (
            StrokeError
        ):  # such as "not found": true of the open file, perhaps not of the new one
            verify_file(engine)
            raise
        verify_file(engine)


def _mysql(
    url: URL, pool_size: int, connect_timeout: float, password: Callable[[], str | None]
) -> AsyncEngine:
    engine = create_async_engine(
        url.update_query_dict({"charset": "utf8mb4"}),
        pool_size=pool_size,
        max_overflow=1,
        pool_pre_ping=True,
        pool_recycle=_RECYCLE_SECONDS,
        hide_parameters=True,
        connect_args={"connect_timeout": connect_timeout, "async_creator_fn": _connect_to_mysql},
        execution_options={_PASSWORD: password},
    )

    @event.listens_for(engine.sync_engine, "do_connect")
    def _log_in(_dialect: Any, _record: Any, _arguments: Any, named: dict[str, Any]) -> None:
        current = password()
        if current is not None:
            named["password"] = current

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(_MYSQL_SESSION)
        cursor.execute("SELECT @@session.auto_increment_increment")
        (record.info["id_step"],) = cursor.fetchone()
        cursor.close()

    return engine


async def _connect_to_mysql(*arguments: Any, **named: Any) -> Any:
    """Connect; a server (or proxy) that hangs up at once is one that cannot be reached.

    On uvloop asyncmy then finds a transport without a socket, and says so with a RuntimeError.
    """
    import asyncmy  # noqa: PLC0415 -- start-up time on SQLite

    try:
        return await asyncmy.connect(*arguments, **named)
    except RuntimeError as error:
        raise asyncmy.errors.OperationalError(_CONNECTION_LOST, "hung up at once") from error


class _WithHints(SQLiteCompiler):
    """Writes ``with_hint`` into statements: SQLAlchemy has nothing of it for SQLite."""

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:  # noqa: ARG002
        return text


def _sqlite(url: URL, pool_size: int, busy_timeout: float) -> AsyncEngine:
    _check_writable(url.database)
    of_sqlite = url.database is None or url.database.startswith("file:")
    file = DatabaseFile(None if of_sqlite else url.database)
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=1,
        hide_parameters=True,
        connect_args={"timeout": busy_timeout},
        execution_options={_FILE: file},
    )
    engine.dialect.statement_compiler = _WithHints
    # A new connection would make a file where the old one was.
    event.listen(engine.sync_engine, "do_connect", lambda *_: file.verify())
    event.listen(engine.sync_engine, "commit", lambda *_: file.verify())
    event.listen(engine.sync_engine, "close", lambda *_: file.closed())

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")  # readers do not wait for the writer
        cursor.execute("PRAGMA synchronous = FULL")  # ... and a commit is on the disk
        cursor.execute("SELECT COUNT(*) FROM sqlite_master")  # with it the journal is there
        cursor.execute("PRAGMA database_list")
        file.opened(cursor.fetchall()[0][2])
        cursor.close()

    return engine


def _check_writable(database: str | None) -> None:
    if not database or database == ":memory:":
        raise InvalidSetting("SQLite needs a file to keep predictions in: sqlite:///stroke.db")
    if database.startswith("file:"):  # SQLite's own URI: it checks by itself
        return
    path = Path(database).absolute()
    if not path.parent.is_dir():
        raise InvalidSetting(f"the database's folder {path.parent} does not exist: create it")
    # SQLite writes its journal next to the file: the folder must be writable as well.
    for needed in (path.parent, path):
        if needed.exists() and not os.access(needed, os.W_OK):
            raise InvalidSetting(
                f"{needed} is not writable: run from another folder, or set "
                "STROKE_DATABASE_SQLITE_PATH"
            )
    if path.is_dir():
        raise InvalidSetting(f"{path} is a folder: STROKE_DATABASE_SQLITE_PATH names a file")
    # Patients' data are nobody else's on this machine; SQLite gives its journal the same rights.
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        sqlite3.connect(path).close()
    except (OSError, sqlite3.OperationalError) as error:
        raise InvalidSetting(
            f"{path} cannot be opened: choose another file with STROKE_DATABASE_SQLITE_PATH"
        ) from error
