"""SparkAnalytics: the views and the analyses, in Spark's SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession

from stroke.adapters.spark.changes import BESIDE, SparkInput, SparkSource
from stroke.adapters.spark.checkpoint import SparkState
from stroke.adapters.spark.faults import translated
from stroke.application.analyses.checkpoints import CannotContinue
from stroke.application.analyses.queries import Analysis
from stroke.application.analyses.service import AnalyticsEngine, Loaded, Progress, Reached
from stroke.application.analyses.views import (
    CHANGES,
    EVENTS,
    clusters_sql,
    events_sql,
    snapshot_sql,
    words_sql,
)

_CHANGES: Final = ", ".join(CHANGES)
_EVENTS: Final = ", ".join(EVENTS)
# An older table may hold text that is no list of names: it names nothing.
_FACTORS: Final = """
SELECT list, times, pos + 1 AS ordinal, factor
FROM (
    SELECT contributing_factors AS list, COUNT(*) AS times FROM latest
    WHERE LEFT(LTRIM(contributing_factors), 1) = '[' GROUP BY contributing_factors
)
LATERAL VIEW POSEXPLODE(FROM_JSON(list, 'ARRAY<STRING>')) AS pos, factor
"""
# The sink may have stored an event that it had stored before.
_NEW_EVENTS: Final = (
    f"{events_sql()} EXCEPT SELECT {_EVENTS} FROM kept_events "  # noqa: S608
    "LEFT SEMI JOIN changes USING (cluster, kafka_partition, place)"
)
_TOLD: Final = "SELECT DISTINCT prediction_id FROM changes WHERE prediction_id IS NOT NULL"


class SparkAnalytics(AnalyticsEngine):
    """Runs analyses of ``source``. Results pass through the driver, which must hold each one.

    With a ``state`` it reads what came since the last run, and keeps what the next one needs; with
    names it does neither, since a state has none.
    """

    def __init__(
        self, session: SparkSession, source: SparkSource, state: SparkState | None = None
    ) -> None:
        self._session = session
        self._source = source
        self._state = state
        self._cached: list[DataFrame] = []
        self._clusters: dict[str, int] = {}
        self._to_keep: Mapping[str, Any] | None = None

    def load(self, *, with_name: bool, on_progress: Progress) -> Loaded:
        state = None if with_name else self._state
        on_progress("reading", 0, None)
        since, note = None, None
        with translated("the change events"):
            if state:
                try:
                    since = state.resume()
                    if since is not None:
                        loaded = self._load(state, since, with_name=False)
                        self._to_keep = None if loaded.point == since else loaded.point
                        return loaded
                except CannotContinue as why:
                    self._forget()
                    note = f"everything was read afresh: {why}"
            loaded = self._load(None, None, with_name=with_name, note=note)
            self._to_keep = loaded.point if state else None
            return loaded

    def query(self, analysis: Analysis) -> pa.Table:
        with translated(analysis.name):
            rows = self._session.sql(analysis.sql).toArrow()
        # What cannot be NULL may be so for the other engine.
        return rows.cast(pa.schema([field.with_nullable(True) for field in rows.schema]))

    def keep(self) -> None:
        if self._state and self._to_keep is not None:
            with translated("the checkpoint"):
                tables = {name: self._session.table(name) for name in ("words", "events")}
                self._state.save(self._to_keep, self._clusters, tables)
        self._forget()

    def _load(
        self,
        state: SparkState | None,
        since: Mapping[str, Any] | None,
        *,
        with_name: bool,
        note: str | None = None,
    ) -> Loaded:
        given = self._source.read(since, with_name=with_name)
        counts = self._take(given)
        self._order_clusters(state)
        if state is None:
            sql = self._session.sql
            self._cache("events", sql(events_sql()))
            self._cache("words", sql(words_sql(clusters="clusters", with_name=with_name)))
        else:
            self._extend(state)
        self._look(with_name=with_name)
        predictions = self._session.table("latest").count()
        return Loaded(
            given.point({beside: rows for beside, rows in counts.items() if beside}),
            counts.get("", 0),
            predictions,
            self._reached() if given.has_events else (),
            has_events=given.has_events,
            since=since,
            note=note,
        )

    def _take(self, given: SparkInput) -> dict[str, int]:
        """Read everything once; return the number of rows by what is beside the events."""
        frame = given.frame.persist(StorageLevel.MEMORY_AND_DISK)
        self._cached.append(frame)
        frame.where(f"{BESIDE} IS NULL").createOrReplaceTempView("changes")
        counted = frame.groupBy(BESIDE).count().collect()
        return {row[0] or "": row[1] for row in counted}

    def _order_clusters(self, state: SparkState | None) -> None:
        known = dict(state.clusters) if state else {}
        is_older = False
        for cluster, began in self._session.sql(clusters_sql()).collect():
            is_older |= began < known.setdefault(cluster, began)
            known[cluster] = min(began, known[cluster])
        if is_older and len(known) > 1:  # which orders the clusters in another way, perhaps
            raise CannotContinue("an event is older than the first known of its Kafka cluster")
        self._clusters = known
        ordered = self._session.createDataFrame(list(known.items()), "each string, began bigint")
        ordered.createOrReplaceTempView("clusters")

    def _extend(self, state: SparkState) -> None:
        state.table(self._session, "events").createOrReplaceTempView("kept_events")
        state.table(self._session, "words").createOrReplaceTempView("kept_words")
        self._session.sql(_TOLD).createOrReplaceTempView("told")
        new = words_sql(
            of=f"(SELECT {_CHANGES} FROM kept_words LEFT SEMI JOIN told USING (prediction_id) "  # noqa: S608
            f"UNION ALL SELECT {_CHANGES} FROM changes)",
            clusters="clusters",
        )
        others = f"SELECT {_CHANGES} FROM kept_words LEFT ANTI JOIN told USING (prediction_id)"  # noqa: S608
        self._cache("words", self._session.sql(f"{others} UNION ALL {new}"))
        events = f"SELECT {_EVENTS} FROM kept_events UNION ALL ({_NEW_EVENTS})"  # noqa: S608
        self._cache("events", self._session.sql(events))

    def _look(self, *, with_name: bool) -> None:
        views = {
            "latest": "SELECT * FROM words WHERE op <> 'd'",
            "factors": _FACTORS,
            "snapshot": snapshot_sql(with_name=with_name),
        }
        for name, query in views.items():
            self._session.sql(query).createOrReplaceTempView(name)

    def _reached(self) -> Sequence[Reached]:
        found = self._session.sql(
            "SELECT cluster, kafka_partition, MAX(place) FROM events "
            "GROUP BY cluster, kafka_partition ORDER BY cluster, kafka_partition"
        )
        return [Reached(*row) for row in found.collect()]

    def _cache(self, name: str, frame: DataFrame) -> None:
        self._cached.append(frame.persist(StorageLevel.MEMORY_AND_DISK))
        frame.createOrReplaceTempView(name)

    def _forget(self) -> None:
        for frame in self._cached:
            frame.unpersist()
        self._cached.clear()
