"""``changes`` as Arrow batches: what sources give, and an engine in this process takes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import pyarrow as pa

from stroke.application.analyses.queries import Analysis
from stroke.application.analyses.service import Reached
from stroke.application.analyses.views import CHANGES

_OF_SQL: Final = {"BIGINT": pa.int64(), "DOUBLE": pa.float64(), "VARCHAR": pa.string()}


def changes_schema(*, with_name: bool = False) -> pa.Schema:
    """Return the schema of a batch of ``changes``."""
    columns = {**CHANGES, **({"name": "VARCHAR"} if with_name else {})}
    return pa.schema([(name, _OF_SQL[kind]) for name, kind in columns.items()])


@dataclass(slots=True)
class Counts:
    """What was found beside events."""

    events: int = 0
    tombstones: int = 0
    strange_records: int = 0  # no change of a row
    strange_values: int = 0  # not what their column holds: they count as NULL

    def add(self, other: Counts) -> None:
        self.events += other.events
        self.tombstones += other.tombstones
        self.strange_records += other.strange_records
        self.strange_values += other.strange_values


@dataclass(frozen=True, slots=True)
class Input:
    """What a source gives: batches of the columns of ``CHANGES``, and where they come from.

    ``point`` says as JSON what was read, so that a run can be told from another. ``total`` is how
    many events there are, if that is known.
    """

    batches: Iterator[pa.RecordBatch]
    point: Mapping[str, Any]
    total: int | None = None
    has_events: bool = True


class Envelopes(Protocol):
    """Makes batches of Debezium's envelopes of one schema, and counts what is no event."""

    counts: Counts

    @abstractmethod
    def batch(self, records: Sequence[Any], offsets: Sequence[int] | None = None) -> pa.RecordBatch:
        """Return the events among ``records``, in Kafka's order if their ``offsets`` are given."""


class ChangeSource(Protocol):
    """Where change events, or the rows themselves, come from."""

    @abstractmethod
    def read(self, *, with_name: bool) -> Input:
        """Begin to read. Raises ``ReplicaUnavailable``, ``StoreUnavailable`` or ``InvalidData``."""


class BatchEngine(Protocol):
    """Makes the views of ``change_views`` of batches, and queries them."""

    @abstractmethod
    def load(self, batches: Iterator[pa.RecordBatch], *, with_name: bool) -> int:
        """Take all batches in; return how many predictions there are."""

    @abstractmethod
    def query(self, analysis: Analysis) -> pa.Table:
        """Return an analysis's rows in its order."""

    @abstractmethod
    def reached(self) -> Sequence[Reached]:
        """Return how far each partition has been read, over all runs."""
