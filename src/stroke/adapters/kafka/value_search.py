"""Searches all records of all topics for values."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from confluent_kafka import Consumer, Message, TopicPartition

from stroke.adapters.kafka.clients import admin_client, broken_off, committed_consumer
from stroke.adapters.kafka.dead_letters import headers_of
from stroke.adapters.kafka.registry import SchemaRegistry
from stroke.adapters.kafka.settings_of import kept_for, topic_settings
from stroke.adapters.kafka.topics import partitions, read_all, time_of
from stroke.adapters.kafka.wire_format import AvroReader, Undecodable, unframed
from stroke.application.erasure.ports import ValueSearch, ValueTrace
from stroke.application.erasure.values import FoundValues, SoughtValues
from stroke.application.pipeline.broker import Broker

_OWN: Final = "__"  # how the broker's own topics begin: offsets and transactions


class TopicValueSearch(ValueSearch):
    """Every topic of ``broker`` but the broker's own: changes, dead letters, the sinks' topics.

    Texts are found in the bytes of keys, values and headers; numbers where the registry at
    ``registry_url`` says how to read a record. Calls raise ``BrokerUnavailable`` when either
    does not answer for ``timeout`` seconds.
    """

    name = "topics"

    def __init__(self, broker: Broker, registry_url: str, *, timeout: float = 10.0) -> None:
        self._broker = broker
        self._timeout = timeout
        self._avro = AvroReader(SchemaRegistry(registry_url, timeout=timeout).schema)

    async def find_values(self, sought: SoughtValues) -> list[ValueTrace]:
        return await asyncio.to_thread(self._find, sought)

    def _find(self, sought: SoughtValues) -> list[ValueTrace]:
        found = FoundValues()
        with broken_off(self._broker), committed_consumer(self._broker) as consumer:
            admin = admin_client(self._broker)
            topics = admin.list_topics(timeout=self._timeout).topics
            for topic in sorted(name for name in topics if not name.startswith(_OWN)):
                settings: Mapping[str, str] | None = None
                for message in self._records(consumer, topic):
                    if not (numbers := self._in(message, sought)):
                        continue
                    settings = settings or topic_settings(admin, topic, self._timeout)
                    place = f"partition {message.partition()}, offset {message.offset()}"
                    found.add(numbers, f"{topic}, {place}", _until(message, settings))
        return found.listed()

    def _records(self, consumer: Consumer, topic: str) -> Iterator[Message]:
        numbers = partitions(consumer, topic, self._timeout)  # none: it was removed meanwhile
        starts = [TopicPartition(topic, number, 0) for number in numbers]
        yield from read_all(consumer, starts, timeout=self._timeout)

    def _in(self, message: Message, sought: SoughtValues) -> set[int]:
        parts: list[object] = [message.key(), message.value(), headers_of(message)]
        if sought.numbers:
            for part in parts[:2]:
                if (framed := unframed(part)) is not None:
                    try:
                        parts.append(self._avro.read(*framed))
                    except (LookupError, Undecodable):
                        continue  # its bytes are searched all the same
        return sought.in_values(parts)


def _until(message: Message, settings: Mapping[str, str] | None) -> datetime | None:
    """Return when a topic of these settings has forgotten a record; None where nothing says so."""
    if settings is None or (keep := kept_for(settings)) is None:
        return None
    return time_of(message) + keep
