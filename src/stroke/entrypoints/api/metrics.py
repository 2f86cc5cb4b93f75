"""/metrics: what Prometheus scrapes of the HTTP side and of the queue."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_fastapi_instrumentator import Instrumentator
from prometheus_fastapi_instrumentator.metrics import Info
from starlette.types import ASGIApp, Receive, Scope, Send

# A lone prediction takes 2 to 20 ms (one fsync); the rest is for a database under strain.
_LATENCY: Final = (0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_MULTIPROC: Final = "PROMETHEUS_MULTIPROC_DIR"  # the client library looks at it itself
_METHODS: Final = frozenset({"GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"})


def instrument(
    app: FastAPI,
    registry: CollectorRegistry,
    queue_depth: Callable[[], int],
    *,
    of_all_workers: Collector,
) -> None:
    """Measure the requests of ``app`` into ``registry`` and serve it at /metrics.

    ``queue_depth`` tells how many predictions wait for their commit; it is read after each
    request, because a gauge of several workers cannot be read when it is scraped. A collector in
    ``registry`` that adds up the workers itself is ``of_all_workers``.
    """
    # Handlers are route templates and unknown paths are one handler, "none": what clients send
    # never becomes a label.
    instrumentator = Instrumentator(registry=registry, should_group_status_codes=False)
    instrumentator.add(_observation(registry, queue_depth))
    instrumentator.instrument(app)
    app.add_middleware(_InProgress, gauge=_in_progress(registry))

    @app.get(
        "/metrics",
        tags=["service"],
        summary="Metrics in Prometheus' text format",
        response_class=PlainTextResponse,
    )
    def metrics() -> Response:
        """What Prometheus scrapes; with several workers of all of them."""
        served = registry
        if _MULTIPROC in os.environ:
            served = CollectorRegistry()
            MultiProcessCollector(served)  # type: ignore[no-untyped-call]
            served.register(of_all_workers)
        return Response(generate_latest(served), media_type=CONTENT_TYPE_LATEST)


def _in_progress(registry: CollectorRegistry) -> Gauge:
    # Not the instrumentator's own: that one goes to the client library's global registry, which two
    # applications in one process cannot share.
    return Gauge(
        "http_requests_in_progress",
        "Requests that are being answered, that for these metrics among them.",
        registry=registry,
        multiprocess_mode="livesum",
    )


class _InProgress:
    """Counts the requests that are being answered."""

    def __init__(self, app: ASGIApp, gauge: Gauge) -> None:
        self._app = app
        self._gauge = gauge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._gauge.inc()
        try:
            await self._app(scope, receive, send)
        finally:
            self._gauge.dec()


def _observation(
    registry: CollectorRegistry, queue_depth: Callable[[], int]
) -> Callable[[Info], None]:
    requests = Counter(
        "http_requests", "Requests answered.", ("handler", "method", "status"), registry=registry
    )
    seconds = Histogram(
        "http_request_duration_seconds",
        "From the first byte of a request to the last of its answer.",
        ("handler", "method"),
        buckets=_LATENCY,
        registry=registry,
    )
    waiting = Gauge(
        "stroke_queue_depth",
        "Predictions that wait for their commit.",
        registry=registry,
        multiprocess_mode="livesum",
    )
    waiting.set(0)
    # Looking a child up by its labels takes a lock and several microseconds.
    children: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}

    def observe(info: Info) -> None:
        key = (info.modified_handler, info.method, info.modified_status)
        if key not in children:
            handler, method, status = key
            if method not in _METHODS:
                method = "other"
            child = (requests.labels(handler, method, status), seconds.labels(handler, method))
            if method == info.method:
                children[key] = child
        else:
            child = children[key]
        child[0].inc()
        child[1].observe(info.modified_duration)
        waiting.set(queue_depth())

    return observe
