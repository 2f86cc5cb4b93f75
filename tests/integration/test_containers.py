from __future__ import annotations

from collections.abc import Callable

import asyncmy
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from components.containers import MySqlServer

pytestmark = pytest.mark.anyio


def test_the_server_fsyncs_each_commit_as_mysql_does_by_default(mysql: MySqlServer) -> None:
    durable = "SELECT @@innodb_flush_log_at_trx_commit, @@sync_binlog, @@log_bin"

    assert mysql.rows("mysql", durable) == [(1, 1, 1)]


async def test_a_database_takes_the_services_user_and_keeps_it_from_others(
    mysql: MySqlServer,
) -> None:
    own, others = mysql.new_database(), mysql.new_database()
    engine = create_async_engine(own)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
        await connection.execute(text("INSERT INTO t VALUES (7)"))
        with pytest.raises(DBAPIError):
            await connection.execute(text("SELECT * FROM mysql.user"))
    await engine.dispose()

    assert mysql.rows(own, "SELECT id FROM t") == [(7,)]
    assert mysql.rows(others, "SHOW TABLES") == []


def test_a_killed_server_comes_back_on_its_port_with_what_was_committed(
    own_mysql: Callable[[], MySqlServer],
) -> None:
    server = own_mysql()
    database = server.new_database()
    server.rows(database, "CREATE TABLE t (id INT PRIMARY KEY)")
    server.rows(database, "INSERT INTO t VALUES (1)")

    server.kill()
    with pytest.raises((asyncmy.errors.MySQLError, OSError)):
        server.rows(database, "SELECT 1")
    server.start()

    assert server.rows(database, "SELECT id FROM t") == [(1,)]
