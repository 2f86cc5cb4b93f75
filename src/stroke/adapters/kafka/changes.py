"""The topic of change events, as a source of analyses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from itertools import islice
from typing import Any, Final

import pyarrow as pa

from stroke.adapters.kafka.clients import broken_off, committed_consumer
from stroke.adapters.kafka.topics import offset_of, partitions, read
from stroke.adapters.kafka.wire_format import AvroReader, SchemaOf, Undecodable, unframed
from stroke.application.analyses.changes import Counts, changes_schema
from stroke.application.analyses.ports import (
    CannotContinue,
    ChangeSource,
    EnvelopeFormat,
    Envelopes,
    Position,
    SourceRead,
)
from stroke.application.pipeline.broker import Broker
from stroke.domain.errors import InvalidData

_BATCH_RECORDS: Final = 4_000
Record = tuple[int, bytes | None]
"""Its offset, and its value: none for a tombstone."""


class KafkaChanges(ChangeSource[Iterator[pa.RecordBatch]]):
    """What ``topic`` holds now: its committed records, in the order of their offsets.

    What is no event is counted in the position, and ends nothing: tombstones, and records
    that are no change of a row. ``timeout`` (seconds) is how long the broker may say nothing.
    ``with_data`` adds the column ``prediction_data``.
    """

    def __init__(
        self,
        broker: Broker,
        topic: str,
        *,
        schema_of: SchemaOf,
        envelopes: EnvelopeFormat,
        timeout: float,
        with_data: bool = False,
    ) -> None:
        self._with_data = with_data
        self._broker = broker
        self._topic = topic
        self._schema_of = schema_of
        self._format = envelopes
        self._timeout = timeout

    def read(
        self, since: Position | None = None, *, with_name: bool
    ) -> SourceRead[Iterator[pa.RecordBatch]]:
        if since is not None:
            raise CannotContinue("a run on a topic reads what the topic holds")
        counts = Counts()
        return SourceRead(
            self._batches(counts, changes_schema(with_name=with_name, with_data=self._with_data)),
            lambda: {"topic": self._topic, **asdict(counts)},
        )

    def _batches(self, total: Counts, shape: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Give the batches; add to ``total`` what was skipped."""
        with broken_off(self._broker), committed_consumer(self._broker) as consumer:
            numbers = partitions(consumer, self._topic, self._timeout)
            if not numbers:
                raise InvalidData(
                    f"Kafka has no topic {self._topic}: do the connectors run, and is "
                    "STROKE_CDC_SERVER_NAME right?"
                )
            for number in numbers:
                events = PartitionReader(
                    self._schema_of, partial(self._format.envelopes, shape=shape, partition=number)
                )
                messages = read(consumer, self._topic, number, start=0, timeout=self._timeout)
                records = ((offset_of(message), message.value()) for message in messages)
                while some := list(islice(records, _BATCH_RECORDS)):
                    yield from events.batches(some)
                total.add(events.counts())


class PartitionReader:
    """Makes batches of the records of one partition, and counts records that are no events."""

    def __init__(self, schema_of: SchemaOf, reader_of: Callable[[Any], Envelopes]) -> None:
        self._avro = AvroReader(schema_of)
        self._reader_of = reader_of
        self._envelopes: dict[int, Envelopes] = {}
        self._others = Counts()

    def counts(self) -> Counts:
        """Return what was found so far."""
        total = Counts()
        for each in (self._others, *(reader.counts for reader in self._envelopes.values())):
            total.add(each)
        return total

    def batches(self, records: Iterable[Record]) -> Iterator[pa.RecordBatch]:
        """Give the events among ``records``, a batch for each schema.

        Raises ``InvalidData`` for a schema that the registry does not know: its events must not be
        passed over.
        """
        found: dict[int, tuple[list[Any], list[int]]] = {}
        for offset, value in records:
            framed = unframed(value)
            if value is None:
                self._others.tombstones += 1
                continue
            if framed is None:
                self._others.strange_records += 1
                continue
            schema_id, data = framed
            try:
                envelope = self._avro.read(schema_id, data)
            except Undecodable:
                self._others.strange_records += 1
                continue
            except LookupError as error:
                raise InvalidData(
                    f"the registry does not know the schema {schema_id} that records name: is "
                    "SCHEMA_REGISTRY_URL the one that Kafka Connect writes to?"
                ) from error
            envelopes, offsets = found.setdefault(schema_id, ([], []))
            envelopes.append(envelope)
            offsets.append(offset)
        for schema_id, (envelopes, offsets) in found.items():
            yield self._reader(schema_id).batch(envelopes, offsets)

    def _reader(self, schema_id: int) -> Envelopes:
        if schema_id not in self._envelopes:
            self._envelopes[schema_id] = self._reader_of(self._avro.schema(schema_id))
        return self._envelopes[schema_id]
