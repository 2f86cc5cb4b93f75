"""The schema of the change log: Debezium's envelope, and its topic, partition and offset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final, TypeAlias

from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import DayTransform
from pyiceberg.types import (
    BooleanType,
    DoubleType,
    IcebergType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    StructType,
    TimestamptzType,
)

Columns: TypeAlias = Sequence[tuple[str, str]]
"""Name and Kafka Connect type of each column of the captured table."""

PARTITION_DAY: Final = "ts_day"

_TEXT: Final = StringType()
_WHOLE: Final = LongType()
# The sink turns a number of milliseconds into a moment where the column is one.
_MOMENT: Final = TimestamptzType()
_OF_CONNECT: Final[dict[str, IcebergType]] = {
    "int8": IntegerType(),
    "int16": IntegerType(),
    "int32": IntegerType(),
    "int64": _WHOLE,
    "float32": DoubleType(),
    "float64": DoubleType(),
    "boolean": BooleanType(),
    "string": _TEXT,
}
_SOURCE: Final[dict[str, IcebergType]] = {
    "version": _TEXT,
    "connector": _TEXT,
    "name": _TEXT,
    "ts_ms": _WHOLE,
    "snapshot": _TEXT,
    "db": _TEXT,
    "sequence": _TEXT,
    "ts_us": _WHOLE,
    "ts_ns": _WHOLE,
    "table": _TEXT,
    "server_id": _WHOLE,
    "gtid": _TEXT,
    "file": _TEXT,
    "pos": _WHOLE,
    "row": IntegerType(),
    "thread": _WHOLE,
    "query": _TEXT,
}
_TRANSACTION: Final[dict[str, IcebergType]] = {
    "id": _TEXT,
    "total_order": _WHOLE,
    "data_collection_order": _WHOLE,
}
_ON_KAFKA: Final[dict[str, IcebergType]] = {
    "topic": _TEXT,
    "partition": IntegerType(),
    "offset": _WHOLE,
    "timestamp": _MOMENT,
    "cluster": _TEXT,
}


def event_schema(columns: Columns) -> Schema:
    """Return the change log's schema for a captured table of these ``columns``.

    ``ts_ms`` is when Debezium read the change: a moment, by whose day the table is partitioned.
    All fields are optional: a record that lacks one must not stop the sink.
    """
    ids = count(1)
    row = {name: _OF_CONNECT[kind] for name, kind in columns}
    return Schema(
        *_fields(
            {
                "before": row,
                "after": row,
                "source": _SOURCE,
                "transaction": _TRANSACTION,
                "op": _TEXT,
                "ts_ms": _MOMENT,
                "ts_us": _WHOLE,
                "ts_ns": _WHOLE,
                "_kafka_metadata": _ON_KAFKA,
            },
            ids,
        )
    )


def partition_by_day(schema: Schema) -> PartitionSpec:
    """Return the partitioning by the day of ``ts_ms``."""
    return PartitionSpec(
        PartitionField(
            source_id=schema.find_field("ts_ms").field_id,
            field_id=1000,
            transform=DayTransform(),
            name=PARTITION_DAY,
        )
    )


def _fields(
    types: dict[str, IcebergType | dict[str, IcebergType]], ids: Iterator[int]
) -> list[NestedField]:
    made = []
    for name, kind in types.items():
        number = next(ids)
        shape = StructType(*_fields(dict(kind), ids)) if isinstance(kind, dict) else kind
        made.append(NestedField(field_id=number, name=name, field_type=shape, required=False))
    return made
