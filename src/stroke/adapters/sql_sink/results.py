"""SqlResults: one table per analysis in a SQL database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

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
    Unicode,
    delete,
    insert,
    inspect,
)

from stroke.adapters.sql_sink.database import SinkDatabase
from stroke.application.analyses.ports import ResultStore
from stroke.application.analyses.queries import Analysis
from stroke.application.analyses.runs import AnalyticsRun

RUNS: Final = "stroke_analytics_runs"
"""The table that keeps every run."""

TEXT_UNITS: Final = 255
"""The length of text columns, in UTF-16 code units."""

_ROWS: Final = 1_000
_TIMEOUT: Final = 600.0  # seconds for one table


class SqlResults(ResultStore):
    """Writes tables ``stroke_analytics_*`` at ``url``, each in one transaction.

    A reader sees all rows of one run or of the other. A table of other columns, as another version
    left it, is made anew. Texts are ``storable``. Trouble of the database raises
    ``ReplicaUnavailable``.
    """

    def __init__(self, url: URL) -> None:
        self._url = url

    def write(self, analysis: Analysis, rows: pa.Table) -> None:
        table = Table(analysis.table, MetaData(), *map(_column, rows.schema))

        def replace(connection: Connection) -> None:
            if not inspect(connection).has_table(table.name):
                table.create(connection)
            elif _names(connection, table.name) != table.columns.keys():
                table.drop(connection)
                table.create(connection)
            connection.execute(delete(table))
            for batch in rows.to_batches(max_chunksize=_ROWS):
                connection.execute(insert(table), [_storable(row) for row in batch.to_pylist()])

        self._call(replace)

    def record(self, run: AnalyticsRun) -> None:
        runs = Table(
            RUNS,
            MetaData(),
            Column("began", String(40), primary_key=True),
            Column("run", Text, nullable=False),
        )
        record = run.as_json()

        def add(connection: Connection) -> None:
            runs.create(connection, checkfirst=True)
            connection.execute(insert(runs), {"began": record["began"], "run": json.dumps(record)})

        self._call(add)

    def _call(self, work: Callable[[Connection], None]) -> None:
        async def run() -> None:
            database = SinkDatabase(self._url, timeout=_TIMEOUT, name="the database for results")
            try:
                await database.call(work)
            finally:
                await database.close()

        asyncio.run(run())


def _column(field: pa.Field) -> Column[Any]:
    if pa.types.is_integer(field.type):
        return Column(field.name, BigInteger)
    if pa.types.is_floating(field.type):
        return Column(field.name, Double)
    if pa.types.is_date(field.type):
        return Column(field.name, Date)
    return Column(field.name, Unicode(TEXT_UNITS))


def storable(text: str) -> str:
    """Return ``text`` as every database can hold it in a column of ``TEXT_UNITS``.

    Adopted tables hold longer texts, and NUL, which PostgreSQL refuses. NUL becomes U+FFFD, and
    a longer text is cut and ends with an ellipsis. SQL Server counts 16-bit units, so that a
    character beyond the first 65,536 counts twice.
    """
    text = text.replace("\0", "\ufffd")
    if len(text) * 2 <= TEXT_UNITS or len(text.encode("utf-16-le")) // 2 <= TEXT_UNITS:
        return text
    cut = text.encode("utf-16-le")[: (TEXT_UNITS - 1) * 2].decode("utf-16-le", "ignore")
    return f"{cut}\u2026"


def _storable(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: storable(value) if isinstance(value, str) else value for name, value in row.items()
    }


def _names(connection: Connection, table: str) -> list[str]:
    return [column["name"] for column in inspect(connection).get_columns(table)]
