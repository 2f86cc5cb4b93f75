from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from asyncmy.errors import IntegrityError, OperationalError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from stroke.adapters.sql.faults import again_after_deadlock, fact, translated
from stroke.domain.errors import (
    IdempotencyKeyTaken,
    PredictionRejected,
    StoreUnavailable,
    StrokeError,
)


@pytest.mark.parametrize(
    ("code", "means"),
    [
        (1406, PredictionRejected),  # data too long
        (1264, PredictionRejected),  # out of range
        (3140, PredictionRejected),  # not JSON
        (1205, StoreUnavailable),  # lock wait timeout
        (1213, StoreUnavailable),  # deadlock
        (1290, StoreUnavailable),  # read-only
        (1114, StoreUnavailable),  # table full
        (2003, StoreUnavailable),  # cannot connect
        (2013, StoreUnavailable),  # lost connection
        (1317, StoreUnavailable),  # something that nobody thought of
    ],
)
def test_an_error_of_mysql_is_a_fact_that_quotes_nothing(
    code: int, means: type[StrokeError]
) -> None:
    said = fact(OperationalError(code, "Jane Doe"))

    assert type(said) is means
    assert str(code) in str(said)
    assert "Jane" not in str(said)


def test_a_duplicate_is_the_key_s_only_when_mysql_names_the_key() -> None:
    key = "Duplicate entry 'k' for key 'predictions.uq_predictions_idempotency_key'"

    assert type(fact(IntegrityError(1062, key))) is IdempotencyKeyTaken
    other = "Duplicate entry '7' for key 'predictions.PRIMARY'"
    assert type(fact(IntegrityError(1062, other))) is PredictionRejected


def _failing(*codes: int) -> tuple[list[int], Callable[[], Coroutine[Any, Any, str]]]:
    left = list(codes)

    @again_after_deadlock
    async def transaction() -> str:
        if not left:
            return "done"
        with translated():
            raise DBAPIError("INSERT", None, OperationalError(left.pop(0), "Jane Doe"))

    return left, transaction


def test_the_victim_of_a_deadlock_runs_again_a_few_times() -> None:
    left, transaction = _failing(1213, 1213, 1213)

    assert asyncio.run(transaction()) == "done"
    assert left == []


def test_a_transaction_that_is_always_the_victim_ends() -> None:
    left, transaction = _failing(*[1213] * 9)

    with pytest.raises(StoreUnavailable, match="1213"):
        asyncio.run(transaction())
    assert len(left) == 4


@pytest.mark.parametrize("code", [2013, 1205, 1290])
def test_what_may_have_been_committed_or_stays_as_it_is_does_not_run_again(code: int) -> None:
    left, transaction = _failing(code, code)

    with pytest.raises(StoreUnavailable, match=str(code)):
        asyncio.run(transaction())
    assert left == [code]


def sqlite_error(path: Path, *statements: str) -> sqlite3.Error:
    connection = sqlite3.connect(path, timeout=0)
    try:
        for statement in statements:
            connection.execute(statement)
    except sqlite3.Error as error:
        return error
    finally:
        connection.close()
    raise AssertionError("no statement failed")


def test_an_error_of_sqlite_is_a_fact_too(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    table = "CREATE TABLE t (idempotency_key UNIQUE, name UNIQUE, age CHECK (age < 5))"
    errors = {
        IdempotencyKeyTaken: ("INSERT INTO t VALUES ('k', 1, 1), ('k', 2, 2)",),
        PredictionRejected: ("INSERT INTO t VALUES ('k', 1, 99)",),
        StoreUnavailable: ("PRAGMA query_only = ON", "INSERT INTO t VALUES ('k', 1, 1)"),
    }
    for i, (means, statements) in enumerate(errors.items()):
        assert type(fact(sqlite_error(path.with_suffix(f".{i}"), table, *statements))) is means


@pytest.mark.parametrize(
    "error",
    [
        DBAPIError("SELECT 1", None, OperationalError(2013, "lost")),
        PoolTimeout(),
        TimeoutError(),
        ConnectionResetError(),
        EOFError(),
    ],
)
def test_whatever_the_network_does_the_store_is_unavailable_and_the_cause_is_kept(
    error: Exception,
) -> None:
    with pytest.raises(StoreUnavailable) as refusal, translated():
        raise error

    assert refusal.value.__cause__ is error


def test_an_error_that_is_no_database_s_passes() -> None:
    with pytest.raises(ZeroDivisionError), translated():
        raise ZeroDivisionError
