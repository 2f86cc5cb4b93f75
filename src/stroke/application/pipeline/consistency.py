"""Comparing a copy with its source, row by row, and the records that could not be copied."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from stroke.application.pipeline.column_values import RowValue, column_value, exact_value
from stroke.application.pipeline.kafka_connect_model import TopicPartition

Row = Mapping[str, RowValue]
"""A row's columns in the form in which they are compared, without those that are NULL."""

LISTED: Final = 100_000
"""How many ids of a kind a ``Comparison`` lists."""


def row_digest(row: Mapping[str, RowValue]) -> bytes:
    """Return 16 bytes that are equal for equal rows, whichever engine stored them.

    Canonical values are those of ``column_value``, and ``canonical_json`` for JSON documents.
    Columns count by name, whatever their order. A column that is NULL is one that is not there:
    a copy gets a new column with the first row that fills it. A number is its value: flags and
    whole numbers come as booleans, integers or floats, depending on who stored them.
    """
    present = {name: _plain(value) for name, value in row.items() if value is not None}
    text = _ENCODER.encode(present)
    # surrogatepass: two rows with the same broken text are equal, too
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def canonical_json(text: str | None) -> str | None:
    """Return a JSON document with sorted keys and no blanks; MySQL reorders and spaces them.

    Numbers are written by their value: the double 1e20 is 1e20 in MySQL's text, and twenty-one
    digits in Debezium's and PostgreSQL's.
    """
    if text is None:
        return None
    return _ENCODER.encode(_DECODER.decode(text))


def table_row_digest(values: Iterable[tuple[str, object]], kinds: Mapping[str, str]) -> bytes:
    """Return the ``row_digest`` of a row as a driver gave it: names of columns, with values.

    ``kinds`` holds MySQL's types in lower case, as ``datetime(3)``, by the names that the source's
    table has now. Other columns do not count. ``column_value`` says how values of a type compare.
    A text in a "json" column is read as a document, unless it is none: then it differs from every
    document.
    """
    return row_digest(
        {name: _canonical(value, kinds[name]) for name, value in values if name in kinds}
    )


def table_row(values: Iterable[tuple[str, object]], kinds: Mapping[str, str]) -> Row:
    """Return a row's columns by ``exact_value``, without those that are NULL.

    What only a comparison may leave out (``table_row_digest``) is in it.
    """
    row = {
        name: _document(exact_value(value, kinds[name]), kinds[name])
        for name, value in values
        if name in kinds
    }
    return {name: value for name, value in row.items() if value is not None}


def _canonical(value: object, kind: str) -> RowValue:
    return _document(column_value(value, kind), kind)


def _document(plain: RowValue, kind: str) -> RowValue:
    if kind != "json" or not isinstance(plain, str):
        return plain
    try:
        return canonical_json(plain)
    except ValueError:
        return plain


def runs(ids: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Return ascending ids as ranges without gaps, ends included."""
    start = 0
    for index in range(1, len(ids) + 1):
        if index == len(ids) or ids[index] != ids[index - 1] + 1:
            yield ids[start], ids[index - 1]
            start = index


def _number(text: str) -> RowValue:
    return _plain(float(text))


def _plain(value: RowValue) -> RowValue:
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return value


# Made once: they serve several documents of every row.
_DECODER: Final = json.JSONDecoder(parse_float=_number)
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class SourceChunk:
    """Digests by id of a range of the source."""

    digests: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class ReplicaChunk:
    """Digests by id of a range of a copy; ``duplicates`` counts events stored more than once."""

    digests: Mapping[int, bytes]
    duplicates: int = 0


class Discrepancy(StrEnum):
    """The ways in which a copy can be wrong about an id."""

    MISSING = "missing"
    EXTRA = "extra"
    DIFFERENT = "different"


@dataclass(slots=True)
class Comparison:
    """The result for one replica. Ids are ascending; ``rows`` counts those of the source.

    At most ``LISTED`` ids of a kind are listed; ``unlisted`` counts the rest of them.
    """

    replica: str
    rows: int = 0
    missing: list[int] = field(default_factory=list)
    extra: list[int] = field(default_factory=list)
    different: list[int] = field(default_factory=list)
    duplicates: int = 0
    unlisted: Counter[Discrepancy] = field(default_factory=Counter)

    def add(self, kind: Discrepancy, prediction_id: int) -> None:
        """Count one id, and list it unless ``LISTED`` are listed."""
        listed = self.ids(kind)
        if len(listed) < LISTED:
            listed.append(prediction_id)
        else:
            self.unlisted[kind] += 1

    def ids(self, kind: Discrepancy) -> list[int]:
        """Return the listed ids of one kind."""
        found: list[int] = getattr(self, kind.value)
        return found

    def count(self, kind: Discrepancy) -> int:
        """Return how many ids of one kind there are, listed or not."""
        return len(self.ids(kind)) + self.unlisted[kind]

    @property
    def is_equal(self) -> bool:
        """Whether the copy holds exactly the source's rows, each event once."""
        return not (self.duplicates or any(self.count(kind) for kind in Discrepancy))


@dataclass(frozen=True, slots=True)
class Lineage:
    """The Kafka cluster that last wrote an Iceberg table, and its last offsets (inclusive)."""

    cluster_id: str | None
    offsets: Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class NextRecord:
    """Where a record is and which prediction it is about; None where its key cannot be read."""

    at: TopicPartition
    offset: int
    prediction_id: int | None

    def __str__(self) -> str:
        """``TOPIC-0@5120 (prediction 77)``."""
        about = (
            "unreadable key" if self.prediction_id is None else f"prediction {self.prediction_id}"
        )
        return f"{self.at.topic}-{self.at.partition}@{self.offset} ({about})"


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """A record of a topic with key and value as they can be shown: it may hold a patient.

    Avro is decoded, other bytes are text where they are UTF-8, and hexadecimal text otherwise.
    ``timestamp`` is milliseconds since 1970 (UTC), ``bytes`` the size of the value on Kafka.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: object
    value: object
    bytes: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record that a sink could not take; without its value, which may hold a patient.

    ``prediction_id`` is None where the key cannot be read. ``reason`` is an exception's class;
    ``cause`` is the same in words, where they are known.
    """

    letter: int
    """Its own offset in the dead-letter topic."""
    connector: str
    topic: str
    partition: int
    offset: int
    stage: str
    reason: str
    prediction_id: int | None
    settled: bool
    cause: str = ""

    @property
    def record(self) -> NextRecord:
        """Which record it is about."""
        return NextRecord(
            TopicPartition(self.topic, self.partition), self.offset, self.prediction_id
        )
