"""Reads topics as a consumer of committed records does, and creates them."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    ResourceType,
)

from stroke.adapters.kafka.avro_keys import AvroKeys
from stroke.application.pipeline.kafka_connect_model import TopicPartition
from stroke.application.pipeline.ports import ChangeTopic
from stroke.domain.errors import BrokerUnavailable

_FIRST_STEP: Final = 64  # records to look back for the last one; then ever more
_POLL_SECONDS: Final = 0.5
_LIMIT: Final = "max.message.bytes"
# The client retries by itself, and would say so on stderr, line by line.
SILENT: Final = logging.getLogger("stroke.kafka")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False


class KafkaChangeTopic(ChangeTopic):
    """Reads and makes topics of the cluster at ``bootstrap_servers``.

    The registry at ``registry_url`` tells how to read keys. No call takes much longer than
    ``timeout`` seconds, but ``highest_id``, which reads a whole topic.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        registry_url: str = "",
        *,
        timeout: float = 10.0,
        replication_factor: int = 1,
    ) -> None:
        self._servers = bootstrap_servers
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
        with broken_off(self._servers), committed_consumer(self._servers) as consumer:
            for number in partitions(consumer, topic, self._timeout):
                place = _Position(topic, number)
                low, high = consumer.get_watermark_offsets(place, timeout=self._timeout)
                if low == high:
                    continue
                for message in read(consumer, topic, number, start=low, timeout=self._timeout):
                    found = keys.prediction_id(message.key())
                    if found is not None:
                        highest = found if highest is None else max(highest, found)
        return highest

    def _last_offsets(self, topic: str) -> dict[TopicPartition, int]:
        with broken_off(self._servers), committed_consumer(self._servers) as consumer:
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
        with broken_off(self._servers):
            admin = self._admin()
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

    def _limit(self, topic: str) -> int | None:
        with broken_off(self._servers):
            asked = ConfigResource(ResourceType.TOPIC, topic)
            admin = self._admin()  # its answers do not outlive it
            answers = admin.describe_configs([asked], request_timeout=self._timeout)
            try:
                found = answers[asked].result(timeout=self._timeout)
            except KafkaException as error:
                if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    return None
                raise
            return int(found[_LIMIT].value)

    def _set_limit(self, topic: str, most: int) -> None:
        with broken_off(self._servers):
            wanted = ConfigEntry(_LIMIT, str(most), incremental_operation=AlterConfigOpType.SET)
            changed = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[wanted])
            admin = self._admin()
            answers = admin.incremental_alter_configs([changed], request_timeout=self._timeout)
            answers[changed].result(timeout=self._timeout)

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self._servers}, logger=SILENT)


@contextmanager
def broken_off(servers: str) -> Iterator[None]:
    """Translate the client's errors when the broker is away."""
    try:
        yield
    except (KafkaException, TimeoutError) as error:
        code = f" ({error.args[0].name()})" if isinstance(error, KafkaException) else ""
        raise BrokerUnavailable(
            f"Kafka does not answer at {servers}{code}: is the broker up, and "
            "STROKE_KAFKA_BOOTSTRAP_SERVERS right?"
        ) from error


@contextmanager
def committed_consumer(servers: str) -> Iterator[Consumer]:
    """Yield a consumer that reads committed records only, and commits nothing itself."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": f"stroke-{uuid.uuid4()}",  # needed, but never joined
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        },
        logger=SILENT,
    )
    try:
        yield consumer
    finally:
        consumer.close()


def partitions(consumer: Consumer, topic: str, timeout: float) -> list[int]:
    """Return the numbers of a topic's partitions; none where the topic does not exist."""
    described = consumer.list_topics(topic, timeout=timeout).topics[topic]
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
    consumer.assign([_Position(topic, number, start)])
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        message: Any = consumer.poll(_POLL_SECONDS)
        if message is None:
            continue
        error = message.error()
        if error is None:
            yield message
            deadline = time.monotonic() + timeout
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 -- its public name
            return
        elif not error.retriable():
            raise KafkaException(error)
    raise TimeoutError(f"no records from {topic} within {timeout:.0f} s")


def offset_of(message: Message) -> int:
    """Return where a record that was read is. One that is to be sent is nowhere: ``TypeError``."""
    offset = message.offset()
    if offset is None:
        raise TypeError("a record without an offset")
    return offset
