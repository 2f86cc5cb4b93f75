"""Change events straight from Kafka, decoded by the registry's schemas."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf
from pyspark.sql.avro.functions import from_avro
from pyspark.sql.types import DataType

from stroke.adapters.spark.changes import (
    SKIPPED,
    counted_beside,
    events_of,
    measured,
    schema_of_changes,
    strange,
)
from stroke.adapters.spark.faults import translated
from stroke.adapters.spark.values import ReadValue, read_moment, read_value
from stroke.application.analyses.ports import CannotContinue, ChangeSource, Position, SourceRead
from stroke.application.analyses.timestamps import TimeUnit, without_time_types
from stroke.domain.errors import InvalidData

SchemaOf = Callable[[int], str]
"""Gives a schema's text by its id in the registry. Raises ``LookupError`` for an unknown id."""

# The Confluent wire format: a byte 0, four of the schema's id, Avro.
_MARKED: Final = "SUBSTRING(value, 1, 1) = X'00' AND LENGTH(value) > 5"
_SCHEMA_ID: Final = "CAST(CONV(HEX(SUBSTRING(value, 2, 4)), 16, 10) AS BIGINT)"
_AVRO: Final = "SUBSTRING(value, 6)"
_LOST: Final = "lost"


def topic_records(session: SparkSession, options: Mapping[str, str]) -> DataFrame:
    """Return the records that a topic holds now; ``options`` are those of ``topic_options``."""
    return session.read.format("kafka").options(**options).load()


class SparkRecords(ChangeSource[DataFrame]):
    """The records of ``topic`` that ``records`` gives: all, or one batch of a stream.

    Its position counts what is no event.
    """

    def __init__(
        self, records: Callable[[], DataFrame], schema_of: SchemaOf, *, topic: str
    ) -> None:
        self._records = records
        self._schema_of = schema_of
        self._topic = topic

    @translated("the change events")
    def read(self, since: Position | None = None, *, with_name: bool) -> SourceRead[DataFrame]:
        if since is not None:
            raise CannotContinue("records do not say what came before them")
        frame = decoded(self._records(), self._schema_of, with_name=with_name)

        @translated("the change events")
        def position() -> Position:
            return {"topic": self._topic, **counted_beside(frame)}

        return SourceRead(frame, position)


def decoded(records: DataFrame, schema_of: SchemaOf, *, with_name: bool) -> DataFrame:
    """Return the change events among Kafka's ``records``; tombstones are skipped.

    Raises ``InvalidData`` for a schema that the registry does not know: its events must not be
    passed over.
    """
    session = records.sparkSession
    is_marked = sf.expr(_MARKED)
    skipped = sf.when(sf.col("value").isNull(), sf.lit("tombstones")).when(
        ~is_marked, sf.lit("strange_records")
    )
    marked = records.select(
        "partition",
        "offset",
        "value",
        skipped.alias(SKIPPED),
        sf.when(is_marked, sf.expr(_SCHEMA_ID)).alias("schema_id"),
    )
    shape = schema_of_changes(with_name=with_name)
    frame = session.createDataFrame([], shape)
    others = marked.where(f"{SKIPPED} IS NOT NULL").select(SKIPPED)
    frame = frame.unionByName(others, allowMissingColumns=True)
    for row in marked.where(f"{SKIPPED} IS NULL").select("schema_id").distinct().collect():
        of_schema = marked.where(sf.col("schema_id") == row.schema_id)
        frame = frame.unionByName(_of_one_schema(of_schema, row.schema_id, schema_of, with_name))
    return frame


def _of_one_schema(
    records: DataFrame, schema_id: int, schema_of: SchemaOf, with_name: bool
) -> DataFrame:
    try:
        schema = schema_of(schema_id)
    except LookupError as error:
        raise InvalidData(
            f"the registry does not know the schema {schema_id} that records name: is "
            "SCHEMA_REGISTRY_URL the one that Kafka Connect writes to?"
        ) from error
    written = json.loads(schema)
    readable = json.dumps(without_time_types(written))
    envelope = from_avro(sf.expr(_AVRO), readable, {"mode": "PERMISSIVE"})
    read = _with_moment(records.select("partition", "offset", envelope.alias("envelope")))
    types = {field.name: field.dataType for field in read.select("envelope.after.*").schema}
    values = _values(types, TimeUnit.of(written), with_name=with_name)
    place = {
        "cluster": sf.lit(""),
        "kafka_partition": sf.col("partition"),
        "place": sf.col("offset"),
    }
    shown = {name: value.value for name, value in values.items()}
    columns = events_of("envelope.", shown, place, with_name=with_name)
    lost = [each.is_lost for each in values.values() if each.is_lost is not None]
    if not lost:  # as in a table of now: none of its types has a value that its column has not
        return read.select(*columns, strange("envelope."))
    beside = [sf.when(each, sf.lit("strange_values")) for each in lost]
    found = read.select(
        *columns, strange("envelope."), sf.array_compact(sf.array(*beside)).alias(_LOST)
    )
    # An event, and beside it a row for each of its values that was lost.
    marks = sf.when(
        sf.col(SKIPPED).isNull(), sf.concat(sf.array(sf.lit(None).cast("string")), sf.col(_LOST))
    )
    marked = found.withColumn(SKIPPED, sf.explode(marks.otherwise(sf.array(SKIPPED))))
    return marked.drop(_LOST)


def _values(
    types: Mapping[str, DataType], unit: TimeUnit | None, *, with_name: bool
) -> dict[str, ReadValue]:
    """Return what the columns of ``types`` give of a row."""
    found = {}
    for name, (column, wanted) in measured(with_name=with_name).items():
        if column in types:
            stored = sf.col(f"envelope.after.`{column}`")
            found[name] = (
                read_moment(stored, types[column], unit)
                if name == "timestamp_us"
                else read_value(stored, types[column], wanted)
            )
    return found


def _with_moment(read: DataFrame) -> DataFrame:
    """Add ``ts_us`` to envelopes that have ``ts_ms`` alone, as those of older Debeziums."""
    known = read.select("envelope.*").columns
    found = [sf.col("envelope.ts_us")] if "ts_us" in known else []
    if "ts_ms" in known:
        found.append(sf.try_multiply(sf.col("envelope.ts_ms"), sf.lit(1000)))
    moment = sf.coalesce(*found, sf.lit(None).cast("bigint"))
    return read.withColumn("envelope", sf.col("envelope").withField("ts_us", moment))
