"""What a process exposes, scraped from a real one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)

from components.scripted_server import ScriptedServer
from contracts.doctor import MetricsContract
from stroke.adapters.http_probes.metrics import ScrapedMetrics
from stroke.adapters.prometheus.pipeline import serve_metrics

OTHERS = {
    "a page": (200, b"<!DOCTYPE html>\n<html></html>"),
    "a document": (200, {"status": "UP"}),
    "bytes": (200, b"\xff\xfe\x00"),
    "not found": (404, b"stroke_lag 1.0\n"),
    "an error": (500, b""),
}


def scraped(registry: CollectorRegistry) -> Iterator[ScrapedMetrics]:
    with serve_metrics(registry, host="127.0.0.1", port=0) as port:
        yield ScrapedMetrics(f"http://127.0.0.1:{port}/metrics", seconds=10)


class TestScrapedMetrics(MetricsContract):
    @pytest.fixture
    def metrics(self) -> Iterator[ScrapedMetrics]:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        Counter("stroke_tries", "Tries.", registry=registry).inc()
        lag = Gauge("stroke_lag", "Lag.", ("sink", "of"), registry=registry)
        lag.labels('a "b" \\\n', "all").set(3)
        Histogram("stroke_seconds", "Seconds.", registry=registry).observe(0.2)
        Gauge("stroke_unused", "Nothing yet.", ("sink",), registry=registry)
        yield from scraped(registry)

    @pytest.fixture
    def silent(self) -> Iterator[ScrapedMetrics]:
        yield from scraped(CollectorRegistry())

    @pytest.fixture(params=["nobody", *OTHERS])
    def away(self, request: pytest.FixtureRequest) -> Iterator[ScrapedMetrics]:
        if request.param == "nobody":
            yield ScrapedMetrics("http://127.0.0.1:1/metrics", seconds=10)
            return
        with ScriptedServer(OTHERS[request.param]) as server:
            yield ScrapedMetrics(f"{server.url}/metrics", seconds=10)
