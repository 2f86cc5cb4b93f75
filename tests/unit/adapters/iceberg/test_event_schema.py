from __future__ import annotations

from pyiceberg.schema import index_by_id
from pyiceberg.types import DoubleType, IntegerType, LongType, StringType, StructType

from stroke.adapters.iceberg.event_schema import PARTITION_DAY, event_schema, partition_by_day
from stroke.adapters.kafka_connect.column_types import column_types
from stroke.adapters.sql.tables import COLUMNS, predictions

SCHEMA = event_schema(column_types(predictions))


def test_the_row_before_and_the_row_after_have_the_columns_of_the_source() -> None:
    for side in ("before", "after"):
        row = SCHEMA.find_field(side).field_type
        assert isinstance(row, StructType)
        assert tuple(field.name for field in row.fields) == COLUMNS


def test_a_column_has_a_type_that_holds_what_kafka_connect_sends() -> None:
    kinds = {name: SCHEMA.find_type(f"after.{name}") for name in COLUMNS}
    assert kinds["id"] == kinds["timestamp"] == LongType()
    assert kinds["hypertension"] == IntegerType()
    assert kinds["age"] == DoubleType()
    assert kinds["prediction_data"] == StringType()


def test_every_field_is_optional_and_has_an_id_of_its_own() -> None:
    fields = index_by_id(SCHEMA)
    assert sorted(fields) == list(range(1, len(fields) + 1))
    assert not any(field.required for field in fields.values())


def test_iceberg_s_writers_keep_bounds_of_every_column() -> None:
    """They keep none beyond the first 100 by default, and ``_kafka_metadata`` comes last."""
    leaves = [
        field
        for field in index_by_id(SCHEMA).values()
        if not isinstance(field.field_type, StructType)
    ]
    assert len(leaves) <= 100


def test_the_table_is_partitioned_by_the_day_of_the_change() -> None:
    (field,) = partition_by_day(SCHEMA).fields
    assert field.name == PARTITION_DAY
    assert SCHEMA.find_column_name(field.source_id) == "ts_ms"
