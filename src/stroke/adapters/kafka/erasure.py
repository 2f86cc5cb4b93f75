"""What Kafka keeps of predictions: events, until they expire, and dead letters, until erased."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from confluent_kafka import Message
from confluent_kafka import TopicPartition as _Position

from stroke.adapters.kafka.avro_keys import AvroKeys
from stroke.adapters.kafka.clients import admin_client, broken_off, committed_consumer
from stroke.adapters.kafka.dead_letters import (
    MARK,
    PARTITION,
    SETTLED,
    KafkaDeadLetterQueue,
    headers_of,
    is_mark,
    settling,
)
from stroke.adapters.kafka.log_files import end_new_files, new_file, remove_before
from stroke.adapters.kafka.registry import SchemaRegistry
from stroke.adapters.kafka.settings_of import kept_for, topic_settings
from stroke.adapters.kafka.topics import offset_of, partitions, read, time_of
from stroke.adapters.kafka.wire_format import AvroReader, Undecodable, unframed
from stroke.application.erasure.ports import ErasablePlace, SearchedPlace, Trace
from stroke.application.pipeline.broker import Broker


class ChangeTopicPlace(SearchedPlace):
    """The events in ``topic`` of ``broker``, each until it expires.

    The registry at ``registry_url`` says how to read keys and values. Calls raise
    ``BrokerUnavailable`` when either does not answer for ``timeout`` seconds.
    """

    name = "topic"

    def __init__(
        self, broker: Broker, registry_url: str, topic: str, *, timeout: float = 10.0
    ) -> None:
        self._broker = broker
        self._topic = topic
        self._timeout = timeout
        self._ids = _Ids(registry_url, timeout)

    async def find(self, ids: Collection[int]) -> list[Trace]:
        return await asyncio.to_thread(self._find, frozenset(ids))

    def _find(self, ids: frozenset[int]) -> list[Trace]:
        found: list[Trace] = []
        with broken_off(self._broker):
            admin = admin_client(self._broker)
            settings = topic_settings(admin, self._topic, self._timeout)
            if settings is None or not ids:
                return []
            keep = kept_for(settings)
            with committed_consumer(self._broker) as consumer:
                for number in partitions(consumer, self._topic, self._timeout):
                    for message in read(
                        consumer, self._topic, number, start=0, timeout=self._timeout
                    ):
                        if message.value() is None:
                            continue  # a tombstone says the id and nothing else
                        until = None if keep is None else time_of(message) + keep
                        where = f"{self._topic}, partition {number}, offset {offset_of(message)}"
                        found += [
                            Trace(each, where, until) for each in ids & self._ids.in_(message)
                        ]
        return sorted(found, key=lambda trace: (trace.prediction_id, trace.where))


class DeadLetterPlace(ErasablePlace):
    """The dead-letter ``topics`` of ``broker``.

    Kafka removes no single record, but all before one. So the letters of others are written anew
    first, as they were, and settled again where they were settled; then all before is removed.
    When the call returns, nobody can read what was removed. The broker removes the file that had it
    within minutes: its next check of the log (``log.retention.check.interval.ms``), and
    ``file.delete.delay.ms``.

    A letter is known by its key, or else by its value. One of which neither can be read is
    nobody's; `stroke pipeline dlq list` shows it. The registry at ``registry_url`` says how to
    read them. Calls raise ``BrokerUnavailable`` when either does not answer for ``timeout``
    seconds.
    """

    name = "dead letters"

    def __init__(
        self,
        broker: Broker,
        registry_url: str,
        topics: Sequence[str],
        *,
        queue: KafkaDeadLetterQueue,
        timeout: float = 10.0,
    ) -> None:
        self._broker = broker
        self._topics = tuple(topics)
        self._queue = queue
        self._timeout = timeout
        self._ids = _Ids(registry_url, timeout)

    async def erase(self, ids: Collection[int]) -> int:
        wanted = frozenset(ids)
        removed = 0
        for topic in self._topics if wanted else ():
            removed += await asyncio.to_thread(self._erase, topic, wanted)
        return removed

    async def find(self, ids: Collection[int]) -> list[Trace]:
        return await asyncio.to_thread(self._find, frozenset(ids))

    def _find(self, ids: frozenset[int]) -> list[Trace]:
        if not ids:
            return []
        with broken_off(self._broker):
            return sorted(
                Trace(each, f"{topic}, letter {offset_of(message)}")
                for topic in self._topics
                for message in self._all(topic)
                for each in ids & self._ids.in_(message)
            )

    def _erase(self, topic: str, ids: frozenset[int]) -> int:
        with broken_off(self._broker):
            admin = admin_client(self._broker)
            end_new_files(admin, topic, self._timeout)
            if not any(ids & self._ids.in_(message) for message in self._all(topic)):
                return 0
            # From now on each letter that Connect writes is in a file of its own.
            with new_file(admin, topic, self._timeout):
                end = self._end(topic)
                letters = [each for each in self._all(topic) if offset_of(each) < end]
                stays = [
                    each for each in letters if not ids & self._ids.in_(each) and not is_mark(each)
                ]
                # An erasure that was killed may have written some anew already.
                anew = {_print_of(each): each for each in stays}
                notes = {note.key() for note in self._all(topic + SETTLED)}
                settled = {
                    _print_of(each) for each in stays if settling(offset_of(each))[0] in notes
                }
                copies = [(m.key(), m.value(), headers_of(m)) for m in anew.values()]
                places = self._queue.produce(topic, copies or [(None, None, MARK)])
            again = [
                settling(place)
                for print_of_it, place in zip(anew, places, strict=False)
                if print_of_it in settled
            ]
            if again:
                self._queue.produce(topic + SETTLED, again)
            remove_before(admin, topic, {PARTITION: end}, self._timeout)
        return sum(1 for each in letters if ids & self._ids.in_(each))

    def _end(self, topic: str) -> int:
        with committed_consumer(self._broker) as consumer:
            place = _Position(topic, PARTITION)
            _, end = consumer.get_watermark_offsets(place, timeout=self._timeout)
            return int(end)

    def _all(self, topic: str) -> list[Message]:
        with committed_consumer(self._broker) as consumer:
            return [
                message
                for number in partitions(consumer, topic, self._timeout)
                for message in read(consumer, topic, number, start=0, timeout=self._timeout)
            ]


class _Ids:
    """Says whose a record is, by its key or by the rows in its value."""

    def __init__(self, registry_url: str, timeout: float) -> None:
        self._keys = AvroKeys(registry_url, timeout=timeout)
        self._avro = AvroReader(SchemaRegistry(registry_url, timeout=timeout).schema)

    def in_(self, message: Message) -> frozenset[int]:
        """Return the ids of the predictions that a record is about."""
        number = self._keys.prediction_id(message.key())
        if number is not None:
            return frozenset({number})
        value: Any = message.value()
        if (framed := unframed(value)) is None:
            return frozenset()
        try:
            event = self._avro.read(*framed)
        except (LookupError, Undecodable):
            return frozenset()
        rows = [event.get("before"), event.get("after")] if isinstance(event, Mapping) else []
        ids = [row.get("id") for row in rows if isinstance(row, Mapping)]
        return frozenset(each for each in ids if type(each) is int)


def _print_of(message: Message) -> bytes:
    """Return a digest of all that a record holds."""
    parts = (message.key(), message.value(), headers_of(message))
    return hashlib.sha256(repr(parts).encode()).digest()
