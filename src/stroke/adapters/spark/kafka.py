"""Change events straight from Kafka, decoded by the registry's schemas."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sf
from pyspark.sql.avro.functions import from_avro

from stroke.adapters.spark.changes import (
    BESIDE,
    SparkInput,
    SparkSource,
    events_of,
    schema_of_changes,
    strange,
)
from stroke.application.analyses.checkpoints import CannotContinue
from stroke.application.analyses.timestamps import TimeUnit
from stroke.domain.errors import InvalidData

SchemaOf = Callable[[int], str]
"""Gives a schema's text by its id in the registry. Raises ``LookupError`` for an unknown id."""

# The Confluent wire format: a byte 0, four of the schema's id, Avro.
_MARKED: Final = "SUBSTRING(value, 1, 1) = X'00' AND LENGTH(value) > 5"
_SCHEMA_ID: Final = "CAST(CONV(HEX(SUBSTRING(value, 2, 4)), 16, 10) AS BIGINT)"
_AVRO: Final = "SUBSTRING(value, 6)"


def topic_options(bootstrap_servers: str, topic: str) -> dict[str, str]:
    """Return what Spark needs to read a topic from its beginning: only what was committed."""
    return {
        "kafka.bootstrap.servers": bootstrap_servers,
        "subscribe": topic,
        "startingOffsets": "earliest",
        "kafka.isolation.level": "read_committed",
        # Events that are gone before they were read are no reason to go on.
        "failOnDataLoss": "true",
    }


class SparkTopic(SparkSource):
    """What the topic holds now."""

    def __init__(
        self, session: SparkSession, options: Mapping[str, str], schema_of: SchemaOf
    ) -> None:
        self._session = session
        self._options = dict(options)
        self._schema_of = schema_of

    def read(self, since: Mapping[str, Any] | None, *, with_name: bool) -> SparkInput:
        if since is not None:
            raise CannotContinue("a run on a topic reads what the topic holds")
        records = self._session.read.format("kafka").options(**self._options).load()
        frame = decoded(records, self._schema_of, with_name=with_name)
        topic = self._options["subscribe"]
        return SparkInput(frame, lambda beside: {"topic": topic, **beside})


class MicroBatch(SparkSource):
    """The ``records`` of the batch ``number`` of a stream; its point is that number."""

    def __init__(self, records: DataFrame, schema_of: SchemaOf, *, topic: str, number: int) -> None:
        self._records = records
        self._schema_of = schema_of
        self._number = number
        self._point = {"topic": topic, "batch": number}

    def read(self, since: Mapping[str, Any] | None, *, with_name: bool) -> SparkInput:
        """Raise ``InvalidData`` where ``since`` is not the batch before: one would be missing."""
        before = self._number - 1 if self._number else None
        if (since or {}).get("batch") != before:
            raise InvalidData(
                "the checkpoint's tables and its offsets are not of the same stream: remove it "
                "whole, and the stream begins anew"
            )
        frame = decoded(self._records, self._schema_of, with_name=with_name)
        return SparkInput(frame, lambda _: self._point)


def decoded(records: DataFrame, schema_of: SchemaOf, *, with_name: bool) -> DataFrame:
    """Return the change events among Kafka's ``records``; tombstones are beside them.

    Raises ``InvalidData`` for a schema that the registry does not know: its events must not be
    passed over.
    """
    session = records.sparkSession
    is_marked = sf.expr(_MARKED)
    beside = sf.when(sf.col("value").isNull(), sf.lit("tombstones")).when(
        ~is_marked, sf.lit("strange_records")
    )
    marked = records.select(
        "partition",
        "offset",
        "value",
        beside.alias(BESIDE),
        sf.when(is_marked, sf.expr(_SCHEMA_ID)).alias("schema_id"),
    )
    shape = schema_of_changes(with_name=with_name)
    frame = session.createDataFrame([], shape)
    others = marked.where(f"{BESIDE} IS NOT NULL").select(BESIDE)
    frame = frame.unionByName(others, allowMissingColumns=True)
    for row in marked.where(f"{BESIDE} IS NULL").select("schema_id").distinct().collect():
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
    envelope = from_avro(sf.expr(_AVRO), schema, {"mode": "PERMISSIVE"})
    read = records.select("partition", "offset", envelope.alias("envelope"))
    unit = TimeUnit.of(json.loads(schema))

    def to_micros(stored: Column) -> Column:
        return sf.floor(stored * unit.times / unit.by) if unit.by > 1 else stored * unit.times

    place = {
        "cluster": sf.lit(""),
        "kafka_partition": sf.col("partition"),
        "place": sf.col("offset"),
    }
    known = read.select("envelope.after.*").columns
    columns = events_of("envelope.", known, place, with_name=with_name, to_micros=to_micros)
    return read.select(*columns, strange("envelope."))
