"""What consumers read: the topic through the registry, the Iceberg table through pyiceberg."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table

from components.object_store import LIMIT
from components.stack import BUCKET, TOPIC, PipelineStack
from runner.seconds import spending

JSON_COLUMNS = ("contributing_factors", "prediction_data")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_Found = TypeVar("_Found")


def until(look: Callable[[], _Found], *, within: float, what: str, every: float = 0.5) -> _Found:
    """Return the first truthy answer of ``look``; fail when there is none ``within`` seconds.

    A look that costs nothing may be taken more often than ``every`` half second.
    """
    deadline = time.monotonic() + within
    with spending("waiting"):
        while not (found := look()):
            assert time.monotonic() < deadline, f"{what}: not within {within:.0f} s"
            time.sleep(every)
    return found


@contextmanager
def transaction(stack: PipelineStack, producer: Producer, topic: str) -> Iterator[None]:
    """Commit what is produced within; return when readers of the topic's one partition see it.

    The coordinator answers before each partition has the marker of the commit.
    """
    producer.begin_transaction()
    yield
    producer.commit_transaction()
    with _reader(stack, "read_uncommitted") as everything, _reader(stack) as committed:
        written = _end_of(everything, topic)
        until(
            lambda: _end_of(committed, topic) >= written,
            within=60,
            what="the commit",
            every=0.05,
        )


def _end_of(reader: Consumer, topic: str) -> int:
    _, end = reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)
    return int(end)


def raw_records(stack: PipelineStack, topic: str) -> Iterator[Any]:
    """Give the committed records of a topic's one partition, from its beginning to its end."""
    with _reader(stack) as consumer:
        consumer.assign([TopicPartition(topic, 0, 0)])
        while True:
            message = consumer.poll(120)
            assert message is not None, f"{topic} does not answer"
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                return
            else:
                raise AssertionError(f"{topic}: {error.name()}")


@contextmanager
def _reader(stack: PipelineStack, isolation: str = "read_committed") -> Iterator[Consumer]:
    consumer = Consumer(
        {
            "bootstrap.servers": stack.bootstrap_servers,
            "group.id": f"test-{uuid4()}",
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,  # the broker's wait at the end, which is read each time
            "auto.offset.reset": "earliest",  # where an erasure removed the first ones
        }
    )
    try:
        yield consumer
    finally:
        consumer.close()


def topic_events(stack: PipelineStack, topic: str = TOPIC) -> list[tuple[int, Any, Any]]:
    """Return offset, key and value of each record, decoded as any client would."""
    in_key = SerializationContext(topic, MessageField.KEY)
    in_value = SerializationContext(topic, MessageField.VALUE)
    # Without a timeout the client waits for ever for one answer that the registry has lost.
    settings = {"url": f"{stack.registry_url}/apis/ccompat/v7", "timeout": 20}
    with SchemaRegistryClient(settings) as registry:
        decode: Any = AvroDeserializer(registry)
        return [
            (message.offset(), decode(message.key(), in_key), decode(message.value(), in_value))
            for message in raw_records(stack, topic)
        ]


def lake_table(stack: PipelineStack) -> Table:
    """Open the Iceberg table as an analyst does."""
    settings = stack.settings()
    catalog = SqlCatalog(
        "iceberg",
        uri=settings["STROKE_LAKE_CATALOG_URI"].replace("mysql://", "mysql+pymysql://"),
        warehouse=f"s3://{BUCKET}/warehouse",
        **{
            "s3.endpoint": stack.s3_endpoint,
            "s3.access-key-id": "local",
            "s3.secret-access-key": "local",
            "s3.region": "us-east-1",
            "s3.force-virtual-addressing": "false",
            "s3.connect-timeout": str(LIMIT),
            "s3.request-timeout": str(LIMIT),
        },
    )
    try:
        return catalog.load_table("stroke.predictions_changes")
    finally:
        catalog.engine.dispose()


def lake_events(stack: PipelineStack, *fields: str) -> list[dict[str, Any]]:
    """Return the Iceberg table's events, or these ``fields`` of them, in the order of offsets."""
    scan = lake_table(stack).scan(selected_fields=fields or ("*",))
    events: list[dict[str, Any]] = scan.to_arrow().to_pylist()
    return sorted(events, key=lambda event: int(event["_kafka_metadata"]["offset"]))


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with JSON documents and moments as Python has them, however they were stored."""
    found = dict(row)
    for name in JSON_COLUMNS:
        if isinstance(found.get(name), str):
            found[name] = json.loads(found[name])
    if isinstance(found.get("timestamp"), int):
        moment = _EPOCH + timedelta(microseconds=found["timestamp"])
        found["timestamp"] = moment.replace(tzinfo=None)
    return found


def mysql_rows(stack: PipelineStack, condition: str = "1 = 1") -> dict[int, dict[str, Any]]:
    """Return MySQL's rows by id."""
    columns = [name for (name, *_) in stack.mysql("SHOW COLUMNS FROM predictions")]
    selected = ", ".join(f"`{name}`" for name in columns)
    rows = stack.mysql(f"SELECT {selected} FROM predictions WHERE {condition}")  # noqa: S608
    return {row[0]: plain(dict(zip(columns, row, strict=True))) for row in rows}


def sink_rows(stack: PipelineStack, condition: str = "true") -> dict[int, dict[str, Any]]:
    """Return the SQL sink's rows by id."""
    columns = [
        name
        for (name,) in stack.sink(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'predictions'"
            " ORDER BY ordinal_position"
        )
    ]
    selected = ", ".join(f'"{name}"' for name in columns)
    rows = stack.sink(f"SELECT {selected} FROM predictions WHERE {condition}")  # noqa: S608
    return {row[0]: plain(dict(zip(columns, row, strict=True))) for row in rows}


def sink_row(stack: PipelineStack, number: int) -> dict[str, Any]:
    """Return one of them; without columns where there is none."""
    return sink_rows(stack, f"id = {number}").get(number, {})


def sink_ids(stack: PipelineStack) -> set[int]:
    """Return which rows the SQL sink has; what they hold costs more to look at."""
    return {number for (number,) in stack.sink("SELECT id FROM predictions")}


def lake_ids(stack: PipelineStack) -> set[int]:
    """Return which rows the events of the Iceberg table amount to, without what they hold."""
    return set(latest(lake_events(stack, "op", "before.id", "after.id", "_kafka_metadata.offset")))


def latest(events: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return the rows that a log of changes, in order, amounts to."""
    rows: dict[int, dict[str, Any]] = {}
    for event in events:
        if event["op"] == "d":
            rows.pop(event["before"]["id"], None)
        else:
            rows[event["after"]["id"]] = plain(event["after"])
    return rows
