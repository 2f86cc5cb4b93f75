"""PrometheusPipelineObserver: the state of the change-data pipeline, as metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from stroke.application.pipeline.consistency import Comparison, Discrepancy
from stroke.application.pipeline.ports import PipelineObserver
from stroke.domain.errors import InvalidSetting


class PrometheusPipelineObserver(PipelineObserver):
    """Sets gauges in ``registry``. ``now`` is seconds since 1970."""

    def __init__(
        self, registry: CollectorRegistry, *, now: Callable[[], float] = time.time
    ) -> None:
        self._now = now

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(f"stroke_{name}", about, labels, registry=registry)

        self._running = gauge(
            "connector_running", "1 while the connector and all its tasks run.", "connector"
        )
        self._restarts = Counter(
            "stroke_connector_restarts",
            "Restarts of a connector that failed or stalled.",
            ("connector",),
            registry=registry,
        )
        self._unhealed = gauge(
            "connector_unhealed_restarts",
            "Restarts in a row that did not heal the same failure; 0 while restarts help.",
            "connector",
        )
        self._failed = gauge(
            "sink_failed_timestamp_seconds",
            "Time at which the sink last failed, until it has written something since.",
            "connector",
            "cause",
        )
        self._causes: dict[str, str] = {}
        self._lag = gauge(
            "sink_lag_records", "Records that the sink has still to read.", "connector"
        )
        self._stalled = gauge(
            "pipeline_stalled",
            "1 while the sink has records to read and does not progress.",
            "connector",
        )
        self._gap = gauge(
            "lake_gap_records",
            "Records that the sink committed as read and that are not in the Iceberg table.",
        )
        self._missing, self._extra, self._different, self._duplicates = (
            gauge(f"pipeline_verify_{what}", f"Rows {what} at the last comparison.", "replica")
            for what in ("missing", "extra", "different", "duplicates")
        )
        self._rows = gauge(
            "pipeline_verify_rows", "Rows of the source at the last comparison.", "replica"
        )
        self._verified_at = gauge(
            "pipeline_verify_timestamp_seconds",
            "Time at which the last comparison ended.",
            "replica",
        )

    def connector(self, name: str, *, running: bool) -> None:
        """The connector, with all of its tasks, runs or does not."""
        self._running.labels(name).set(running)
        self._unhealed.labels(name)
        self._restarts.labels(name)  # counted from 0 on, so that the first restart is an increase

    def restarted(self, name: str) -> None:
        """The connector was restarted because it failed or stood still."""
        self._restarts.labels(name).inc()

    def unhealed(self, name: str, *, restarts: int) -> None:
        """So many restarts in a row did not heal the same failure; 0 if that is not so (now)."""
        self._unhealed.labels(name).set(restarts)

    def sink_failed(self, name: str, cause: str) -> None:
        """A sink failed now, of ``cause`` in words; none if it has written something since."""
        before = self._causes.pop(name, cause)
        if before and before != cause:
            self._failed.remove(name, before)
        if cause:
            self._causes[name] = cause
            self._failed.labels(name, cause).set(self._now())

    def sink(self, name: str, *, lag: int, stalled: bool) -> None:
        """A sink has ``lag`` records to write; ``stalled`` says if it makes no progress."""
        self._lag.labels(name).set(lag)
        self._stalled.labels(name).set(stalled)

    def lake_gap(self, records: int) -> None:
        """``records`` records were committed as read and did not reach the Iceberg table."""
        self._gap.set(records)

    def verified(self, comparisons: Sequence[Comparison]) -> None:
        """Every replica was compared with the source."""
        for comparison in comparisons:
            replica = comparison.replica
            self._missing.labels(replica).set(comparison.count(Discrepancy.MISSING))
            self._extra.labels(replica).set(comparison.count(Discrepancy.EXTRA))
            self._different.labels(replica).set(comparison.count(Discrepancy.DIFFERENT))
            self._duplicates.labels(replica).set(comparison.duplicates)
            self._rows.labels(replica).set(comparison.rows)
            self._verified_at.labels(replica).set(self._now())


@contextmanager
def serve_metrics(registry: CollectorRegistry, *, host: str, port: int) -> Iterator[int]:
    """Answer GET /metrics on a thread while the block runs; yield the port (a free one for 0)."""
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise InvalidSetting(
            f"metrics cannot be served at {host}:{port}: {error.strerror}"
        ) from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
