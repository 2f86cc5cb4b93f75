"""/metrics: what Prometheus scrapes of the HTTP side and of the queue."""

from __future__ import annotations

import os
import time
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
from starlette.types import ASGIApp, Receive, Scope, Send

from stroke.domain import access
from stroke.entrypoints.api.access import needs
from stroke.entrypoints.api.replies import watched

# A lone prediction takes 2 to 20 ms (one fsync); the rest is for a database under strain.
_LATENCY: Final = (0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_MULTIPROC: Final = "PROMETHEUS_MULTIPROC_DIR"  # the client library looks at it itself
# What nginx writes for a client that hung up before it had an answer: no fault of the service.
_HUNG_UP: Final = 499
_METHODS: Final = frozenset({"GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"})


def instrument(
    app: FastAPI,
    registry: CollectorRegistry,
    queue_depth: Callable[[], int],
    *,
    of_all_workers: Collector,
) -> None:
    """Measure the requests of ``app`` into ``registry`` and serve it at /metrics.

    ``queue_depth`` says how many predictions wait for their commit; it is read after each
    request, because a gauge of several workers cannot be read when it is scraped. A collector in
    ``registry`` that adds up the workers itself is ``of_all_workers``.
    """
    app.add_middleware(_Measured, requests=_Requests(registry, queue_depth))

    @app.get(
        "/metrics",
        tags=["service"],
        summary="Metrics in Prometheus' text format",
        response_class=PlainTextResponse,
    )
    @needs(access.Scope.METRICS)
    def metrics() -> Response:
        """What Prometheus scrapes; with several workers of all of them."""
        served = registry
        if _MULTIPROC in os.environ:
            served = CollectorRegistry()
            MultiProcessCollector(served)  # type: ignore[no-untyped-call]
            served.register(of_all_workers)
        return Response(generate_latest(served), media_type=CONTENT_TYPE_LATEST)


class Refusals:
    """Counts what the server refused by itself, before any route was looked for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counted = Counter(
            "http_refused",
            "Requests and connections that the server refused before a route was looked for.",
            ("status",),
            registry=registry,
        )

    def __call__(self, status: int) -> None:
        """Count one that was answered with ``status``."""
        self._counted.labels(status).inc()


class _Measured:
    """ASGI middleware that counts each request in ``requests``."""

    def __init__(self, app: ASGIApp, requests: _Requests) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reply, sending = watched(scope, send)
        status = 500  # of what is raised before there is an answer
        began = time.perf_counter()
        self._requests.in_progress.inc()
        try:
            await self._app(scope, receive, sending)
            status = _HUNG_UP
        finally:
            seconds = time.perf_counter() - began
            self._requests.in_progress.dec()
            # The router has put the route there. Labels are templates, and paths without a route
            # are one of them: what clients send never becomes a label.
            template = getattr(scope.get("route"), "path", "none")
            self._requests.answered(template, scope["method"], reply.status or status, seconds)


class _Requests:
    """The metrics of requests."""

    def __init__(self, registry: CollectorRegistry, queue_depth: Callable[[], int]) -> None:
        self._queue_depth = queue_depth
        self._answered = Counter(
            "http_requests",
            "Requests answered.",
            ("handler", "method", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Time from the first byte of a request to the last byte of its answer.",
            ("handler", "method"),
            buckets=_LATENCY,
            registry=registry,
        )
        self.in_progress = Gauge(
            "http_requests_in_progress",
            "Requests in flight, including this scrape.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._waiting = Gauge(
            "stroke_queue_depth",
            "Predictions that wait for their commit.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._waiting.set(0)
        # Looking a child up by its labels takes a lock and several microseconds.
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def answered(self, handler: str, method: str, status: int, seconds: float) -> None:
        """Count a request that took ``seconds``."""
        key = (handler, method, status)
        if key in self._children:
            child = self._children[key]
        else:
            known = method if method in _METHODS else "other"
            child = (
                self._answered.labels(handler, known, status),
                self._seconds.labels(handler, known),
            )
            if known == method:
                self._children[key] = child
        child[0].inc()
        child[1].observe(seconds)
        self._waiting.set(self._queue_depth())
