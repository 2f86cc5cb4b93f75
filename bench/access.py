"""What keys cost: durable predictions per second of callers with a key, and of an open service.

Two `stroke serve` (one worker each, a database each on one real MySQL at its durable defaults) take
turns under wrk: one without any key, and one that has a hundred and is called with one of them.
What counts is the median of the ratios of neighbouring rounds; CPU time per request is what noise
disturbs least.

    .venv/bin/python bench/access.py [--rounds 15] [--seconds 3] [--connections 32]

Refused requests fail the bench; a missed goal is only said. Needs wrk (Debian's package) and a
Docker engine. Goal: rate with a key >= 0.90.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
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

KEYS = 100
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
    chosen = options(__doc__)
    warn_when_busy()
    mysql = MySqlServer(mysql_image(), on_host_network=True)
    mysql.launch()
    try:
        first, second = ({"STROKE_DATABASE_URL": mysql.new_database()} for _ in range(2))
        key = key_of(second)
        with stroke_server("open", first) as without, stroke_server("with key", second) as asking:
            both = (without, replace(asking, key=key))
            for server in both:
                server.drive(chosen.connections, 2)  # warm caches and the connection pool
            rounds = take_turns(
                both,
                rounds=chosen.rounds,
                connections=chosen.connections,
                seconds=chosen.seconds,
            )
    finally:
        mysql.remove()
    summarise(rounds)
    if not all_served(rounds):
        return 1
    rate, p50, p99, cpu = ratios(rounds["with key"], rounds["open"])
    print(f"with key/open: rate {rate:.2f}, p50 {p50:.2f}, p99 {p99:.2f}, CPU {cpu:.2f}")
    print(f"rate {rate:.2f} (goal >= 0.90): {'met' if rate >= 0.90 else 'missed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
