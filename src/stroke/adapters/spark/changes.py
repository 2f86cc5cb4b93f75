"""What Spark reads: change events as a DataFrame of ``CHANGES`` (and ``name``) and ``SKIPPED``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from stroke.application.analyses.views import CHANGES, MEASURED

SKIPPED: Final = "skipped"
"""A column that is NULL in a change event; in other rows it says what was skipped."""

_OPERATIONS: Final = ("c", "r", "u", "d")
_STORED: Final = {"timestamp_us": "timestamp"}
_OF_SQL: Final = {"BIGINT": "bigint", "DOUBLE": "double", "VARCHAR": "string"}


def schema_of_changes(*, with_name: bool) -> str:
    """Return the schema of a frame, as Spark writes schemas."""
    columns = {**CHANGES, **({"name": "VARCHAR"} if with_name else {})}
    named = [f"{name} {_OF_SQL[kind]}" for name, kind in columns.items()]
    return ", ".join([*named, f"{SKIPPED} string"])


def measured(*, with_name: bool) -> dict[str, tuple[str, str]]:
    """Return the table's column and the type of each column of ``changes`` that a row gives."""
    columns = {**MEASURED, **({"name": "VARCHAR"} if with_name else {})}
    return {name: (_STORED.get(name, name), kind) for name, kind in columns.items()}


def events_of(
    envelope: str, values: Mapping[str, Column], place: Mapping[str, Column], *, with_name: bool
) -> list[Column]:
    """Return the columns of ``changes``, of a Debezium envelope.

    ``envelope`` is the name of its column and a dot, or nothing if its fields are columns.
    ``values`` gives those of ``measured`` that its table has, and ``place`` gives ``cluster``,
    ``kafka_partition`` and ``place``.
    """
    given = {
        "op": sf.col(f"{envelope}op"),
        "prediction_id": _number(envelope),
        "ts_us": sf.col(f"{envelope}ts_us"),
        "turn": sf.lit(0),
        **place,
        **values,
    }
    kinds = {**CHANGES, **({"name": "VARCHAR"} if with_name else {})}
    return [
        given.get(name, sf.lit(None)).cast(_OF_SQL[kind]).alias(name)
        for name, kind in kinds.items()
    ]


def strange(envelope: str) -> Column:
    """Return the column ``SKIPPED`` that marks what is no change of a row."""
    op, read = sf.col(f"{envelope}op"), sf.col(f"{envelope}ts_us")
    has_row = (op == "d") | sf.col(f"{envelope}after").isNotNull()
    whole = op.isin(*_OPERATIONS) & has_row & _number(envelope).isNotNull() & read.isNotNull()
    return sf.when(whole, sf.lit(None)).otherwise(sf.lit("strange_records")).alias(SKIPPED)


def _number(envelope: str) -> Column:
    number = sf.coalesce(sf.col(f"{envelope}after.id"), sf.col(f"{envelope}before.id"))
    return number.try_cast("bigint")


def counted_beside(frame: DataFrame) -> dict[str, int]:
    """Return the number of rows by what was skipped.

    Reads the frame once more where it is not cached.
    """
    others = frame.where(f"{SKIPPED} IS NOT NULL").groupBy(SKIPPED).count()
    return {row[0]: row[1] for row in others.collect()}
