"""The audit trail: of the database of settings, and what commands write into it."""

from __future__ import annotations

import asyncio
import getpass
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.audit import SqlAuditLog
from stroke.application.access.keys import Around
from stroke.application.audit.trail import AuditTrail, RefusalSampler
from stroke.config import DatabaseSettings
from stroke.container.clock import utc_now
from stroke.container.engines import is_there, opened_engine
from stroke.domain.audit import AuditAction, AuditOutcome
from stroke.domain.errors import StrokeError

_T = TypeVar("_T")


def with_audit_trail(settings: DatabaseSettings, work: Callable[[AuditTrail], Awaitable[_T]]) -> _T:
    """Return what ``work`` does with the trail. Raises ``StoreUnavailable``.

    Not to be called from a running event loop.
    """

    async def done() -> _T:
        async with opened_engine(settings) as engine:
            return await work(trail_of(engine, settings))

    return asyncio.run(done())


@contextmanager
def audited(
    settings: DatabaseSettings, action: AuditAction, target: str | None = None
) -> Iterator[None]:
    """Write down that the system's user did ``action``, once the block has ended.

    ``target`` is an id or a kind of data, never a value of a patient, and no name of a file, which
    may be a patient's. An error of the block is raised on, and written down too, unless the
    database cannot take it. Raises ``StoreUnavailable`` after the block where that is so.
    """
    try:
        yield
    except StrokeError:
        with suppress(StrokeError):
            if is_there(settings):
                write_entry(settings, action, target, AuditOutcome.FAILED)
        raise
    write_entry(settings, action, target)


@contextmanager
def audited_where_there(
    settings: DatabaseSettings, action: AuditAction, target: str | None = None
) -> Iterator[None]:
    """Do as ``audited``, but without a word where there is no database yet.

    A laptop that trains and signs models may have none.
    """
    if is_there(settings):
        with audited(settings, action, target):
            yield
    else:
        yield


@contextmanager
def erased_where_there(settings: DatabaseSettings, target: str) -> Iterator[None]:
    """Write down that the system's user erases ``target``, before the block and after it.

    So a run that is killed is in the trail, too. Nothing is written where there is no database yet.
    Raises ``StoreUnavailable`` before the block where the entry cannot be written.
    """
    if is_there(settings):
        write_entry(settings, AuditAction.PREDICTION_ERASE, target, AuditOutcome.ASKED)
    with audited_where_there(settings, AuditAction.PREDICTION_ERASE, target):
        yield


@contextmanager
def with_copies(settings: DatabaseSettings, action: AuditAction, target: str) -> Iterator[bool]:
    """Write down what the system's user does with copies alone, before the block does it.

    So a run that is killed is in the trail, too; how the block ended is written after it.
    ``target`` is a kind of data. Yields False where the database is away: copies can be read and
    mended without it, and must be, when something is to be found out about a fault. Where there is
    no database nothing is written.
    """
    try:
        written = is_there(settings)
        if written:
            write_entry(settings, action, target, AuditOutcome.ASKED)
    except StrokeError:
        yield False
        return
    if not written:
        yield True
        return
    outcome = AuditOutcome.FAILED
    try:
        yield True
        outcome = AuditOutcome.DONE
    finally:
        with suppress(StrokeError):
            write_entry(settings, action, target, outcome)


@asynccontextmanager
async def written_down(
    settings: DatabaseSettings, action: AuditAction, target: str
) -> AsyncIterator[None]:
    """Write down ``action`` before the block and how it ended, within an event loop that runs.

    Raises ``StoreUnavailable`` before the block, or after it, where an entry cannot be written. An
    error of the block is raised on.
    """
    await write_down(settings, action, target, AuditOutcome.ASKED)
    try:
        yield
    except StrokeError:
        with suppress(StrokeError):
            await write_down(settings, action, target, AuditOutcome.FAILED)
        raise
    await write_down(settings, action, target)


class KeyChanges:
    """Writes down changes of keys: before each (``asked``), and how it ended.

    An entry names a key by its id. A change whose first entry cannot be written does not begin.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._unwritten: StrokeError | None = None

    def of(self, action: AuditAction) -> Around:
        """Return what encloses such a change. It raises ``StoreUnavailable`` at its beginning."""

        @asynccontextmanager
        async def around(ids: Sequence[str]) -> AsyncIterator[None]:
            async def write(outcome: AuditOutcome) -> None:
                async with opened_engine(self._settings) as engine:
                    await trail_of(engine, self._settings).record_each(
                        action, actor=system_actor(), outcomes=dict.fromkeys(ids, outcome)
                    )

            await write(AuditOutcome.ASKED)
            try:
                yield
            except StrokeError:
                with suppress(StrokeError):
                    await write(AuditOutcome.FAILED)
                raise
            try:
                await write(AuditOutcome.DONE)
            except StrokeError as error:
                self._unwritten = error

        return around

    def check(self) -> None:
        """Raise what kept the last entry from being written.

        For later than the change: a new key is shown first, for it is there, and only now.
        """
        if self._unwritten is not None:
            raise self._unwritten


async def write_down(
    settings: DatabaseSettings,
    action: AuditAction,
    target: str | None,
    outcome: AuditOutcome = AuditOutcome.DONE,
) -> None:
    """Do as ``write_entry``, within an event loop that runs."""
    async with opened_engine(settings) as engine:
        await trail_of(engine, settings).record(
            action, actor=system_actor(), target=target, outcome=outcome
        )


def write_entry(
    settings: DatabaseSettings,
    action: AuditAction,
    target: str | None,
    outcome: AuditOutcome = AuditOutcome.DONE,
) -> None:
    """Write down what the system's user did. Raises ``StoreUnavailable``."""
    asyncio.run(write_down(settings, action, target, outcome))


def system_actor() -> str:
    """Return how the trail names the user of the system."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user often has a number and no name
        name = str(os.getuid())
    return f"user:{name}"


def trail_of(engine: AsyncEngine, settings: DatabaseSettings) -> AuditTrail:
    """Return the trail of an open database, for a process that refuses nobody."""
    log = SqlAuditLog(engine, statement_timeout=settings.statement_timeout_seconds)
    return AuditTrail(log, now=utc_now, refusals=RefusalSampler(0, time.monotonic))
