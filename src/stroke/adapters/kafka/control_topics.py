"""The topics in which the lake's sink records its files; they keep everything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, Message
from confluent_kafka import TopicPartition as _Position
from confluent_kafka.admin import AdminClient

from stroke.adapters.kafka.clients import admin_client, broken_off, committed_consumer
from stroke.adapters.kafka.log_files import end_new_files, new_file, remove_before
from stroke.adapters.kafka.topics import partitions, read
from stroke.application.erasure.ports import ErasablePlace, Trace
from stroke.application.pipeline.broker import Broker
from stroke.application.pipeline.waiting import until
from stroke.domain.errors import ReplicaBehind

# How the sink's coordinator calls its consumer group: after the connector's, and so.
_COORDINATOR: Final = "-coord"

Reader = Callable[[bytes, frozenset[int]], frozenset[int]]
"""Returns of which of some predictions a record may hold values."""


class ControlTopicPlace(ErasablePlace):
    """The topics of ``broker`` whose names begin with ``prefix``.

    Kafka removes no single record, but all before one: here all that the sink has committed to the
    table, up to where its coordinator goes on after a restart. So nothing of the sink is lost.
    ``reader`` returns what reads records. An erasure waits up to ``wait`` seconds until the sink
    has begun a new file of the topic and committed: then the broker removes the old ones within
    minutes. Calls raise ``BrokerUnavailable`` when the broker does not answer for ``timeout``
    seconds, and what ``reader`` raises.
    """

    name = "control topics"

    def __init__(
        self,
        broker: Broker,
        prefix: str,
        *,
        reader: Callable[[], Reader],
        wait: float,
        timeout: float = 10.0,
    ) -> None:
        self._broker = broker
        self._prefix = prefix
        self._reader = reader
        self._wait = wait
        self._timeout = timeout

    async def erase(self, ids: Collection[int]) -> int:
        return await asyncio.to_thread(self._erase, frozenset(ids)) if ids else 0

    async def find(self, ids: Collection[int]) -> list[Trace]:
        return await asyncio.to_thread(self._find, frozenset(ids)) if ids else []

    def _find(self, ids: frozenset[int]) -> list[Trace]:
        with broken_off(self._broker):
            about = self._reader()
            return sorted(
                Trace(each, f"{topic}, partition {message.partition()}, offset {message.offset()}")
                for topic in self._topics()
                for message in self._records(topic)
                for each in about(_content(message), ids)
            )

    def _erase(self, ids: frozenset[int]) -> int:
        with broken_off(self._broker):
            about = self._reader()
            return sum(self._erase_in(topic, ids, about) for topic in self._topics())

    def _erase_in(self, topic: str, ids: frozenset[int], about: Reader) -> int:
        def holding() -> int:
            return sum(1 for each in self._records(topic) if about(_content(each), ids))

        admin = admin_client(self._broker)
        end_new_files(admin, topic, self._timeout)
        before = holding()
        if not before:
            return 0
        with new_file(admin, topic, self._timeout):
            committed = self._after_a_commit(admin, topic)
        remove_before(admin, topic, committed, self._timeout)
        if left := holding():
            raise ReplicaBehind(
                f"{topic} has {left:,} records that the lake's sink has not committed: run the "
                "same command again once it has (`stroke connectors status`). Delete the topic if "
                "no sink uses it any more"
            )
        return before

    def _after_a_commit(self, admin: AdminClient, topic: str) -> dict[int, int]:
        """Return below which offset of each partition all is committed, once that has moved on."""
        ends = self._ends(topic)
        committed: dict[int, int] = {}

        async def has_moved() -> bool:
            nonlocal committed
            committed = self._committed(admin, topic)
            return bool(committed) and all(
                committed[each] > ends.get(each, 0) for each in committed
            )

        # Erasing runs in a thread of its own: the client of Kafka blocks.
        asyncio.run(until(has_moved, within=self._wait, clock=time.monotonic, sleep=asyncio.sleep))
        return committed

    def _committed(self, admin: AdminClient, topic: str) -> dict[int, int]:
        """Return from where on the sinks' coordinators read each partition: the lowest offset."""
        listed = admin.list_consumer_groups(request_timeout=self._timeout)
        lowest: dict[int, int] = {}
        for group in listed.result(timeout=self._timeout).valid:
            if not group.group_id.endswith(_COORDINATOR):
                continue
            asked = ConsumerGroupTopicPartitions(group.group_id)
            answers = admin.list_consumer_group_offsets([asked], request_timeout=self._timeout)
            found = answers[group.group_id].result(timeout=self._timeout)
            for place in found.topic_partitions:
                if place.topic == topic and place.offset >= 0:
                    known = lowest.get(place.partition, place.offset)
                    lowest[place.partition] = min(known, place.offset)
        return lowest

    def _ends(self, topic: str) -> Mapping[int, int]:
        with committed_consumer(self._broker) as consumer:
            return {
                number: consumer.get_watermark_offsets(
                    _Position(topic, number), timeout=self._timeout
                )[1]
                for number in partitions(consumer, topic, self._timeout)
            }

    def _topics(self) -> list[str]:
        with committed_consumer(self._broker) as consumer:
            names = consumer.list_topics(timeout=self._timeout).topics
        return sorted(name for name in names if name.startswith(self._prefix))

    def _records(self, topic: str) -> Iterator[Message]:
        with committed_consumer(self._broker) as consumer:
            for number in partitions(consumer, topic, self._timeout):
                yield from read(consumer, topic, number, start=0, timeout=self._timeout)


def _content(message: Message) -> bytes:
    value = message.value()
    return value.encode() if isinstance(value, str) else value or b""
