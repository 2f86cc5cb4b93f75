"""When a copy equals its source, and what becomes of records that cannot be copied."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from stroke.domain.connectors import TopicPartition

RowValue = str | int | float | bool | None
"""A column's value in canonical form: see ``row_digest``."""


def row_digest(row: Mapping[str, RowValue]) -> bytes:
    """Return 16 bytes that are equal for equal rows, whichever engine stored them.

    Canonical values: whole numbers (flags too) as int, DOUBLE as float, text as str, moments as
    int microseconds since 1970 UTC, JSON documents as ``canonical_json``, NULL as None. Columns
    count by name, whatever their order.
    """
    text = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # surrogatepass: two rows with the same broken text are equal, too
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def canonical_json(text: str | None) -> str | None:
    """Return a JSON document with sorted keys and no blanks; MySQL reorders and spaces them."""
    if text is None:
        return None
    return json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


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
    """How a copy can be wrong about an id."""

    MISSING = "missing"
    EXTRA = "extra"
    DIFFERENT = "different"


@dataclass(slots=True)
class Comparison:
    """The result for one replica. Ids are ascending; ``rows`` counts those of the source."""

    replica: str
    rows: int = 0
    missing: list[int] = field(default_factory=list)
    extra: list[int] = field(default_factory=list)
    different: list[int] = field(default_factory=list)
    duplicates: int = 0

    @property
    def is_equal(self) -> bool:
        """Whether the copy holds exactly the source's rows, each event once."""
        return not (self.missing or self.extra or self.different or self.duplicates)


@dataclass(frozen=True, slots=True)
class Lineage:
    """Which Kafka cluster an Iceberg table was last written from, and up to where (inclusive)."""

    cluster_id: str | None
    offsets: Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record that a sink could not take; without its value, which may hold a patient.

    ``prediction_id`` is None where the key cannot be read. ``reason`` is an exception's class.
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
