"""Records of any topic, decoded by the registry's schemas."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Final

from confluent_kafka import Consumer, Message
from confluent_kafka import TopicPartition as _Position

from stroke.adapters.kafka.clients import broken_off, committed_consumer
from stroke.adapters.kafka.registry import SchemaRegistry
from stroke.adapters.kafka.topics import offset_of, partitions, read
from stroke.adapters.kafka.wire_format import AvroReader, Undecodable, unframed
from stroke.application.pipeline.broker import Broker
from stroke.application.pipeline.consistency import TopicRecord
from stroke.application.pipeline.ports import TopicRecords
from stroke.domain.errors import InvalidData

_INTERNAL: Final = "__"


class KafkaTopicRecords(TopicRecords):
    """Reads ``broker``, and schemas from ``registry_url``.

    Either may say nothing for ``timeout`` seconds. The registry is asked only for records that
    name a schema.
    """

    def __init__(self, broker: Broker, registry_url: str, *, timeout: float = 10.0) -> None:
        self._broker = broker
        self._timeout = timeout
        self._avro = AvroReader(SchemaRegistry(registry_url, timeout=timeout).schema)

    async def records(self, topic: str, *, start: int | None, limit: int) -> list[TopicRecord]:
        return await asyncio.to_thread(self._records, topic, start, limit)

    def _records(self, topic: str, start: int | None, limit: int) -> list[TopicRecord]:
        with broken_off(self._broker), committed_consumer(self._broker) as consumer:
            numbers = partitions(consumer, topic, self._timeout)
            if not numbers:
                raise self._no_topic(consumer, topic)
            found: list[TopicRecord] = []
            for number in numbers:
                messages = (
                    self._last(consumer, topic, number, limit - len(found))
                    if start is None
                    else self._from(consumer, topic, number, start, limit - len(found))
                )
                found += [self._shown(message) for message in messages]
            return found

    def _from(
        self, consumer: Consumer, topic: str, number: int, start: int, limit: int
    ) -> list[Message]:
        return list(islice(self._read(consumer, topic, number, start), limit))

    def _last(self, consumer: Consumer, topic: str, number: int, limit: int) -> list[Message]:
        """Look back from the end, over markers of transactions, until there are enough."""
        place = _Position(topic, number)
        low, high = consumer.get_watermark_offsets(place, timeout=self._timeout)
        step = 2 * limit
        while True:
            start = max(low, high - step)
            found = deque(self._read(consumer, topic, number, start), maxlen=limit)
            if len(found) == limit or start == low:
                return list(found)
            step *= 16

    def _read(self, consumer: Consumer, topic: str, number: int, start: int) -> Iterator[Message]:
        return read(consumer, topic, number, start=start, timeout=self._timeout)

    def _shown(self, message: Message) -> TopicRecord:
        value = message.value()
        _, timestamp = message.timestamp()
        return TopicRecord(
            message.topic() or "",
            message.partition() or 0,
            offset_of(message),
            timestamp,
            self._decoded(message.key()),
            self._decoded(value),
            len(value or b""),
        )

    def _decoded(self, data: str | bytes | None) -> object:
        if data is None or isinstance(data, str):
            return data
        if framed := unframed(data):
            try:
                return self._avro.read(*framed)
            except (LookupError, Undecodable):
                pass  # other bytes may begin as Avro does
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.hex()

    def _no_topic(self, consumer: Consumer, topic: str) -> InvalidData:
        topics = sorted(consumer.list_topics(timeout=self._timeout).topics)
        there = [name for name in topics if not name.startswith(_INTERNAL)]
        return InvalidData(f"Kafka has no topic {topic}; there are {', '.join(there) or 'none'}")
