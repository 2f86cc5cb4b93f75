"""Runs analyses on an engine, from a source of changes to a store of results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Generic, TypeVar

from stroke.application.analyses.ports import (
    AnalyticsEngine,
    CannotContinue,
    ChangeSource,
    Progress,
    ResultStore,
    SourceRead,
)
from stroke.application.analyses.queries import Analysis
from stroke.application.analyses.runs import AnalyticsRun

Rows = TypeVar("Rows")


class AnalyticsService(Generic[Rows]):
    """Reads ``source`` into ``engine``, and puts the results of analyses into ``results``.

    If the engine has a checkpoint, only what came after it is read; where that is not known,
    everything is. The checkpoint of the next run is saved once all results are written. With names
    there is neither, since a checkpoint has none. ``site`` is the one whose predictions alone the
    source gives.
    """

    def __init__(
        self,
        engine: AnalyticsEngine[Rows],
        source: ChangeSource[Rows],
        results: ResultStore,
        *,
        source_name: str,
        engine_name: str,
        now: Callable[[], datetime],
        site: str | None = None,
    ) -> None:
        self._engine = engine
        self._source = source
        self._results = results
        self._names = (engine_name, source_name)
        self._now = now
        self._site = site

    def run(
        self, analyses: Sequence[Analysis], *, with_name: bool, on_progress: Progress
    ) -> AnalyticsRun:
        """Read once, run the analyses, write each result, and record the run.

        Analyses that need events are skipped for a source that has none. Raises what the ports
        raise.
        """
        began = self._now()
        on_progress("reading", 0, None)
        run, has_events = self._read(began, with_name=with_name, on_progress=on_progress)
        for done, analysis in enumerate(analyses):
            on_progress("analysing", done, len(analyses))
            if analysis.needs_events and not has_events:
                run.skipped.append(analysis.name)
                continue
            rows = self._engine.query(analysis)
            self._results.write(analysis, rows)
            run.rows[analysis.name] = rows.num_rows
        run.ended = self._now()
        self._results.record(run)
        if run.point != run.since:
            self._engine.save(run.point)
        return run

    def _read(
        self, began: datetime, *, with_name: bool, on_progress: Progress
    ) -> tuple[AnalyticsRun, bool]:
        """Continue from the last checkpoint, or read everything; say whether there are events."""
        since, note = None, None
        read: SourceRead[Rows]
        try:
            since = None if with_name else self._engine.resume()
            if since is not None:
                read = self._source.read(since, with_name=False)
                loaded = self._engine.extend(read, on_progress=on_progress)
        except CannotContinue as why:
            since, note = None, f"everything was read afresh: {why}"
        if since is None:
            read = self._source.read(with_name=with_name)
            loaded = self._engine.load(read, with_name=with_name, on_progress=on_progress)
        run = AnalyticsRun(
            *self._names,
            began=began,
            ended=began,
            point=read.position(),
            since=since,
            note=note,
            reached=loaded.reached,
            events=loaded.events,
            predictions=loaded.predictions,
            site=self._site,
        )
        return run, read.has_events
