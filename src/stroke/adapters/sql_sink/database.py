"""Connections to the sink's database: PostgreSQL or SQL Server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any, Final, Literal, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from stroke.domain.errors import InvalidSetting, ReplicaUnavailable

SinkDialect = Literal["mssql", "postgresql"]

_T = TypeVar("_T")
_ASYNCHRONOUS: Final = "postgresql+asyncpg"
_THREADED: Final = "mssql+mssqlpython"
# SQLSTATE: what to do about it. PostgreSQL's and SQL Server's drivers both say these.
_ADVICE: Final = {
    "28P01": "refuses the user or the password",
    "28000": "refuses the user or the password",
    "3D000": "has no such database",
    "42P01": "has no such table: run `stroke pipeline sink-schema --apply`",
    "42S02": "has no such table: run `stroke pipeline sink-schema --apply`",
    "42501": "does not let the user do this: grant what is missing",
}


class SinkDatabase:
    """Runs work in transactions. SQL Server's driver blocks, so it gets a thread.

    Work that takes longer than ``timeout`` seconds raises ``ReplicaUnavailable``, as does every
    trouble of the database, which messages call ``name``; none quotes a value. JSON comes as text.
    """

    def __init__(self, url: URL, *, timeout: float, name: str = "the SQL sink's database") -> None:
        self._timeout = timeout
        self._name = name
        self._engine = _engine(url)

    @property
    def dialect(self) -> SinkDialect:
        """The SQL dialect of the database."""
        return "postgresql" if isinstance(self._engine, AsyncEngine) else "mssql"

    async def call(self, work: Callable[[Connection], _T]) -> _T:
        """Return what ``work`` returns, in one transaction."""
        with _translated(self._name):
            async with asyncio.timeout(self._timeout):
                if isinstance(self._engine, AsyncEngine):
                    async with self._engine.begin() as connection:
                        return await connection.run_sync(work)
                return await asyncio.to_thread(self._call, self._engine, work)

    async def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        if isinstance(self._engine, AsyncEngine):
            await self._engine.dispose()
        else:
            await asyncio.to_thread(self._engine.dispose)

    @staticmethod
    def _call(engine: Engine, work: Callable[[Connection], _T]) -> _T:
        with engine.begin() as connection:
            return work(connection)


def _engine(url: URL) -> AsyncEngine | Engine:
    if url.drivername == _ASYNCHRONOUS:
        engine = create_async_engine(
            url,
            pool_size=1,
            pool_pre_ping=True,
            hide_parameters=True,
            json_deserializer=str,  # documents stay text, numbers with every digit
        )
        event.listen(engine.sync_engine, "connect", _dates_as_text)
        return engine
    if url.drivername == _THREADED:
        return create_engine(url, pool_size=1, pool_pre_ping=True, hide_parameters=True)
    raise InvalidSetting(f"the SQL sink is one of {_ASYNCHRONOUS}:// and {_THREADED}://")


def _dates_as_text(connection: Any, _: object) -> None:
    """Write the calendar's first and last day as they are: asyncpg takes them for infinity."""
    codec = {"encoder": date.isoformat, "decoder": _date_of, "schema": "pg_catalog"}
    connection.run_async(lambda driver: driver.set_type_codec("date", format="text", **codec))


def _date_of(text: str) -> date:
    return {"-infinity": date.min, "infinity": date.max}.get(text) or date.fromisoformat(text)


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise _fact(name, error.orig) from error
    except SQLAlchemyError as error:
        raise ReplicaUnavailable(f"{name} does not answer as it should") from error
    except TimeoutError as error:
        raise ReplicaUnavailable(f"{name} did not answer in time") from error
    except OSError as error:
        raise ReplicaUnavailable(
            f"{name} cannot be reached: check its address, and that it runs"
        ) from error
    except Exception as error:
        state = _state(error)
        if state is None:  # not a driver's: one of ours, or a defect
            raise
        raise _fact(name, error) from error  # asyncpg's, which nobody wraps while connecting


def _fact(name: str, cause: BaseException | None) -> ReplicaUnavailable:
    state = _state(cause)
    advice = _ADVICE.get(state or "", "does not answer as it should")
    return ReplicaUnavailable(f"{name} {advice}" + (f" (SQLSTATE {state})" if state else ""))


def _state(error: BaseException | None) -> str | None:
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else None
