"""What keys cost: durable predictions per second of callers with a key, and of an open service.

Three `stroke serve` (one worker each, a database each on one real MySQL at its durable defaults)
take turns under wrk: one without any key, one that has a hundred and is called with one of them,
and another one without any. What counts is the median of the ratios of neighbouring rounds; CPU
time per request is what noise disturbs least. Two processes of the same program differ by some
hundredths, so all three are started anew several times, and the ratio of the two open ones says
what this machine cannot tell apart.

    .venv/bin/python bench/access.py [--starts 4] [--rounds 4] [--seconds 3] [--connections 32]

Refused requests fail the bench; a missed goal is only said. Needs wrk (Debian's package) and a
Docker engine. Goal: rate with a key >= 0.90.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from math import sqrt
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.service import (
    ROOT,
    Round,
    all_served,
    options,
    ratios,
    stroke_server,
    summarise,
    take_turns,
    warn_when_busy,
)

from components.containers import MySqlServer, mysql_image

KEYS = 100
KEYED, OPEN = "with key", ("open 1", "open 2")
NAMES = (OPEN[0], KEYED, OPEN[1])
GOAL = 0.90
MAKE = f"""
import asyncio
from stroke.config import Settings
from stroke.container.database import upgrade_schema
from stroke.container.service import Container
settings = Settings.load()
upgrade_schema(settings.database)
parts = Container(settings=settings)
async def make():
    for _ in range({KEYS}):
        made = await parts.keys().create(name="bench", site="north", scopes=["predict"])
    await parts.engine().dispose()
    return made.text
print(asyncio.run(make()))
"""


def key_of(settings: dict[str, str]) -> str:
    """Make keys in a database, and return the last one."""
    return subprocess.run(
        [sys.executable, "-c", MAKE],
        cwd=ROOT,
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.strip()


def main() -> int:
    chosen = options(__doc__, rounds=4, starts=4)
    warn_when_busy()
    mysql = MySqlServer(mysql_image(), on_host_network=True)
    mysql.launch()
    rounds: dict[str, list[Round]] = {}
    try:
        for start in range(chosen.starts):
            with ExitStack() as held:
                every = []
                for name in NAMES if start % 2 == 0 else NAMES[::-1]:
                    settings = {"STROKE_DATABASE_URL": mysql.new_database()}
                    key = key_of(settings) if name == KEYED else ""
                    server = held.enter_context(stroke_server(name, settings))
                    every.append(replace(server, key=key))
                for server in every:
                    server.drive(chosen.connections, 2)  # warm caches and the connection pool
                seen = take_turns(
                    every,
                    rounds=chosen.rounds,
                    connections=chosen.connections,
                    seconds=chosen.seconds,
                )
            for name, driven in seen.items():
                rounds.setdefault(name, []).extend(driven)
    finally:
        mysql.remove()
    summarise(rounds)
    if not all_served(rounds):
        return 1
    # Each of the open ones may be the slower one: what is between them is the better measure.
    both = [ratios(rounds[KEYED], rounds[name]) for name in OPEN]
    rate, p50, p99, cpu = (sqrt(one * other) for one, other in zip(*both, strict=True))
    print(f"with key/open: rate {rate:.2f}, p50 {p50:.2f}, p99 {p99:.2f}, CPU {cpu:.2f}")
    again = ratios(rounds[OPEN[1]], rounds[OPEN[0]])
    print("open 2/open 1: rate {:.2f}, p50 {:.2f}, p99 {:.2f}, CPU {:.2f}".format(*again))
    print(f"rate {rate:.2f} (goal >= 0.90): {'met' if rate >= GOAL else 'missed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
