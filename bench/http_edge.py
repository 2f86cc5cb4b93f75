"""What our protocol costs and saves, and what a crowd of connections does to accepted predictions.

First, `stroke serve` with our protocol and with uvicorn's own (one worker each, a database each on
one real MySQL at its durable defaults) take turns under wrk. What counts is the median of the
ratios of neighbouring rounds. Then the service takes turns under 1,000 and under 4,000 connections
that all send predictions without pause. Accepted are the answers with 2xx. All the while another
client asks /health/live once in 50 ms, over a connection of its own each time.

    .venv/bin/python bench/http_edge.py [--rounds 15] [--seconds 3] [--connections 32]

Needs wrk (Debian's package), 10,000 open files and a Docker engine. Goals: rate against uvicorn's
protocol >= 1; accepted under 4,000 connections >= 0.8 of 1,000, and health within 1 s.
"""

from __future__ import annotations

import resource
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.service import (
    Round,
    Server,
    all_served,
    options,
    ratios,
    stroke_server,
    summarise,
    take_turns,
    warn_when_busy,
)

from components.containers import MySqlServer, mysql_image
from components.figures import read

FEW, MANY = 1_000, 4_000
OURS = "from stroke.entrypoints.cli.main import main; main()"
UVICORNS_OWN = """
import uvicorn
from stroke.entrypoints.cli.main import main

made = uvicorn.Config.__init__
uvicorn.Config.__init__ = lambda *given, **named: made(*given, **(named | {"http": "httptools"}))
main()
"""


def compare_protocols(server: MySqlServer, rounds: int, connections: int, seconds: float) -> bool:
    with ExitStack() as running:
        both = [
            running.enter_context(
                stroke_server(name, {"STROKE_DATABASE_URL": server.new_database()}, program)
            )
            for name, program in (("uvicorn", UVICORNS_OWN), ("ours", OURS))
        ]
        for each in both:
            each.drive(connections, 2)  # warm caches and the connection pool
        seen = take_turns(both, rounds=rounds, connections=connections, seconds=seconds)
    summarise(seen)
    rate, p50, p99, cpu = ratios(seen["ours"], seen["uvicorn"])
    single = sorted(a.rate / b.rate for a, b in zip(seen["ours"], seen["uvicorn"], strict=True))
    print(f"ratio    {rate:>8.2f}{p50:>9.2f}{p99:>9.2f}{cpu:>12.2f}   goal: rate >= 1")
    print(f"single rounds: {single[0]:.2f} to {single[-1]:.2f} of the rate")
    return all_served(seen)


@contextmanager
def asking(server: Server) -> Iterator[list[float]]:
    """Ask for the health all the while; yields the seconds that each answer took."""
    took: list[float] = []
    over = threading.Event()

    def ask() -> None:
        while not over.wait(0.05):
            began = time.perf_counter()
            with urllib.request.urlopen(f"{server.address}/health/live", timeout=30) as answer:  # noqa: S310
                answer.read()
            took.append(time.perf_counter() - began)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        yield took
    finally:
        over.set()
        asker.join()


def accepted(seen: Round) -> float:
    """Return the answers with 2xx per second."""
    return read("accepted predictions", seen.rate * (seen.requests - seen.failed) / seen.requests)


def compare_crowds(server: MySqlServer, rounds: int, seconds: float) -> bool:
    settings = {"STROKE_DATABASE_URL": server.new_database()}
    found: list[float] = []
    slowest = 0.0
    with stroke_server("stroke", settings) as service:
        service.drive(FEW, 2)
        print(f"{'connections':<12}{'accepted/s':>12}{'answers/s':>12}{'slowest health s':>18}")
        for _ in range(rounds):
            rates = {}
            for connections in (FEW, MANY):
                with asking(service) as took:
                    seen = service.drive(connections, seconds)
                rates[connections] = accepted(seen)
                if connections == MANY:
                    slowest = max(slowest, *took)
                print(
                    f"{connections:<12}{accepted(seen):>12.0f}{seen.rate:>12.0f}{max(took):>18.2f}"
                )
            found.append(rates[MANY] / rates[FEW])
    print(
        f"accepted under {MANY} of those under {FEW}: {median(found):.2f} "
        f"({min(found):.2f} to {max(found):.2f}); goal: >= 0.8"
    )
    print(f"slowest health under {MANY}: {slowest:.2f} s; goal: <= 1")
    return median(found) >= 0.8 and slowest <= 1


def main() -> int:
    chosen = options(__doc__ or "")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 10_000), most))
    warn_when_busy()
    server = MySqlServer(mysql_image(), on_host_network=True)
    server.launch()
    try:
        served = compare_protocols(server, chosen.rounds, chosen.connections, chosen.seconds)
        kept = compare_crowds(server, max(3, chosen.rounds // 3), 2 * chosen.seconds)
    finally:
        server.remove()
    return 0 if served and kept else 1


if __name__ == "__main__":
    sys.exit(main())
