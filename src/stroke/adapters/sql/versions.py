"""Where a database keeps the revision of its schema, in a table of our own.

Alembic's usual name, ``alembic_version``, is every application's. Where a database is shared, that
table may be another one's, and its revision then says nothing of ours. Releases up to revision
0004 wrote into it: what they wrote is taken over.
"""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import Connection, inspect, text

VERSION_TABLE: Final = "stroke_alembic_version"
FORMER_TABLE: Final = "alembic_version"
_OURS: Final = re.compile(r"\d{4}")
# What a schema of ours has from a revision on: a table, and some of its columns.
_SIGNS: Final = (
    ("0001", "predictions", {"id", "probability", "contributing_factors", "prediction_data"}),
    ("0002", "predictions", {"model_version", "idempotency_key"}),
    ("0004", "outcomes", {"prediction_id", "recorded_at"}),
)


def found_revision(connection: Connection) -> str | None:
    """Return the revision that the schema is at; None without a schema of ours.

    Our own table decides. A release before it that runs again later writes into the former one,
    and changes nothing: it finds everything there.
    """
    own = _own(connection)
    return _former(connection) if own is None else own


def is_pending(connection: Connection) -> bool:
    """Return whether the revision is still where releases before ours wrote it."""
    return _own(connection) is None and _former(connection) is not None


def take_over(connection: Connection) -> None:
    """Move our revision from the former table to our own. May be killed and run again."""
    if not is_pending(connection):
        return
    revision = found_revision(connection)
    if not inspect(connection).has_table(VERSION_TABLE):
        connection.execute(
            text(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        )
    connection.execute(text(f"DELETE FROM {VERSION_TABLE}"))  # noqa: S608
    connection.execute(
        text(f"INSERT INTO {VERSION_TABLE} VALUES (:revision)"),  # noqa: S608
        {"revision": revision},
    )
    connection.execute(text(f"DROP TABLE {FORMER_TABLE}"))


def _own(connection: Connection) -> str | None:
    return next(iter(_rows(connection, VERSION_TABLE)), None)


def _former(connection: Connection) -> str | None:
    """Return what ``alembic_version`` says if it speaks of our schema, else None."""
    rows = _rows(connection, FORMER_TABLE)
    if len(rows) != 1 or not _OURS.fullmatch(rows[0]):
        return None
    tables = inspect(connection)
    for since, table, columns in _SIGNS:
        if rows[0] < since:
            break
        if not tables.has_table(table):
            return None
        if not columns <= {column["name"] for column in tables.get_columns(table)}:
            return None
    return rows[0]


def _rows(connection: Connection, table: str) -> list[str]:
    tables = inspect(connection)
    if not tables.has_table(table):
        return []
    if "version_num" not in {column["name"] for column in tables.get_columns(table)}:
        return []
    return [str(each) for each in connection.scalars(text(f"SELECT version_num FROM {table}"))]  # noqa: S608
