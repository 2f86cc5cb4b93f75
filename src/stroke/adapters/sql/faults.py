"""What databases complain about, in the domain's words. Translated here and nowhere else."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from sqlalchemy import exc

from stroke.domain.errors import (
    IdempotencyKeyTaken,
    PredictionRejected,
    StoreUnavailable,
    StrokeError,
)

_P = ParamSpec("_P")
_T = TypeVar("_T")

_KEY: Final = "idempotency_key"
_DUPLICATE_ENTRY: Final = 1062
_NO_SUCH_TABLE: Final = 1146
_DEADLOCK: Final = 1213
# Before each further attempt of a transaction that was a deadlock's victim, in seconds: another
# one that wants the same rows is as likely to be the victim then.
_PAUSES: Final = (0.01, 0.03, 0.1, 0.3)
# MySQL Error Message Reference; the names are those of its server errors.
_MYSQL_REJECTIONS: Final = frozenset(
    {
        1048,  # ER_BAD_NULL_ERROR
        1264,  # ER_WARN_DATA_OUT_OF_RANGE
        1265,  # WARN_DATA_TRUNCATED
        1292,  # ER_TRUNCATED_WRONG_VALUE
        1366,  # ER_TRUNCATED_WRONG_VALUE_FOR_FIELD
        1406,  # ER_DATA_TOO_LONG
        3140,  # ER_INVALID_JSON_TEXT
        3819,  # ER_CHECK_CONSTRAINT_VIOLATED
    }
)
_MYSQL_ADVICE: Final = {
    1044: "the user may not use this database: check MYSQL_USER and MYSQL_DATABASE",
    1045: "MySQL refuses the user or the password: check MYSQL_USER and MYSQL_PASSWORD, and"
    " STROKE_DATABASE_MIGRATION_URL where it is set",
    1049: "there is no such database: check MYSQL_DATABASE",
    1054: "a column is missing: run `stroke db upgrade`",
    1142: "the user may not do this: grant SELECT, INSERT, UPDATE, DELETE (and the schema's"
    " rights)",
    1146: "the table is missing: run `stroke db upgrade`",
    1205: "a lock was not released in time",
    1213: "the transaction was the victim of a deadlock",
    1290: "MySQL is read-only",
    1410: "MySQL has no account of this name that may connect from every host",
    1836: "MySQL is read-only",
    3024: "a listing took too long for MySQL",
    2003: "MySQL cannot be reached: check MYSQL_HOST and MYSQL_PORT, and that it runs",
    2006: "the connection to MySQL was lost",
    2013: "the connection to MySQL was lost",
}
_SQLITE_REJECTIONS: Final = frozenset(
    {sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG}
)
_SQLITE_DUPLICATES: Final = frozenset(
    {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}
)
_SQLITE_ADVICE: Final = {
    sqlite3.SQLITE_BUSY: "another process keeps the SQLite file locked",
    sqlite3.SQLITE_INTERRUPT: "the database did not answer in time",
    sqlite3.SQLITE_READONLY: "the SQLite file is read-only",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_CANTOPEN: "the SQLite file cannot be opened",
    sqlite3.SQLITE_NOTADB: "the file is not an SQLite database",
    sqlite3.SQLITE_ERROR: "SQLite refuses the statement: run `stroke db upgrade`",
}


def again_after_deadlock(
    transaction: Callable[_P, Coroutine[Any, Any, _T]],
) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """Run ``transaction``, one transaction and nothing else, again if MySQL rolled it back.

    It does so when two transactions wait for each other, and says which one was the victim.
    """

    @wraps(transaction)
    async def persistent(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        for pause in _PAUSES:
            try:
                return await transaction(*args, **kwargs)
            except StoreUnavailable as error:
                if mysql_code(error.__cause__) != _DEADLOCK:
                    raise
                await asyncio.sleep(pause * random.random())  # noqa: S311 - no secret
        return await transaction(*args, **kwargs)

    return persistent


@contextmanager
def translated() -> Iterator[None]:
    """Turn errors of the database, its driver and the network into ``StrokeError``s.

    No message quotes a value; the cause is chained. A ``TimeoutError`` is the store's silence.
    """
    try:
        yield
    except exc.DBAPIError as error:
        raise fact(error.orig) from error
    except exc.TimeoutError as error:
        raise StoreUnavailable("no connection to the database became free in time") from error
    except TimeoutError as error:
        raise StoreUnavailable("the database did not answer in time") from error
    except (OSError, EOFError) as error:
        raise StoreUnavailable("the connection to the database was lost") from error


def mysql_code(error: BaseException | None) -> int | None:
    """Return MySQL's error number, of the error or of what it wraps."""
    if isinstance(error, exc.DBAPIError):
        error = error.orig
    code = error.args[0] if error is not None and error.args else None
    return code if isinstance(code, int) else None


def missing_table(error: BaseException) -> bool:
    """Return whether ``error`` says that a table does not exist."""
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return "no such table" in str(cause)
    return mysql_code(cause) == _NO_SUCH_TABLE


def fact(cause: BaseException | None) -> StrokeError:
    """Return what a driver's error means."""
    if isinstance(cause, sqlite3.Error):
        return _sqlite_fact(cause)
    code = mysql_code(cause)
    if code == _DUPLICATE_ENTRY and _KEY in str(cause):
        return IdempotencyKeyTaken("this idempotency key is taken")
    if code in _MYSQL_REJECTIONS or code == _DUPLICATE_ENTRY:
        return PredictionRejected(f"MySQL refuses a value of this prediction (error {code})")
    advice = _MYSQL_ADVICE.get(code or 0, "MySQL does not answer as it should")
    return StoreUnavailable(advice if code is None else f"{advice} (MySQL error {code})")


def _sqlite_fact(cause: sqlite3.Error) -> StrokeError:
    extended = getattr(cause, "sqlite_errorcode", None) or 0
    code = extended & 0xFF
    if extended in _SQLITE_DUPLICATES and _KEY in str(cause):
        return IdempotencyKeyTaken("this idempotency key is taken")
    if code in _SQLITE_REJECTIONS:
        return PredictionRejected(f"SQLite refuses a value of this prediction (error {extended})")
    advice = _SQLITE_ADVICE.get(code, "SQLite does not answer as it should")
    return StoreUnavailable(f"{advice} (SQLite error {extended})")
