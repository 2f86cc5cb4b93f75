"""Records that a sink could not take, in topics of their own.

Connect writes them, bytes as they were, with headers that say where from and why. What was dealt
with is noted in a second topic, ``NAME.settled``: one small record per letter, the letter's offset
as its key, so that letters can be settled in any order.
"""

from __future__ import annotations

import asyncio
import io
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import fastavro
import httpx
from confluent_kafka import Message, Producer

from stroke.adapters.kafka.topics import (
    KafkaChangeTopic,
    broken_off,
    committed_consumer,
    partitions,
    read,
)
from stroke.application.ports import DeadLetterQueue
from stroke.domain.connectors import TopicPartition
from stroke.domain.consistency import DeadLetter
from stroke.domain.errors import BrokerUnavailable, InvalidData

_HEADER: Final = "__connect.errors."
_SETTLED: Final = ".settled"
_STAGE: Final = "TASK_PUT"
_FOR_EVER: Final = {"cleanup.policy": "compact"}
_KEPT: Final = {"retention.ms": "-1"}
_FRAME: Final = struct.Struct(">bI")  # the Confluent wire format: 0, the schema's id, Avro
_FRAME_MARK: Final = 0


class KafkaDeadLetterQueue(DeadLetterQueue):
    """Reads and writes dead-letter topics of the cluster at ``bootstrap_servers``.

    ``registry_url`` is the schema registry, which tells how to read a letter's key.
    """

    def __init__(self, bootstrap_servers: str, registry_url: str, *, timeout: float = 10.0) -> None:
        self._servers = bootstrap_servers
        self._registry_url = registry_url
        self._timeout = timeout
        self._topics = KafkaChangeTopic(bootstrap_servers, timeout=timeout)
        self._schemas: dict[int, Any] = {}

    async def letters(self, topic: str) -> list[DeadLetter]:
        return await asyncio.to_thread(self._letters, topic)

    async def park(
        self, source: TopicPartition, offsets: range, *, topic: str, connector: str, reason: str
    ) -> list[DeadLetter]:
        await self._topics.ensure_topic(topic, _KEPT)
        about = _About(source, connector, reason)
        return await asyncio.to_thread(self._park, about, offsets, topic)

    async def settle(self, topic: str, letters: Sequence[DeadLetter]) -> None:
        if letters:
            await self._topics.ensure_topic(topic + _SETTLED, _FOR_EVER)
            notes: list[tuple[Any, Any, list[tuple[str, Any]]]] = [
                (str(letter.letter).encode(), b"1", []) for letter in letters
            ]
            await asyncio.to_thread(self._produce, topic + _SETTLED, notes)

    def _letters(self, topic: str) -> list[DeadLetter]:
        with broken_off(self._servers):
            settled = {int(message.key() or b"-1") for message in self._all(topic + _SETTLED)}
            letters = [self._letter(message) for message in self._all(topic)]
        return [replace(letter, settled=letter.letter in settled) for letter in letters]

    def _all(self, topic: str) -> list[Message]:
        with committed_consumer(self._servers) as consumer:
            return [
                message
                for number in partitions(consumer, topic, self._timeout)
                for message in read(consumer, topic, number, start=0, timeout=self._timeout)
            ]

    def _letter(self, message: Message) -> DeadLetter:
        told = {
            key.removeprefix(_HEADER): value.decode(errors="replace")
            for key, value in _headers(message)
            if key.startswith(_HEADER) and isinstance(value, bytes)
        }
        return DeadLetter(
            letter=message.offset() or 0,
            connector=told.get("connector.name", ""),
            topic=told.get("topic", ""),
            partition=int(told.get("partition", -1)),
            offset=int(told.get("offset", -1)),
            stage=told.get("stage", ""),
            reason=told.get("exception.class.name", ""),
            prediction_id=self._prediction_id(message.key()),
            settled=False,
        )

    def _prediction_id(self, key: object) -> int | None:
        """Return the id in a record's Avro key, or None where it is not one of ours."""
        if not isinstance(key, bytes) or len(key) < _FRAME.size:
            return None
        mark, schema_id = _FRAME.unpack_from(key)
        if mark != _FRAME_MARK:
            return None
        schema = self._schema(schema_id)
        if schema is None:
            return None
        try:
            read_key = fastavro.schemaless_reader(io.BytesIO(key[_FRAME.size :]), schema, None)
        except (ValueError, EOFError, TypeError, IndexError, KeyError):
            return None
        found = read_key.get("id") if isinstance(read_key, dict) else None
        return found if isinstance(found, int) else None

    def _schema(self, schema_id: int) -> Any:
        if schema_id not in self._schemas:
            self._schemas[schema_id] = self._fetch(schema_id)
        return self._schemas[schema_id]

    def _fetch(self, schema_id: int) -> Any:
        url = f"{self._registry_url}/apis/ccompat/v7/schemas/ids/{schema_id}"
        try:
            answer = httpx.get(url, timeout=self._timeout)
        except httpx.TransportError as error:
            raise BrokerUnavailable(
                f"the schema registry does not answer at {self._registry_url}: is it up, and "
                "SCHEMA_REGISTRY_URL right?"
            ) from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.is_error:
            raise BrokerUnavailable(f"the schema registry answers {answer.status_code}")
        return fastavro.parse_schema(json.loads(answer.json()["schema"]))

    def _park(self, about: _About, offsets: range, topic: str) -> list[DeadLetter]:
        with broken_off(self._servers):
            records = self._records(about.source, offsets)
            copies = [
                (record.key(), record.value(), _headers(record) + about.headers(record.offset()))
                for record in records
            ]
            places = self._produce(topic, copies)
        return [
            DeadLetter(
                letter=place,
                connector=about.connector,
                topic=about.source.topic,
                partition=about.source.partition,
                offset=record.offset() or 0,
                stage=_STAGE,
                reason=about.reason,
                prediction_id=self._prediction_id(record.key()),
                settled=False,
            )
            for place, record in zip(places, records, strict=True)
        ]

    def _records(self, source: TopicPartition, offsets: range) -> list[Message]:
        found = []
        with committed_consumer(self._servers) as consumer:
            for message in read(
                consumer,
                source.topic,
                source.partition,
                start=offsets.start,
                timeout=self._timeout,
            ):
                if message.offset() not in offsets:
                    break
                found.append(message)
        if not found:
            raise InvalidData(
                f"{source.topic}-{source.partition} has no record from offset {offsets.start} on"
            )
        return found

    def _produce(
        self, topic: str, records: Sequence[tuple[Any, Any, list[tuple[str, Any]]]]
    ) -> list[int]:
        """Write records; return their offsets, in order, once they are safe."""
        producer = Producer({"bootstrap.servers": self._servers, "acks": "all"})
        places: list[int] = []

        def written(error: object, message: Message) -> None:
            if error is None:
                places.append(message.offset() or 0)

        for key, value, headers in records:
            producer.produce(topic, key=key, value=value, headers=headers, on_delivery=written)
            producer.poll(0)
        producer.flush(self._timeout)
        if len(places) < len(records):
            raise BrokerUnavailable(f"records could not be written to {topic}: is the broker up?")
        return places


@dataclass(frozen=True, slots=True)
class _About:
    """What Connect would say of a record that it parks."""

    source: TopicPartition
    connector: str
    reason: str

    def headers(self, offset: int | None) -> list[tuple[str, Any]]:
        told = {
            "topic": self.source.topic,
            "partition": str(self.source.partition),
            "offset": str(offset),
            "connector.name": self.connector,
            "stage": _STAGE,
            "exception.class.name": self.reason,
        }
        return [(_HEADER + name, value.encode()) for name, value in told.items()]


def _headers(message: Message) -> list[tuple[str, Any]]:
    # Typed as loosely as it is documented: a list of name and bytes.
    found: Any = message.headers()
    return list(found or [])
