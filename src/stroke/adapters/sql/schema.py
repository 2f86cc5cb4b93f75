"""The schema's revisions: which one a database is at, and how it gets to another.

Alembic and the scripts of migrations/ do the work; they are imported only when there is some.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from sqlalchemy import URL, Connection, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import stroke
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.faults import mysql_code, translated
from stroke.adapters.sql.tables import audit, audit_head
from stroke.adapters.sql.versions import found_revision, is_pending
from stroke.application.doctor.ports import Schema
from stroke.application.pipeline.waiting import until
from stroke.domain.errors import InvalidData, SchemaOutdated, StoreUnavailable, wrong_schema

if TYPE_CHECKING:
    from alembic.config import Config

# The newest revision in migrations/versions. A constant, so that a service that is up to date
# starts without Alembic; a unit test holds it against the scripts.
HEAD: Final = "0018"

# The revision that made the audit trail: before it, there is none.
_TRAIL: Final = "0008"

_T = TypeVar("_T")
_CONNECT_TIMEOUT: Final = 5.0
_LOCK_SECONDS: Final = 600
_FIRST_PAUSES: Final = (0.1, 0.2, 0.4)
# Waiting does not mend these: access denied to the database, wrong password, no such database.
_HOPELESS: Final = frozenset({1044, 1045, 1049})


def head() -> str:
    """Return the revision that this version of stroke needs."""
    return HEAD


async def current_revision(connection: AsyncConnection) -> str | None:
    """Return the revision of the database; None when it has no schema of ours yet."""
    return await connection.run_sync(found_revision)


class SqlSchema(Schema):
    """The schema of the database behind ``engine``, read in ``seconds`` or not at all."""

    needed = HEAD

    def __init__(self, engine: AsyncEngine, *, seconds: float) -> None:
        self._engine = engine
        self._seconds = seconds

    async def revision(self) -> str | None:
        with translated():
            async with asyncio.timeout(self._seconds), self._engine.connect() as connection:
                return await current_revision(connection)


def revision(url: URL) -> str | None:
    """Return the revision of the database at ``url``, or None. Raises ``StoreUnavailable``."""
    return _run(url, current_revision)


def upgrade(url: URL, *, target: str = "head") -> bool:
    """Bring the schema up to ``target``; return whether anything had to be done.

    Safe to call from several processes at once, and again after one that died half-way. A table
    ``predictions`` that exists already is adopted with its rows; raises ``InvalidData`` when it
    is not one of ours, and ``SchemaNewer`` or ``SchemaForeign`` when the revision is one that this
    version does not know. Not to be called from a running event loop.
    """
    wanted = HEAD if target == "head" else target
    if _run(url, _is_at(wanted)):
        return False

    async def work(connection: AsyncConnection) -> bool:
        before = _known(await current_revision(connection))
        await connection.run_sync(_migrate, "upgrade", target)
        return before != await current_revision(connection)

    return _run(url, _exclusively(work))


def give(url: URL, statements: Sequence[str]) -> None:
    """Run GRANT statements on MySQL. Raises ``StoreUnavailable`` if the account may not.

    Not to be called from a running event loop.
    """

    async def work(connection: AsyncConnection) -> None:
        for statement in statements:
            # The driver fills in parameters, though there are none.
            await connection.exec_driver_sql(statement.replace("%", "%%"))

    _run(url, work)


@dataclass(frozen=True, slots=True)
class Descent:
    """What a downgrade would undo: these revisions. ``entries`` is what the audit trail has now."""

    revisions: tuple[str, ...]
    entries: int | None
    """None where there is no audit trail."""

    @property
    def drops_entries(self) -> bool:
        """Whether entries of the audit trail would be lost."""
        return bool(self.entries) and _TRAIL in self.revisions

    @property
    def keeps_trail(self) -> bool:
        """Whether there is an audit trail before it and after it."""
        return self.entries is not None and _TRAIL not in self.revisions


def descent(url: URL, target: str) -> Descent:
    """Return what ``downgrade`` would undo. Raises as it does; changes nothing."""

    async def look(connection: AsyncConnection) -> Descent:
        return await _descent(connection, target)

    return _run(url, look)


async def _descent(connection: AsyncConnection, target: str) -> Descent:
    before = _known(await current_revision(connection))
    found = await connection.run_sync(lambda alone: set(inspect(alone).get_table_names()))
    entries = None
    if {audit.name, audit_head.name} <= found:
        # Whether there are any is all that counts, and a long trail takes long to count.
        entries = len((await connection.execute(select(audit.c.number).limit(1))).all())
    return Descent(_steps_down(before, target), entries)


def _steps_down(before: str | None, target: str) -> tuple[str, ...]:
    from alembic.script import ScriptDirectory  # noqa: PLC0415 -- start-up time

    scripts = ScriptDirectory.from_config(_config())
    with _explained(target):
        steps = scripts.iterate_revisions(before, target, select_for_downgrade=True)
        return tuple(step.revision for step in steps)


def downgrade(url: URL, target: str, *, drop_trail: bool = False) -> bool:
    """Take the schema back to ``target`` ("base": drop the table); return whether it moved.

    What the older schema has no room for is lost. Raises as ``upgrade`` does, and ``InvalidData``
    where entries of the audit trail would be lost without ``drop_trail``.
    """

    async def work(connection: AsyncConnection) -> bool:
        if not drop_trail and (await _descent(connection, target)).drops_entries:
            raise InvalidData(
                f"revision {target} has no audit trail, and this database has one. Keep it first: "
                "`stroke audit export -o FILE`, and the end of its chain by `stroke audit verify`, "
                "which is for --known. Then add --drop-trail"
            )
        before = _known(await current_revision(connection))
        await connection.run_sync(_migrate, "downgrade", target)
        return before != await current_revision(connection)

    return _run(url, _exclusively(work))


def downgrade_sql(url: URL, target: str) -> str:
    """Return the SQL that ``downgrade`` would run from where the database is now."""
    from alembic import command  # noqa: PLC0415 -- start-up time

    output = StringIO()
    config = _config(output)
    config.attributes["dialect"] = url.get_backend_name()
    with _explained(target):
        command.downgrade(config, f"{revision(url) or 'base'}:{target}", sql=True)
    return output.getvalue()


def _is_at(wanted: str) -> Callable[[AsyncConnection], Awaitable[bool]]:
    async def look(connection: AsyncConnection) -> bool:
        pending = await connection.run_sync(is_pending)
        return not pending and await current_revision(connection) == wanted

    return look


def _known(found: str | None) -> str | None:
    """Return ``found``, or raise what is wrong with it if no script of ours leads to it."""
    error = wrong_schema(found, HEAD)
    if type(error) is not SchemaOutdated:
        raise error
    return found


def wait_until_reachable(url: URL, seconds: float) -> None:
    """Return once the database answers; raise ``StoreUnavailable`` after ``seconds`` without.

    Tries again and again, for containers that start before their database. A wrong password or an
    unknown database is not waited for. Not to be called from a running loop.
    """

    async def probe(connection: AsyncConnection) -> None:
        await connection.execute(text("SELECT 1"))

    failure: StoreUnavailable | None = None

    async def is_settled() -> bool:
        """Return whether it answers, or waiting is of no use."""
        nonlocal failure
        failure = None
        try:
            await _connected(url, probe)
        except StoreUnavailable as error:
            failure = error
            return mysql_code(error.__cause__) in _HOPELESS
        return True

    asyncio.run(
        until(
            is_settled,
            within=seconds,
            clock=time.monotonic,
            sleep=asyncio.sleep,
            first_pauses=_FIRST_PAUSES,
        )
    )
    if failure is not None:
        raise failure


def _run(url: URL, work: Callable[[AsyncConnection], Awaitable[_T]]) -> _T:
    return asyncio.run(_connected(url, work))


async def _connected(url: URL, work: Callable[[AsyncConnection], Awaitable[_T]]) -> _T:
    """Do ``work`` in one transaction on a connection of its own."""
    engine = create_engine(url, pool_size=1, connect_timeout=_CONNECT_TIMEOUT)
    try:
        with translated():
            async with engine.begin() as connection:
                return await work(connection)
    finally:
        await engine.dispose()


def _exclusively(
    work: Callable[[AsyncConnection], Awaitable[_T]],
) -> Callable[[AsyncConnection], Awaitable[_T]]:
    """Let one process at a time do ``work`` on a database; others wait for it."""

    async def locked(connection: AsyncConnection) -> _T:
        if connection.dialect.name == "sqlite":
            await connection.exec_driver_sql(f"PRAGMA busy_timeout = {_LOCK_SECONDS * 1000}")
            # The write lock from the first statement on; schema changes roll back with the rest.
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
            return await work(connection)
        lock = text(
            "SELECT GET_LOCK(CONCAT('stroke schema ', LEFT(SHA2(DATABASE(), 256), 40)), :seconds)"
        )
        if await connection.scalar(lock, {"seconds": _LOCK_SECONDS}) != 1:
            raise StoreUnavailable("another process is still changing the schema: try again later")
        # The lock is the connection's: it ends with it, however that comes about.
        return await work(connection)

    return locked


def _migrate(connection: Connection, direction: str, target: str) -> None:
    from alembic import command  # noqa: PLC0415 -- start-up time

    config = _config()
    config.attributes["connection"] = connection
    with _explained(target):
        getattr(command, direction)(config, target)


def _config(output: StringIO | None = None) -> Config:
    from alembic.config import Config  # noqa: PLC0415 -- start-up time

    config = Config() if output is None else Config(output_buffer=output)
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    return config


def _scripts() -> Path:
    """Return the folder of the migrations: inside the installed package, or the repository's."""
    package = Path(stroke.__file__).parent
    shipped = package / "_migrations"
    return shipped if shipped.is_dir() else package.parents[1] / "migrations"


@contextmanager
def _explained(target: str) -> Iterator[None]:
    from alembic.script.revision import RevisionError  # noqa: PLC0415 -- start-up time
    from alembic.util import CommandError  # noqa: PLC0415 -- start-up time

    try:
        yield
    except (CommandError, RevisionError) as error:
        raise InvalidData(f"the schema cannot go to revision {target}: {error}") from error
