"""SparkEngine: the views and the analyses, in Spark's SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession

from stroke.adapters.spark.changes import SKIPPED
from stroke.adapters.spark.checkpoint import SparkState
from stroke.adapters.spark.faults import translated
from stroke.application.analyses.ports import (
    AnalyticsEngine,
    CannotContinue,
    Loaded,
    Position,
    Progress,
    SourceRead,
)
from stroke.application.analyses.queries import Analysis
from stroke.application.analyses.runs import Reached
from stroke.application.analyses.views import (
    CHANGES,
    EVENTS,
    OLDER_THAN_ITS_CLUSTER,
    changed_ids_sql,
    changed_words_sql,
    clusters_sql,
    events_sql,
    new_events_sql,
    snapshot_sql,
    words_sql,
)

# An older table may hold text that is no list of names: it names nothing.
_FACTORS: Final = """
SELECT list, times, pos + 1 AS ordinal, factor
FROM (
    SELECT contributing_factors AS list, COUNT(*) AS times FROM latest
    WHERE LEFT(LTRIM(contributing_factors), 1) = '[' GROUP BY contributing_factors
)
LATERAL VIEW POSEXPLODE(FROM_JSON(list, 'ARRAY<STRING>')) AS pos, factor
"""
_CHANGES: Final = ", ".join(CHANGES)
_EVENTS: Final = ", ".join(EVENTS)
_EVENTS_NOW: Final = (
    f"SELECT {_EVENTS} FROM kept_events UNION ALL ({new_events_sql(saved='kept_events')})"  # noqa: S608
)
_WORDS_NOW: Final = (
    f"SELECT {_CHANGES} FROM kept_words ANTI JOIN changed_ids USING (prediction_id) UNION ALL "  # noqa: S608
    + changed_words_sql(saved="kept_words", clusters="clusters")
)


class SparkEngine(AnalyticsEngine[DataFrame]):
    """Runs analyses of frames of ``changes`` with the column ``SKIPPED``.

    Results pass through the driver, which must hold each one. With a ``state`` a run continues from
    the last one.
    """

    def __init__(self, session: SparkSession, state: SparkState | None = None) -> None:
        self._session = session
        self._state = state
        self._has_names = False
        self._cached: list[DataFrame] = []
        self._clusters: dict[str, int] = {}

    def resume(self) -> Position | None:
        return self._state.resume() if self._state else None

    @translated("the change events")
    def load(
        self, read: SourceRead[DataFrame], *, with_name: bool, on_progress: Progress
    ) -> Loaded:
        self.close()  # what did not fit a checkpoint
        self._has_names = with_name
        events = self._take(read, on_progress)
        self._order_clusters(None)
        self._cache("events", self._session.sql(events_sql()))
        words = words_sql(clusters="clusters", with_name=with_name)
        self._cache("words", self._session.sql(words))
        return self._looked_at(read, events, with_name=with_name)

    @translated("the change events")
    def extend(self, read: SourceRead[DataFrame], *, on_progress: Progress) -> Loaded:
        if self._state is None:
            raise CannotContinue("nothing was kept")
        events = self._take(read, on_progress)
        self._order_clusters(self._state)
        for name in ("events", "words"):
            self._state.table(self._session, name).createOrReplaceTempView(f"kept_{name}")
        self._session.sql(changed_ids_sql()).createOrReplaceTempView("changed_ids")
        self._cache("words", self._session.sql(_WORDS_NOW))
        self._cache("events", self._session.sql(_EVENTS_NOW))
        return self._looked_at(read, events, with_name=False)

    def query(self, analysis: Analysis) -> pa.Table:
        with translated(analysis.name):
            rows = self._session.sql(analysis.sql).toArrow()
        # What cannot be NULL may be so for the other engine.
        return rows.cast(pa.schema([field.with_nullable(True) for field in rows.schema]))

    def save(self, position: Position) -> None:
        if self._state is None or self._has_names:
            return
        with translated("the checkpoint"):
            tables = {name: self._session.table(name) for name in ("words", "events")}
            self._state.save(position, self._clusters, tables)

    def close(self) -> None:
        for frame in self._cached:
            frame.unpersist()
        self._cached.clear()

    def _take(self, read: SourceRead[DataFrame], on_progress: Progress) -> int:
        """Make the view ``changes``; return how many events it has. Reads everything once."""
        frame = read.rows.persist(StorageLevel.MEMORY_AND_DISK)
        self._cached.append(frame)
        changes = frame.where(f"{SKIPPED} IS NULL")
        changes.createOrReplaceTempView("changes")
        events = int(changes.count())
        on_progress("reading", events, read.total)
        return events

    def _order_clusters(self, state: SparkState | None) -> None:
        known = dict(state.clusters) if state else {}
        is_older = False
        for cluster, began in self._session.sql(clusters_sql()).collect():
            is_older |= began < known.setdefault(cluster, began)
            known[cluster] = min(began, known[cluster])
        if is_older and len(known) > 1:  # which orders the clusters in another way, perhaps
            raise CannotContinue(OLDER_THAN_ITS_CLUSTER)
        self._clusters = known
        ordered = self._session.createDataFrame(list(known.items()), "each string, began bigint")
        ordered.createOrReplaceTempView("clusters")

    def _looked_at(self, read: SourceRead[DataFrame], events: int, *, with_name: bool) -> Loaded:
        """Make the views of ``words``, and count."""
        views = {
            "latest": "SELECT * FROM words WHERE op <> 'd'",
            "factors": _FACTORS,
            "snapshot": snapshot_sql(with_name=with_name),
        }
        for name, query in views.items():
            self._session.sql(query).createOrReplaceTempView(name)
        predictions = self._session.table("latest").count()
        return Loaded(events, predictions, self._reached() if read.has_events else ())

    def _reached(self) -> Sequence[Reached]:
        found = self._session.sql(
            "SELECT cluster, kafka_partition, MAX(place) FROM events "
            "GROUP BY cluster, kafka_partition ORDER BY cluster, kafka_partition"
        )
        return [Reached(*row) for row in found.collect()]

    def _cache(self, name: str, frame: DataFrame) -> None:
        self._cached.append(frame.persist(StorageLevel.MEMORY_AND_DISK))
        frame.createOrReplaceTempView(name)
