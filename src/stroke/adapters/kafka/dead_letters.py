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
from dataclasses import replace
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
        self, source: TopicPartition, offset: int, *, topic: str, connector: str, reason: str
    ) -> DeadLetter:
        await self._topics.ensure_topic(topic, _KEPT)
        return await asyncio.to_thread(
            self._park, source, offset, topic=topic, connector=connector, reason=reason
        )

    async def settle(self, topic: str, letters: Sequence[DeadLetter]) -> None:
        if letters:
            await self._topics.ensure_topic(topic + _SETTLED, _FOR_EVER)
            keys = [str(letter.letter).encode() for letter in letters]
            await asyncio.to_thread(self._produce, topic + _SETTLED, [(key, b"1") for key in keys])

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

    def _park(
        self, source: TopicPartition, offset: int, *, topic: str, connector: str, reason: str
    ) -> DeadLetter:
        with broken_off(self._servers):
            message = self._record(source, offset)
            told = {
                "topic": source.topic,
                "partition": str(source.partition),
                "offset": str(offset),
                "connector.name": connector,
                "stage": "TASK_PUT",
                "exception.class.name": reason,
            }
            headers = _headers(message)
            headers += [(_HEADER + name, value.encode()) for name, value in told.items()]
            (place,) = self._produce(topic, [(message.key(), message.value())], headers)
        return DeadLetter(
            letter=place,
            connector=connector,
            topic=source.topic,
            partition=source.partition,
            offset=offset,
            stage=told["stage"],
            reason=reason,
            prediction_id=self._prediction_id(message.key()),
            settled=False,
        )

    def _record(self, source: TopicPartition, offset: int) -> Message:
        with committed_consumer(self._servers) as consumer:
            records = read(
                consumer, source.topic, source.partition, start=offset, timeout=self._timeout
            )
            message = next(records, None)
        if message is None or message.offset() != offset:
            raise InvalidData(f"{source.topic}-{source.partition} has no record at offset {offset}")
        return message

    def _produce(
        self,
        topic: str,
        records: Sequence[tuple[Any, Any]],
        headers: Sequence[tuple[str, Any]] = (),
    ) -> list[int]:
        """Write records; return their offsets once every replica has them."""
        producer = Producer({"bootstrap.servers": self._servers, "acks": "all"})
        places: list[int] = []
        refusals: list[object] = []

        def written(error: object, message: Message) -> None:
            if error is not None:
                refusals.append(error)
            else:
                places.append(message.offset() or 0)

        for key, value in records:
            producer.produce(
                topic, key=key, value=value, headers=list(headers), on_delivery=written
            )
        if producer.flush(self._timeout) or refusals:
            raise BrokerUnavailable(f"records could not be written to {topic}: is the broker up?")
        return places


def _headers(message: Message) -> list[tuple[str, Any]]:
    # Typed as loosely as it is documented: a list of name and bytes.
    found: Any = message.headers()
    return list(found or [])
