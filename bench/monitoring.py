"""What metrics and drift, and traces, cost: durable predictions per second with and without.

Three `stroke serve` (one worker each, a database each on one real MySQL at its durable defaults)
take turns under wrk: one without metrics and drift, one as it comes, and one that also sends its
spans to a collector in a process of its own. What counts is the median of the ratios of
neighbouring rounds; CPU time per request is what noise disturbs least.

    .venv/bin/python bench/monitoring.py [--rounds 15] [--seconds 3] [--connections 32]

Needs wrk (Debian's package) and a Docker engine. Goal: rate with metrics and drift >= 0.95.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.service import (
    ROOT,
    options,
    ratios,
    stroke_server,
    summarise,
    take_turns,
    warn_when_busy,
)

from components.containers import MySqlServer, mysql_image

# The same service, which counts nothing: no middleware for metrics, no observer, no drift.
UNWATCHED = """
from dependency_injector import providers
from stroke.application.predictions.ports import PredictionObserver
from stroke.container.service import Container
from stroke.entrypoints.api import metrics

class Nobody(PredictionObserver):
    def committed(self, predictions, seconds):
        pass

metrics.instrument = lambda *_, **__: None
Container.observer.override(providers.Object(Nobody()))
from stroke.entrypoints.cli.main import main
main()
"""
COLLECTOR = """
import time
from components.otlp_collector import Collector
with Collector() as collector:
    print(collector.endpoint, flush=True)
    while True:
        time.sleep(1)
        collector.bodies.clear()
"""


@contextmanager
def collector() -> Iterator[str]:
    """Give the address of a receiver of spans that throws them away."""
    process = subprocess.Popen(
        [sys.executable, "-c", COLLECTOR],
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests")},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield (process.stdout.readline() if process.stdout else "").strip()
    finally:
        process.terminate()
        process.wait(10)


def main() -> int:
    chosen = options(__doc__)
    warn_when_busy()
    mysql = MySqlServer(mysql_image(), on_host_network=True)
    with ExitStack() as held:
        held.callback(mysql.remove)
        mysql.launch()
        spans = {"OTEL_EXPORTER_OTLP_ENDPOINT": held.enter_context(collector())}

        def stored() -> dict[str, str]:
            return {"STROKE_DATABASE_URL": mysql.new_database()}

        every = [
            held.enter_context(stroke_server("unwatched", stored(), UNWATCHED)),
            held.enter_context(stroke_server("measured", stored())),
            held.enter_context(stroke_server("traced", stored() | spans)),
        ]
        for server in every:
            server.drive(chosen.connections, 2)  # warm caches and the connection pool
        rounds = take_turns(
            every, rounds=chosen.rounds, connections=chosen.connections, seconds=chosen.seconds
        )
    summarise(rounds)
    print("ratios to unwatched, of neighbouring rounds")
    for name, goal in (("measured", "   goal: rate >= 0.95"), ("traced", "")):
        rate, p50, p99, cpu = ratios(rounds[name], rounds["unwatched"])
        print(f"{name:<9}{rate:>8.2f}{p50:>9.2f}{p99:>9.2f}{cpu:>12.2f}{goal}")
    return 0 if not sum(seen.failed for each in rounds.values() for seen in each) else 1


if __name__ == "__main__":
    sys.exit(main())
