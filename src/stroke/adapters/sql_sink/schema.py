"""The table that Debezium's JDBC sink writes to.

Left to itself the sink makes a table whose texts are VARCHAR(MAX), which SQL Server neither
indexes nor keeps beyond its code page.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    JSON,
    REAL,
    URL,
    BigInteger,
    Column,
    Connection,
    DateTime,
    Dialect,
    Double,
    Float,
    MetaData,
    SmallInteger,
    String,
    Table,
    Unicode,
    inspect,
)
from sqlalchemy.dialects import mssql, postgresql
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import TypeEngine

from stroke.adapters.sql_sink.database import SinkDatabase, SinkDialect

# SQLAlchemy leaves some of its constructors without types.
_DIALECTS: Final[dict[SinkDialect, Dialect]] = {
    "mssql": mssql.dialect(),  # type: ignore[no-untyped-call]
    "postgresql": postgresql.dialect(),  # type: ignore[no-untyped-call]
}
_TIMEOUT: Final = 60.0
# Those of the table's first revision (migrations/versions/0001).
_FIRST_COLUMNS: Final = 16


def ddl(source: Table, name: str, dialect: SinkDialect) -> str:
    """Return the statement that makes the table ``name`` for the rows of ``source``.

    It does nothing where the table is there. Ids come from the source, so they are not generated.
    """
    made = CreateTable(_target(source, name, dialect), if_not_exists=dialect == "postgresql")
    text = str(made.compile(dialect=_DIALECTS[dialect])).strip().replace(" \n", "\n")
    if dialect == "mssql":
        text = f"IF OBJECT_ID(N'{name}', N'U') IS NULL\n{text}"
    return text + ";"


async def create(url: URL, source: Table, name: str) -> bool:
    """Make the table in the database at ``url`` if it is not there; return whether it was made.

    A table that is there stays as it is. Raises ``ReplicaUnavailable``.
    """
    database = SinkDatabase(url, timeout=_TIMEOUT)

    def make(connection: Connection) -> bool:
        if inspect(connection).has_table(name):
            return False
        connection.exec_driver_sql(ddl(source, name, database.dialect))
        return True

    try:
        return await database.call(make)
    finally:
        await database.close()


async def differences(url: URL, source: Table, name: str) -> dict[str, str]:
    """Return the columns of the table that were made with other types, with the types they have.

    Only the first columns of ``source`` count, which no release added: those that came later the
    sink adds by itself, as texts without a limit. A table that is not there differs in nothing.
    Raises ``ReplicaUnavailable``.
    """
    database = SinkDatabase(url, timeout=_TIMEOUT)

    def compare(connection: Connection) -> dict[str, str]:
        if not inspect(connection).has_table(name):
            return {}
        found = {one["name"]: one["type"] for one in inspect(connection).get_columns(name)}
        dialect = database.dialect
        wanted = {column.name: target_type(column.type, dialect) for column in source.columns}
        return {
            column: str(found[column]) if column in found else "missing"
            for column in list(wanted)[:_FIRST_COLUMNS]
            if column not in found or shape(found[column]) != shape(wanted[column])
        }

    try:
        return await database.call(compare)
    finally:
        await database.close()


async def rebuild(url: URL, source: Table, name: str) -> None:
    """Drop the table, if it is there, and make it with its types and without rows.

    In one transaction. Raises ``ReplicaUnavailable``.
    """
    database = SinkDatabase(url, timeout=_TIMEOUT)

    def make(connection: Connection) -> None:
        Table(name, MetaData()).drop(connection, checkfirst=True)
        connection.exec_driver_sql(ddl(source, name, database.dialect))

    try:
        await database.call(make)
    finally:
        await database.close()


def shape(kind: TypeEngine[Any]) -> tuple[object, ...]:
    """Return what makes two types of one database the same."""
    match kind:
        case mssql.NVARCHAR() | Unicode():
            return "unicode", kind.length
        case JSON():
            return "json", isinstance(kind, postgresql.JSONB)
        case String():
            return "text", kind.length
        case DateTime():
            precision = getattr(kind, "precision", None)
            return "moment", 6 if precision is None else precision, bool(kind.timezone)
        case Float():  # DOUBLE PRECISION, and SQL Server's FLOAT, are doubles; REAL is none
            return "number", "real" if isinstance(kind, REAL) else "double"
    whole = [family.__name__ for family in (SmallInteger, BigInteger) if isinstance(kind, family)]
    return "number", *(whole or [type(kind).__name__])


def _target(source: Table, name: str, dialect: SinkDialect) -> Table:
    return Table(
        name,
        MetaData(),
        *(
            Column(
                column.name,  # quoted: `timestamp` is a type, too
                target_type(column.type, dialect),
                primary_key=column.primary_key,
                autoincrement=False,
                quote=True,
            )
            for column in source.columns
        ),
    )


def target_type(kind: TypeEngine[Any], dialect: SinkDialect) -> TypeEngine[Any]:
    """Return a type that holds every value of ``kind`` as it is in MySQL."""
    on_sql_server = dialect == "mssql"
    match kind:
        case JSON():
            # A document can be longer than any NVARCHAR(n); VARCHAR(MAX) has a code page.
            return mssql.NVARCHAR(None) if on_sql_server else postgresql.JSONB()
        case String(length=int(length)):
            # MySQL and PostgreSQL count characters, NVARCHAR counts UTF-16 units: two an emoji.
            return mssql.NVARCHAR(2 * length) if on_sql_server else String(length)
        case DateTime():
            if on_sql_server:
                return mssql.DATETIME2(6)  # type: ignore[no-untyped-call]
            return postgresql.TIMESTAMP(timezone=False, precision=6)
        case Double() | BigInteger() | SmallInteger():
            return kind
    raise TypeError(f"no type of {dialect} is known for {kind!r}")
