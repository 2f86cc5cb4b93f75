"""Analyses run on an engine, from a source of changes to a store of results."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from stroke.application.analyses.queries import Analysis

if TYPE_CHECKING:
    import pyarrow as pa


Progress = Callable[[str, int, int | None], None]
"""Is told what is done, and how much of it, of how much if that is known."""


@dataclass(frozen=True, slots=True)
class Reached:
    """The last event that was read of a partition: its offset, or its place in a binlog."""

    cluster: str
    partition: int
    place: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an engine read: ``events``, up to ``point`` of the source (as JSON takes it).

    Those are the events since the point ``since`` if it went on from there, or else all;
    ``note`` says why it read all although there was a run before. ``predictions`` is how many there
    are. A source that has no events (``has_events``) gives the rows themselves.
    """

    point: Mapping[str, Any]
    events: int
    predictions: int
    reached: Sequence[Reached] = ()
    has_events: bool = True
    since: Mapping[str, Any] | None = None
    note: str | None = None


class AnalyticsEngine(Protocol):
    """Makes the views of ``change_views`` of what it reads, and queries them."""

    @abstractmethod
    def load(self, *, with_name: bool, on_progress: Progress) -> Loaded:
        """Read. Raises ``ReplicaUnavailable``, ``StoreUnavailable`` or ``InvalidData``."""

    @abstractmethod
    def query(self, analysis: Analysis) -> pa.Table:
        """Return an analysis's rows in its order."""

    @abstractmethod
    def keep(self) -> None:
        """Keep what lets the next run go on from here; the results are written. Comes last."""


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
    """What was read (see ``Loaded``) and written, and when. Times are aware, in UTC."""

    engine: str
    source: str
    began: datetime
    ended: datetime
    point: Mapping[str, Any]
    since: Mapping[str, Any] | None
    note: str | None
    reached: Sequence[Reached]
    events: int
    predictions: int
    rows: dict[str, int] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the run as JSON takes it; ``seconds`` is how long it took."""
        return asdict(self) | {
            "began": self.began.isoformat(),
            "ended": self.ended.isoformat(),
            "seconds": round((self.ended - self.began).total_seconds(), 3),
        }


class AnalyticsService:
    """Runs analyses on ``engine`` and puts what they say into ``results``."""

    def __init__(
        self,
        engine: AnalyticsEngine,
        results: ResultStore,
        *,
        source_name: str,
        engine_name: str,
        now: Callable[[], datetime],
    ) -> None:
        self._engine = engine
        self._results = results
        self._names = (engine_name, source_name)
        self._now = now

    def run(
        self, analyses: Sequence[Analysis], *, with_name: bool, on_progress: Progress
    ) -> AnalyticsRun:
        """Read once, run the analyses, write each result, and record the run.

        Analyses that need events are skipped for a source that has none.
        """
        began = self._now()
        loaded = self._engine.load(with_name=with_name, on_progress=on_progress)
        run = AnalyticsRun(
            *self._names,
            began=began,
            ended=began,
            point=loaded.point,
            since=loaded.since,
            note=loaded.note,
            reached=loaded.reached,
            events=loaded.events,
            predictions=loaded.predictions,
        )
        for done, analysis in enumerate(analyses):
            on_progress("analysing", done, len(analyses))
            if analysis.needs_events and not loaded.has_events:
                run.skipped.append(analysis.name)
                continue
            rows = self._engine.query(analysis)
            self._results.write(analysis, rows)
            run.rows[analysis.name] = rows.num_rows
        run.ended = self._now()
        self._results.record(run)
        self._engine.keep()
        return run
