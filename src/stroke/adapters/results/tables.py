"""SqlResults: one table per analysis in a SQL database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final, TypeVar

import pyarrow as pa
from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    Connection,
    Date,
    Double,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    inspect,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from stroke.application.analytics import AnalyticsRun, ResultStore
from stroke.domain.analyses import Analysis
from stroke.domain.errors import InvalidData

RUNS: Final = "stroke_analytics_runs"
"""The table that keeps every run."""

_ROWS: Final = 1_000
_T = TypeVar("_T")


class SqlResults(ResultStore):
    """Writes tables ``stroke_analytics_*`` at ``url``, each in one transaction.

    A reader sees all rows of one run or of the other. A table of other columns, as another version
    left it, is made anew.
    """

    def __init__(self, url: URL) -> None:
        self._url = url

    def write(self, analysis: Analysis, rows: pa.Table) -> None:
        table = Table(analysis.table, MetaData(), *map(_column, rows.schema))

        def prepare(connection: Connection) -> None:
            if not inspect(connection).has_table(table.name):
                table.create(connection)
            elif _names(connection, table.name) != table.columns.keys():
                table.drop(connection)
                table.create(connection)

        def replace(connection: Connection) -> None:
            connection.execute(delete(table))
            for batch in rows.to_batches(max_chunksize=_ROWS):
                connection.execute(insert(table), batch.to_pylist())

        # Apart, because with MySQL a definition ends the transaction.
        self._call(prepare)
        self._call(replace)

    def record(self, run: AnalyticsRun) -> None:
        runs = Table(
            RUNS,
            MetaData(),
            Column("began", String(40), primary_key=True),
            Column("run", Text, nullable=False),
        )
        said = run.as_json()

        def add(connection: Connection) -> None:
            runs.create(connection, checkfirst=True)
            connection.execute(insert(runs), {"began": said["began"], "run": json.dumps(said)})

        self._call(add)

    def _call(self, work: Callable[[Connection], _T]) -> _T:
        async def run() -> _T:
            engine = create_async_engine(self._url, poolclass=NullPool, hide_parameters=True)
            try:
                async with engine.begin() as connection:
                    return await connection.run_sync(work)
            finally:
                await engine.dispose()

        try:
            return asyncio.run(run())
        except (SQLAlchemyError, OSError) as error:
            raise InvalidData(
                "the results cannot be written to the database: check that it is up, the user's "
                "rights, and the address"
            ) from error


def _column(field: pa.Field) -> Column[Any]:
    if pa.types.is_integer(field.type):
        return Column(field.name, BigInteger)
    if pa.types.is_floating(field.type):
        return Column(field.name, Double)
    if pa.types.is_date(field.type):
        return Column(field.name, Date)
    return Column(field.name, String(255))


def _names(connection: Connection, table: str) -> list[str]:
    return [column["name"] for column in inspect(connection).get_columns(table)]
