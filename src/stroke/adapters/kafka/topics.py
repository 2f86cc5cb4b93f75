"""Reads topics as a consumer of committed records does, and creates them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
)
from confluent_kafka import (
    TopicPartition as _Position,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from stroke.adapters.kafka.avro_keys import AvroKeys
from stroke.adapters.kafka.clients import admin_client, broken_off, committed_consumer
from stroke.application.pipeline.broker import Broker
from stroke.application.pipeline.kafka_connect_model import TopicPartition
from stroke.application.pipeline.ports import ChangeTopic

_FIRST_STEP: Final = 64  # records to look back for the last one; then ever more
_POLL_SECONDS: Final = 0.5
_LEARNING_SECONDS: Final = 0.05  # between two questions whether a broker knows a new topic
_NOT_LED_YET: Final = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    # The leader that is named has not begun, or another one follows it.
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 -- its public name, as the next
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
}
_END: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_LIMIT: Final = "max.message.bytes"


class KafkaChangeTopic(ChangeTopic):
    """Reads and makes topics of ``broker``.

    The registry at ``registry_url`` says how to read keys. No call takes much longer than
    ``timeout`` seconds, but ``highest_id``, which reads a whole topic.
    """

    def __init__(
        self,
        broker: Broker,
        registry_url: str = "",
        *,
        timeout: float = 10.0,
        replication_factor: int = 1,
    ) -> None:
        self._broker = broker
        self._registry_url = registry_url
        self._timeout = timeout
        self._replication_factor = replication_factor

    async def last_offsets(self, topic: str) -> dict[TopicPartition, int]:
        return await asyncio.to_thread(self._last_offsets, topic)

    async def ensure_topic(self, topic: str, config: Mapping[str, str]) -> bool:
        return await asyncio.to_thread(self._ensure_topic, topic, dict(config))

    async def limit(self, topic: str) -> int | None:
        return await asyncio.to_thread(self._limit, topic)

    async def set_limit(self, topic: str, most: int) -> None:
        await asyncio.to_thread(self._set_limit, topic, most)

    async def highest_id(self, topic: str) -> int | None:
        return await asyncio.to_thread(self._highest_id, topic)

    def _highest_id(self, topic: str) -> int | None:
        keys = AvroKeys(self._registry_url, timeout=self._timeout)
        highest: int | None = None
        with broken_off(self._broker), committed_consumer(self._broker) as consumer:
            for number in partitions(consumer, topic, self._timeout):
                for message in read(consumer, topic, number, start=0, timeout=self._timeout):
                    found = keys.prediction_id(message.key())
                    if found is not None:
                        highest = found if highest is None else max(highest, found)
        return highest

    def _last_offsets(self, topic: str) -> dict[TopicPartition, int]:
        with broken_off(self._broker), committed_consumer(self._broker) as consumer:
            found = {}
            for number in partitions(consumer, topic, self._timeout):
                last = self._last_offset(consumer, topic, number)
                if last is not None:
                    found[TopicPartition(topic, number)] = last
            return found

    def _last_offset(self, consumer: Consumer, topic: str, number: int) -> int | None:
        """Look back from the end, over markers and tombstones, until there is a record."""
        low, high = consumer.get_watermark_offsets(_Position(topic, number), timeout=self._timeout)
        step = _FIRST_STEP
        while high > low:
            start = max(low, high - step)
            last = None
            for message in read(consumer, topic, number, start=start, timeout=self._timeout):
                if message.value() is not None:
                    last = message.offset()
            if last is not None or start == low:
                return last
            step *= 16
        return None

    def _ensure_topic(self, topic: str, config: dict[str, str]) -> bool:
        with broken_off(self._broker):
            admin = admin_client(self._broker)
            is_new = self._create(admin, topic, config)
            self._wait_until_it_can_be_used(admin, topic)
            return is_new

    def _create(self, admin: AdminClient, topic: str, config: dict[str, str]) -> bool:
        wanted = NewTopic(
            topic,
            num_partitions=1,
            replication_factor=self._replication_factor,
            config=config,
        )
        made = admin.create_topics([wanted], request_timeout=self._timeout)
        try:
            made[topic].result(timeout=self._timeout)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            raise
        return True

    def _wait_until_it_can_be_used(self, admin: AdminClient, topic: str) -> None:
        """Wait until the leader of each partition answers for it.

        The controller acknowledges a topic, and names it to who wants to make it again, before
        the brokers have learned of it.
        """
        deadline = time.monotonic() + self._timeout
        while not self._is_led(admin, topic):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no broker leads {topic} after {self._timeout:.0f} s")
            time.sleep(_LEARNING_SECONDS)

    def _is_led(self, admin: AdminClient, topic: str) -> bool:
        try:
            numbers = partitions(admin, topic, self._timeout)
            ends = {_Position(topic, number): _END for number in numbers}
            if not ends:
                return False
            for answer in admin.list_offsets(ends, request_timeout=self._timeout).values():
                answer.result(timeout=self._timeout)
        except KafkaException as error:
            if error.args[0].code() in _NOT_LED_YET:
                return False
            raise
        return True

    def _limit(self, topic: str) -> int | None:
        with broken_off(self._broker):
            asked = ConfigResource(ResourceType.TOPIC, topic)
            admin = admin_client(self._broker)  # its answers do not outlive it
            answers = admin.describe_configs([asked], request_timeout=self._timeout)
            try:
                found = answers[asked].result(timeout=self._timeout)
            except KafkaException as error:
                if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    return None
                raise
            return int(found[_LIMIT].value)

    def _set_limit(self, topic: str, most: int) -> None:
        with broken_off(self._broker):
            wanted = ConfigEntry(_LIMIT, str(most), incremental_operation=AlterConfigOpType.SET)
            changed = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[wanted])
            admin = admin_client(self._broker)
            answers = admin.incremental_alter_configs([changed], request_timeout=self._timeout)
            answers[changed].result(timeout=self._timeout)


def partitions(client: Consumer | AdminClient, topic: str, timeout: float) -> list[int]:
    """Return the numbers of a topic's partitions; none where the topic does not exist."""
    described = client.list_topics(topic, timeout=timeout).topics[topic]
    if described.error is not None:
        if described.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return []
        raise KafkaException(described.error)
    return sorted(described.partitions)


def read(
    consumer: Consumer, topic: str, number: int, *, start: int, timeout: float
) -> Iterator[Message]:
    """Yield the committed records of one partition from ``start`` to its present end.

    Raises ``TimeoutError`` when nothing comes for ``timeout`` seconds.
    """
    yield from read_all(consumer, [_Position(topic, number, start)], timeout=timeout)


def read_all(
    consumer: Consumer, starts: Sequence[_Position], *, timeout: float
) -> Iterator[Message]:
    """Yield the committed records of partitions, each from its start to its present end.

    Those of one partition come in order, and those of others between them. What is written
    meanwhile is not read. Raises ``TimeoutError`` when nothing comes for ``timeout`` seconds.
    """
    ends = _ends(consumer, starts, timeout)
    consumer.assign([start for start in starts if (start.topic, start.partition) in ends])
    deadline = time.monotonic() + timeout
    while ends:
        if time.monotonic() > deadline:
            topics = sorted({topic for topic, _ in ends})
            raise TimeoutError(f"no records from {', '.join(topics)} within {timeout:.0f} s")
        message: Any = consumer.poll(_POLL_SECONDS)
        if message is None or (reached := _reached(message)) is None:
            continue
        if (place := (message.topic(), message.partition())) not in ends:
            continue
        if reached < ends[place]:
            yield message
        if reached >= ends[place] - 1:
            # A partition that grows would come to no end, and hide that another one is silent.
            del ends[place]
            consumer.incremental_unassign([_Position(*place)])
        deadline = time.monotonic() + timeout


def _ends(
    consumer: Consumer, starts: Sequence[_Position], timeout: float
) -> dict[tuple[str, int], int]:
    """Return the end of each partition that may have a record from its start on."""
    found = {}
    for start in starts:
        low, high = consumer.get_watermark_offsets(start, timeout=timeout)
        if max(low, start.offset) < high:
            found[start.topic, start.partition] = high
    return found


def _reached(message: Any) -> float | None:
    """Return the offset of a record, infinity for the end of a partition, None for what passes.

    Raises ``KafkaException``.
    """
    error = message.error()
    if error is None:
        return int(message.offset())
    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 -- its public name
        return math.inf
    if error.retriable():
        return None
    raise KafkaException(error)


def offset_of(message: Message) -> int:
    """Return where a record that was read is. One that is to be sent is nowhere: ``TypeError``."""
    offset = message.offset()
    if offset is None:
        raise TypeError("a record without an offset")
    return offset


def time_of(message: Message) -> datetime:
    """Return when a record that was read was made, aware, in UTC."""
    _, milliseconds = message.timestamp()
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
