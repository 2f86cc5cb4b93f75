"""Analyses run on an engine, from a source of changes to a store of results."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from stroke.application.checkpoints import CannotContinue, Continuation
from stroke.domain.analyses import Analysis

if TYPE_CHECKING:
    import pyarrow as pa


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


class ChangeSource(Protocol):
    """Where change events, or the rows themselves, come from."""

    @abstractmethod
    def read(self, *, with_name: bool) -> Input:
        """Begin to read. Raises ``ReplicaUnavailable``, ``StoreUnavailable`` or ``InvalidData``."""


@dataclass(frozen=True, slots=True)
class Reached:
    """The last event that was read of a partition: its offset, or its place in a binlog."""

    cluster: str
    partition: int
    place: int


class AnalyticsEngine(Protocol):
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


class ResultStore(Protocol):
    """Where results go. A reader sees a table as it was, or as it becomes."""

    @abstractmethod
    def write(self, analysis: Analysis, rows: pa.Table) -> None:
        """Put the rows in the place of those of the run before.

        Raises ``InvalidData`` or ``ReplicaUnavailable``.
        """

    @abstractmethod
    def record(self, run: AnalyticsRun) -> None:
        """Keep what the run was; comes last."""


@dataclass(slots=True)
class AnalyticsRun:
    """What was read and written, and when. Times are aware, in UTC.

    ``events`` are those that this run read: those since the point ``since``, or all. ``note`` says
    why it read all although there was a run before.
    """

    engine: str
    source: str
    began: datetime
    ended: datetime | None = None
    point: Mapping[str, Any] = field(default_factory=dict)
    since: Mapping[str, Any] | None = None
    note: str | None = None
    reached: Sequence[Reached] = ()
    events: int = 0
    predictions: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the run as JSON takes it; ``seconds`` is how long it took."""
        ended = self.ended or self.began
        return asdict(self) | {
            "began": self.began.isoformat(),
            "ended": ended.isoformat(),
            "seconds": round((ended - self.began).total_seconds(), 3),
        }


Progress = Callable[[str, int, int | None], None]
"""Is told what is done, and how much of it, of how much if that is known."""


class AnalyticsService:
    """Runs analyses from ``source`` on ``engine`` into ``results``.

    With a ``continuation`` it reads what came since the last run, and keeps what the next one
    needs; with names it does neither, since a checkpoint has none.
    """

    def __init__(
        self,
        source: ChangeSource,
        engine: AnalyticsEngine,
        results: ResultStore,
        *,
        source_name: str,
        engine_name: str,
        now: Callable[[], datetime],
        continuation: Continuation | None = None,
    ) -> None:
        self._source = source
        self._engine = engine
        self._results = results
        self._names = (engine_name, source_name)
        self._now = now
        self._continuation = continuation

    def run(
        self, analyses: Sequence[Analysis], *, with_name: bool, on_progress: Progress
    ) -> AnalyticsRun:
        """Read once, run the analyses, write each result, and record the run.

        Analyses that need events are skipped for a source that has none.
        """
        engine, source = self._names
        run = AnalyticsRun(engine, source, self._now())
        continuation = None if with_name else self._continuation
        given = self._continued(run, continuation, on_progress) if continuation else None
        if given is None:
            given = self._source.read(with_name=with_name)
            batches = _counted(given, run, on_progress)
            run.predictions = self._engine.load(batches, with_name=with_name)
        run.point = given.point
        run.reached = self._engine.reached() if given.has_events else ()
        for done, analysis in enumerate(analyses):
            on_progress("analysing", done, len(analyses))
            if analysis.needs_events and not given.has_events:
                run.skipped.append(analysis.name)
                continue
            rows = self._engine.query(analysis)
            self._results.write(analysis, rows)
            run.rows[analysis.name] = rows.num_rows
        if continuation and run.point != run.since:
            continuation.checkpoints.save(continuation.engine.checkpoint(run.point))
        run.ended = self._now()
        self._results.record(run)
        return run

    def _continued(
        self, run: AnalyticsRun, continuation: Continuation, on_progress: Progress
    ) -> Input | None:
        """Load what came since the last run; None, with a note, if that cannot be told."""
        try:
            checkpoint = continuation.checkpoints.load()
            if checkpoint is None:
                return None
            since = continuation.engine.resume(checkpoint)
            given = continuation.source.read_since(since)
            run.predictions = continuation.engine.extend(_counted(given, run, on_progress))
        except CannotContinue as why:
            run.note = f"everything was read afresh: {why}"
            return None
        run.since = since
        return given


def _counted(given: Input, run: AnalyticsRun, on_progress: Progress) -> Iterator[pa.RecordBatch]:
    run.events = 0
    for batch in given.batches:
        run.events += batch.num_rows
        on_progress("reading", run.events, given.total)
        yield batch
