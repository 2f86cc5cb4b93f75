"""The ports of the analyses: sources, engines, and the places of results and checkpoints.

``Rows`` is how an engine takes the rows of ``views.CHANGES``, and how its sources give them: an
iterator of Arrow batches for an engine in this process, a DataFrame for Spark.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from stroke.application.analyses.changes import Counts
from stroke.application.analyses.queries import Analysis
from stroke.application.analyses.runs import AnalyticsRun, Reached

if TYPE_CHECKING:
    import pyarrow as pa

Rows_co = TypeVar("Rows_co", covariant=True)
Rows_contra = TypeVar("Rows_contra", contravariant=True)

Position = Mapping[str, Any]
"""Where a source was read to, as JSON takes it. No two runs have the same."""

Progress = Callable[[str, int, int | None], None]
"""Takes what is being done, how much of it is done, and of how much, if that is known."""


class CannotContinue(Exception):
    """The changes since a checkpoint cannot be separated from the others; says why.

    This is no error: the run reads everything instead.
    """


@dataclass(frozen=True, slots=True)
class SourceRead(Generic[Rows_co]):
    """What a source gives: ``rows`` with the columns of ``CHANGES``, and ``name`` if asked for.

    ``position()`` is valid after the rows were read to their end. ``total`` is the number of rows,
    if it is known. A source without events (``has_events``) gives the predictions themselves.
    """

    rows: Rows_co
    position: Callable[[], Position]
    total: int | None = None
    has_events: bool = True


class ChangeSource(Protocol[Rows_co]):
    """Gives change events, or the predictions themselves."""

    @abstractmethod
    def read(self, since: Position | None = None, *, with_name: bool) -> SourceRead[Rows_co]:
        """Begin to read what came after the position ``since``, or everything for None.

        Raises ``CannotContinue`` when it is not known what came after ``since``. This call and the
        rows raise ``ReplicaUnavailable``, ``BrokerUnavailable`` or ``StoreUnavailable`` while the
        source cannot be read, and ``InvalidData`` for what is no source.
        """


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an engine read: the number of ``events``, and how many ``predictions`` there are now.

    ``reached`` is how far each partition was read, over all runs; empty without events.
    """

    events: int
    predictions: int
    reached: Sequence[Reached] = ()


class AnalyticsEngine(Protocol[Rows_contra]):
    """Makes the views of ``views`` from what a source gives, and queries them.

    Calls raise ``InvalidData`` where memory or disk does not suffice. What a source raises while
    its rows are read passes through unchanged.
    """

    @abstractmethod
    def resume(self) -> Position | None:
        """Open the last checkpoint; return the position that it was saved at, None for none.

        Raises ``CannotContinue`` when it is damaged or of another version.
        """

    @abstractmethod
    def load(
        self, read: SourceRead[Rows_contra], *, with_name: bool, on_progress: Progress
    ) -> Loaded:
        """Take in all rows; they replace what was loaded or resumed before."""

    @abstractmethod
    def extend(self, read: SourceRead[Rows_contra], *, on_progress: Progress) -> Loaded:
        """Add rows without names to the checkpoint that was resumed.

        Raises ``CannotContinue`` when they do not fit it: load everything then.
        """

    @abstractmethod
    def query(self, analysis: Analysis) -> pa.Table:
        """Return an analysis's rows in its order."""

    @abstractmethod
    def save(self, position: Position) -> None:
        """Save what was loaded as the checkpoint at ``position``; no query may follow.

        Does nothing in an engine without a place for checkpoints, or after a load with names: no
        checkpoint has a name.
        """

    @abstractmethod
    def close(self) -> None:
        """Release what the engine holds. A second call does nothing."""


class ResultStore(Protocol):
    """Where results go. A reader sees a table as it was, or as it becomes."""

    @abstractmethod
    def write(self, analysis: Analysis, rows: pa.Table) -> None:
        """Replace the rows of the run before.

        Raises ``InvalidData`` or ``ReplicaUnavailable``.
        """

    @abstractmethod
    def record(self, run: AnalyticsRun) -> None:
        """Keep the record of the run; comes last. Raises what ``write`` raises."""


class CheckpointStore(Protocol):
    """Keeps one checkpoint: a file that an engine made."""

    @abstractmethod
    def load(self, folder: Path) -> Path | None:
        """Return a copy of the last checkpoint, made in ``folder``; None if there is none.

        Raises ``CannotContinue`` when it cannot be read.
        """

    @abstractmethod
    def save(self, checkpoint: Path) -> None:
        """Replace the last checkpoint, all of it or nothing. Raises ``InvalidData``."""


@dataclass(frozen=True, slots=True)
class SavedState:
    """A checkpoint in tables: their ``folder``, and the position they were saved at.

    ``clusters`` has for each Kafka cluster when its first event was read, in microseconds since
    1970 (UTC).
    """

    folder: str
    clusters: Mapping[str, int]
    position: Position


class StatePointer(Protocol):
    """Says which of the folders with states is the last."""

    @abstractmethod
    def read(self, shape: str) -> SavedState | None:
        """Return the last state, None for none.

        Raises ``CannotContinue`` when it cannot be read, or was not written with this ``shape``.
        """

    @abstractmethod
    def write(self, state: SavedState, shape: str) -> None:
        """Point to a state, at once or not at all, and remove all others. Raises ``InvalidData``.

        ``shape`` says what columns its tables have.
        """


class ChangeHistory(Protocol):
    """Says where in the history of a change log a run is."""

    @abstractmethod
    def now(self) -> Position:
        """Return the position to read to; its ``snapshot_id`` is None for an empty log.

        Raises ``ReplicaUnavailable``, or ``InvalidData`` for a time that has no snapshot.
        """

    @abstractmethod
    def check_follows(self, since: Position, now: Position) -> None:
        """Raise ``CannotContinue`` when it is not known what was added between two positions."""


class Envelopes(Protocol):
    """Makes batches of Debezium's envelopes of one schema, and counts what is no event."""

    counts: Counts

    @abstractmethod
    def batch(self, records: Sequence[Any], offsets: Sequence[int] | None = None) -> pa.RecordBatch:
        """Return the events among ``records``, in Kafka's order if their ``offsets`` are given."""


class EnvelopeFormat(Protocol):
    """Reads the envelopes of any schema."""

    @abstractmethod
    def envelopes(self, schema: Any, shape: pa.Schema, *, partition: int) -> Envelopes:
        """Return what makes batches of ``shape`` of a partition's envelopes of one ``schema``."""


BatchSource = ChangeSource[Iterator["pa.RecordBatch"]]
"""A source for an engine in this process."""
