"""Records that a sink could not take, in topics of their own.

Connect writes them, bytes as they were, with headers that say where from and why. What was dealt
with is noted in a second topic, ``NAME.settled``: one small record per letter, the letter's offset
as its key, so that letters can be settled in any order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Message

from stroke.adapters.kafka.avro_keys import AvroKeys
from stroke.adapters.kafka.clients import broken_off, committed_consumer, producer
from stroke.adapters.kafka.topics import KafkaChangeTopic, offset_of, partitions, read
from stroke.application.pipeline.broker import Broker
from stroke.application.pipeline.consistency import DeadLetter, NextRecord
from stroke.application.pipeline.dead_letters import IN_THE_SINK
from stroke.application.pipeline.failure_causes import Concerns, cause_of
from stroke.application.pipeline.kafka_connect_model import TopicPartition
from stroke.application.pipeline.ports import DeadLetterQueue
from stroke.domain.errors import BrokerUnavailable

# As `stroke connectors apply` makes it, which comes first as a rule.
_KEPT: Final = {"cleanup.policy": "delete", "retention.ms": "-1"}
_COMPACTED: Final = {"cleanup.policy": "compact"}
SETTLED: Final = ".settled"
_HEADER: Final = "__connect.errors."
_CAUSE: Final = "cause"
# A letter is its offset, so a queue has this partition only. Connect makes it so, too.
PARTITION: Final = 0
MARK: Final[list[tuple[str, Any]]] = [("stroke.erasure", b"1")]
"""The headers of a record that is no letter: an erasure wrote it where no letter was left."""
_IN_FLIGHT: Final = 10_000  # records; the client holds ten times as many at most

Record = tuple[Any, Any, list[tuple[str, Any]]]  # key, value, headers: as loose as their types


class KafkaDeadLetterQueue(DeadLetterQueue):
    """Reads and writes dead-letter topics of ``broker``.

    ``registry_url`` is the schema registry, which says how to read a letter's key. Calls raise
    ``BrokerUnavailable`` when either does not answer for ``timeout`` seconds. A letter has up to
    ``max_letter_bytes`` with its headers: more than a record that may be parked.
    """

    def __init__(
        self,
        broker: Broker,
        registry_url: str,
        *,
        timeout: float = 10.0,
        replication_factor: int = 1,
        max_letter_bytes: int = 2_000_000,
    ) -> None:
        self._broker = broker
        self._timeout = timeout
        self._max_letter_bytes = max_letter_bytes
        self._keys = AvroKeys(registry_url, timeout=timeout)
        self._topics = KafkaChangeTopic(
            broker, timeout=timeout, replication_factor=replication_factor
        )

    async def letters(self, topic: str) -> list[DeadLetter]:
        return await asyncio.to_thread(self._letters, topic)

    async def park(
        self,
        source: TopicPartition,
        *,
        first: int,
        last: int | None,
        topic: str,
        connector: str,
        reason: str,
        cause: str = "",
    ) -> list[DeadLetter]:
        records = await asyncio.to_thread(self._records, source, first, last)
        if not records:
            return []
        about = _About(source, connector, reason, cause)
        # Whatever can fail comes before the copies are written.
        await self._ensure(topic)
        ids = await asyncio.to_thread(self._prediction_ids, records)
        copies = [
            (record.key(), record.value(), headers_of(record) + about.headers(offset_of(record)))
            for record in records
        ]
        places = await asyncio.to_thread(self.produce, topic, copies)
        return [
            about.letter(place, offset_of(record), prediction_id)
            for place, record, prediction_id in zip(places, records, ids, strict=True)
        ]

    async def next_record(self, source: TopicPartition, first: int) -> NextRecord | None:
        records = await asyncio.to_thread(self._records, source, first, None)
        if not records:
            return None
        (number,) = await asyncio.to_thread(self._prediction_ids, records)
        return NextRecord(source, offset_of(records[0]), number)

    async def settle(self, topic: str, letters: Sequence[DeadLetter]) -> None:
        if letters:
            await self._topics.ensure_topic(topic + SETTLED, _COMPACTED)
            notes = [settling(letter.letter) for letter in letters]
            await asyncio.to_thread(self.produce, topic + SETTLED, notes)

    async def _ensure(self, topic: str) -> None:
        """Have the topic, which takes letters of the largest size."""
        await self._topics.ensure_topic(topic, _KEPT)
        if (await self._topics.limit(topic) or 0) < self._max_letter_bytes:
            await self._topics.set_limit(topic, self._max_letter_bytes)

    def _letters(self, topic: str) -> list[DeadLetter]:
        with broken_off(self._broker):
            settled = {message.key() for message in self._all(topic + SETTLED)}
            return [
                self._letter(message, settled=str(message.offset()).encode() in settled)
                for message in self._all(topic)
                if not is_mark(message)
            ]

    def _all(self, topic: str) -> Iterator[Message]:
        with committed_consumer(self._broker) as consumer:
            for number in partitions(consumer, topic, self._timeout):
                yield from read(consumer, topic, number, start=0, timeout=self._timeout)

    def _letter(self, message: Message, *, settled: bool) -> DeadLetter:
        headers = {
            key.removeprefix(_HEADER): value.decode(errors="replace")
            for key, value in headers_of(message)
            if key.startswith(_HEADER) and isinstance(value, bytes)
        }
        return DeadLetter(
            letter=offset_of(message),
            connector=headers.get("connector.name", ""),
            topic=headers.get("topic", ""),
            partition=_number(headers.get("partition")),
            offset=_number(headers.get("offset")),
            stage=headers.get("stage", ""),
            reason=headers.get("exception.class.name", ""),
            prediction_id=self._keys.prediction_id(message.key()),
            settled=settled,
            cause=_cause(headers),
        )

    def _records(self, source: TopicPartition, first: int, last: int | None) -> list[Message]:
        found: list[Message] = []
        with broken_off(self._broker), committed_consumer(self._broker) as consumer:
            topic, number = source.topic, source.partition
            for message in read(consumer, topic, number, start=first, timeout=self._timeout):
                if last is not None and offset_of(message) > last:
                    break
                found.append(message)
                if last is None:
                    break
        return found

    def _prediction_ids(self, records: Sequence[Message]) -> list[int | None]:
        return [self._keys.prediction_id(record.key()) for record in records]

    def produce(self, topic: str, records: Sequence[Record]) -> list[int]:
        """Write records; return their offsets, in order, once they are safe."""
        writing = producer(
            self._broker,
            {
                "acks": "all",
                "enable.idempotence": True,  # which keeps their order, too
                "message.timeout.ms": int(self._timeout * 1000),
                "message.max.bytes": self._max_letter_bytes,
            },
        )
        places: list[int] = []

        def written(error: object, message: Message) -> None:
            if error is None:
                places.append(offset_of(message))

        with broken_off(self._broker):
            for key, value, headers in records:
                writing.produce(topic, value, key, PARTITION, headers=headers, on_delivery=written)
                if len(writing) >= _IN_FLIGHT:
                    writing.flush(self._timeout)
            writing.flush(self._timeout)
        if len(places) < len(records):
            raise BrokerUnavailable(
                f"only {len(places)} of {len(records)} records could be written to {topic}: is "
                "the broker up?"
            )
        return places


@dataclass(frozen=True, slots=True)
class _About:
    """What all records parked at once have in common, as headers that Connect would write."""

    source: TopicPartition
    connector: str
    reason: str
    cause: str

    def headers(self, offset: int) -> list[tuple[str, Any]]:
        headers = {
            "topic": self.source.topic,
            "partition": str(self.source.partition),
            "offset": str(offset),
            "connector.name": self.connector,
            "stage": IN_THE_SINK,
            "exception.class.name": self.reason,
            **({_CAUSE: self.cause} if self.cause else {}),
        }
        return [(_HEADER + name, value.encode()) for name, value in headers.items()]

    def letter(self, number: int, offset: int, prediction_id: int | None) -> DeadLetter:
        return DeadLetter(
            letter=number,
            connector=self.connector,
            topic=self.source.topic,
            partition=self.source.partition,
            offset=offset,
            stage=IN_THE_SINK,
            reason=self.reason,
            prediction_id=prediction_id,
            settled=False,
            cause=self.cause,
        )


def _cause(headers: Mapping[str, str]) -> str:
    """Return a letter's cause in words: as it was parked, or what Connect's headers say."""
    if _CAUSE in headers:
        return headers[_CAUSE]
    thrown, message = headers.get("exception.class.name", ""), headers.get("exception.message", "")
    found = cause_of(headers.get("exception.stacktrace") or f"{thrown}: {message}")
    return found.words if found is not None and found.concerns is not Concerns.UNKNOWN else ""


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else -1


def settling(letter: int) -> Record:
    """Return the record that says that a letter, by its offset, is dealt with."""
    return str(letter).encode(), b"1", []


def is_mark(message: Message) -> bool:
    """Return whether a record is no letter, but what an erasure left."""
    return headers_of(message) == MARK


def headers_of(message: Message) -> list[tuple[str, Any]]:
    """Return a record's headers: names, and bytes or None."""
    # Typed as loosely as it is documented: a list of name and bytes.
    found: Any = message.headers()
    return list(found or [])
