"""EmbeddedAnalytics: any source of batches on an engine in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from stroke.application.analyses.changes import BatchEngine, ChangeSource, Input
from stroke.application.analyses.checkpoints import (
    CannotContinue,
    CheckpointStore,
    IncrementalEngine,
    IncrementalSource,
)
from stroke.application.analyses.queries import Analysis
from stroke.application.analyses.service import AnalyticsEngine, Loaded, Progress


@dataclass(frozen=True, slots=True)
class Continuation:
    """What lets a run begin where the last one ended."""

    source: IncrementalSource
    engine: IncrementalEngine
    checkpoints: CheckpointStore


class EmbeddedAnalytics(AnalyticsEngine):
    """Reads ``source`` into ``engine``.

    With a ``continuation`` it reads what came since the last run, and keeps what the next one
    needs; with names it does neither, since a checkpoint has none.
    """

    def __init__(
        self,
        source: ChangeSource,
        engine: BatchEngine,
        continuation: Continuation | None = None,
    ) -> None:
        self._source = source
        self._engine = engine
        self._continuation = continuation
        self._to_keep: Mapping[str, Any] | None = None

    def load(self, *, with_name: bool, on_progress: Progress) -> Loaded:
        continuation = None if with_name else self._continuation
        note = None
        if continuation:
            try:
                loaded = self._continued(continuation, on_progress)
            except CannotContinue as why:
                loaded, note = None, f"everything was read afresh: {why}"
            if loaded:
                self._to_keep = None if loaded.point == loaded.since else loaded.point
                return loaded
        given = self._source.read(with_name=with_name)
        counted = _Counted(given, on_progress)
        predictions = self._engine.load(iter(counted), with_name=with_name)
        self._to_keep = given.point if continuation else None
        return Loaded(
            given.point,
            counted.events,
            predictions,
            self._engine.reached() if given.has_events else (),
            has_events=given.has_events,
            note=note,
        )

    def query(self, analysis: Analysis) -> pa.Table:
        return self._engine.query(analysis)

    def keep(self) -> None:
        if self._continuation and self._to_keep is not None:
            kept = self._continuation.engine.checkpoint(self._to_keep)
            self._continuation.checkpoints.save(kept)

    def _continued(self, continuation: Continuation, on_progress: Progress) -> Loaded | None:
        """Load what came since the last run; None if there was none. Raises ``CannotContinue``."""
        checkpoint = continuation.checkpoints.load()
        if checkpoint is None:
            return None
        since = continuation.engine.resume(checkpoint)
        given = continuation.source.read_since(since)
        counted = _Counted(given, on_progress)
        predictions = continuation.engine.extend(iter(counted))
        return Loaded(given.point, counted.events, predictions, self._engine.reached(), since=since)


class _Counted:
    """Batches, counted as they pass."""

    def __init__(self, given: Input, on_progress: Progress) -> None:
        self.events = 0
        self._given = given
        self._on_progress = on_progress

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._given.batches:
            self.events += batch.num_rows
            self._on_progress("reading", self.events, self._given.total)
            yield batch
