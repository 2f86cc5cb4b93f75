"""What metrics and drift, and traces, cost: durable predictions per second with and without.

Three `stroke serve` (one worker each, a database each on one real MySQL at its durable defaults)
take turns under wrk: one without metrics and drift, one as it comes, and one that also sends its
spans to a collector in a process of its own. What counts is the median of the ratios of
neighbouring rounds; CPU time per request is what noise disturbs least.

    .venv/bin/python bench/monitoring.py [--rounds 15] [--seconds 3] [--connections 32]

Refused requests, and a traced service that sent no span, fail the bench; a missed goal is only
said. Needs wrk (Debian's package) and a Docker engine. Goal: rate with metrics and drift >= 0.95.
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
    all_served,
    options,
    ratios,
    stroke_server,
    summarise,
    take_turns,
    warn_when_busy,
)

from components.containers import MySqlServer, mysql_image
from components.figures import UnreadError, read

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
# It throws away what it is sent, and answers each line with how many bytes of spans those were.
COLLECTOR = """
import sys
from components.otlp_collector import Collector
class Counter(list):
    total = 0
    def append(self, body):
        self.total += len(body)
with Collector() as collector:
    collector.bodies = Counter()
    print(collector.endpoint, flush=True)
    for _ in sys.stdin:
        print(collector.bodies.total, flush=True)
"""


class Spans:
    """A receiver of spans in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.endpoint = self._line()

    def received(self) -> int:
        """Return how many bytes of spans have come."""
        if self._process.stdin is None:
            raise UnreadError("the collector of traces is not asked")
        self._process.stdin.write("how many?\n")
        self._process.stdin.flush()
        return int(self._line())

    def _line(self) -> str:
        line = (self._process.stdout.readline() if self._process.stdout else "").strip()
        if not line:
            raise UnreadError("the collector of traces does not answer")
        return line


@contextmanager
def collector() -> Iterator[Spans]:
    process = subprocess.Popen(
        [sys.executable, "-c", COLLECTOR],
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Spans(process)
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
        receiver = held.enter_context(collector())
        spans = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}

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
        read("the spans of the traced service", receiver.received())
    summarise(rounds)
    print("ratios to unwatched, of neighbouring rounds")
    for name, goal in (("measured", "   goal: rate >= 0.95"), ("traced", "")):
        rate, p50, p99, cpu = ratios(rounds[name], rounds["unwatched"])
        print(f"{name:<9}{rate:>8.2f}{p50:>9.2f}{p99:>9.2f}{cpu:>12.2f}{goal}")
    return 0 if all_served(rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
