"""What our protocol costs and saves, and what a crowd of connections does to accepted predictions.

First, `stroke serve` with our protocol and with uvicorn's own (one worker each, a database each on
one real MySQL at its durable defaults) take turns under wrk. What counts is the median of the
ratios of neighbouring rounds. Then the service takes turns under 1,000 and under 4,000 connections
that all send predictions without pause (tests/components/crowds.py). Accepted are the predictions
that MySQL holds. The rate is per second in which nothing else had the processor while the service
could have run. All the while another client asks /health/live once in 50 ms, over a connection of
its own each time.

    .venv/bin/python bench/http_edge.py [--rounds 15] [--seconds 3] [--connections 32]

Needs wrk (Debian's package), 10,000 open files and a Docker engine. Goals: rate against uvicorn's
protocol >= 1; accepted under 4,000 connections >= 0.8 of 1,000, and health within 1 s.
"""

from __future__ import annotations

import resource
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.service import (
    all_served,
    options,
    ratios,
    stroke_server,
    summarise,
    take_turns,
    warn_when_busy,
)

from components.containers import MySqlServer, mysql_image
from components.crowds import asking_for_health, predict_in_a_crowd

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


def compare_crowds(server: MySqlServer, rounds: int, seconds: float) -> bool:
    database = server.new_database()
    ratios, shares = [], []
    slowest = 0.0

    def stored() -> int:
        return int(server.rows(database, "SELECT COALESCE(MAX(id), 0) FROM predictions")[0][0])

    with stroke_server("stroke", {"STROKE_DATABASE_URL": database}) as service:
        for _ in range(rounds):
            seen = {}
            for connections in (FEW, MANY):
                with asking_for_health(service.address, every=0.05) as took:
                    seen[connections] = predict_in_a_crowd(
                        service.address,
                        service.pid,
                        stored,
                        connections=connections,
                        seconds=seconds,
                    )
                if connections == MANY:
                    slowest = max(slowest, *took)
                print(f"{seen[connections]}; slowest health {max(took):.2f} s", flush=True)
            ratios.append(seen[MANY].own_rate / seen[FEW].own_rate)
            shares.append(seen[FEW].cpu_us / seen[MANY].cpu_us)
    for kind, found in (("rate", ratios), ("by CPU time", shares)):
        print(
            f"accepted under {MANY} of those under {FEW}, {kind}: {median(found):.2f} "
            f"({min(found):.2f} to {max(found):.2f}); goal: >= 0.8"
        )
    print(f"slowest health under {MANY}: {slowest:.2f} s; goal: <= 1")
    return median(ratios) >= 0.8 and slowest <= 1


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
