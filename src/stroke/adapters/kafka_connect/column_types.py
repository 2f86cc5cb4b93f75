"""Column types that the sinks accept, in the form that our transform RequireColumnTypes reads."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Double, SmallInteger, String, Table
from sqlalchemy.types import TypeEngine


def required_columns(table: Table) -> str:
    """Return each column with Kafka Connect's type of it: ``id:int64,gender:string(10)``."""
    return ",".join(f"{column.name}:{_type(column.type)}" for column in table.columns)


def column_types(table: Table) -> list[tuple[str, str]]:
    """Return each column with Kafka Connect's type of it, without a length."""
    return [(column.name, _type(column.type).partition("(")[0]) for column in table.columns]


def _type(kind: TypeEngine[Any]) -> str:
    match kind:
        case BigInteger() | DateTime():  # moments are microseconds since 1970
            return "int64"
        case SmallInteger():
            return "int16"
        case Double():
            return "float64"
        case JSON():
            return "string"
        case String(length=int(length)):
            return f"string({length})"
    raise TypeError(f"no type of Kafka Connect is known for {kind!r}")
