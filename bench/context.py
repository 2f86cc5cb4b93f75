"""What interval, support and comparison cost: durable predictions per second with and without.

Two `stroke serve` (one worker each, a database each) take turns under wrk: `plain` serves the model
of the same probabilities that had no intervals and no tables, `context` the shipped one. What
counts is the median of the ratios of neighbouring rounds; CPU time per request is what noise
disturbs least. The patients are those of `stroke simulate`, who are as common as in the training
data. With `--at-random` their values are drawn at random: to most of them several rules of the
support apply, whose words are in the answer and in the row.

    .venv/bin/python bench/context.py [--sqlite] [--at-random] [--rounds 15] [--seconds 3]
        [--connections 32]

Needs wrk (Debian's package), and a Docker engine for the MySQL that it uses without `--sqlite`.
Refused requests fail the bench; a missed goal is only said. Goal: rate >= 0.95.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.costs import STROKE
from bench.service import (
    ROOT,
    all_served,
    databases,
    options,
    ratios,
    stroke_server,
    summarise,
    take_turns,
    warn_when_busy,
)

from stroke.adapters.onnx.manifest import GRAPH, MANIFEST
from stroke.adapters.onnx.store import DEFAULT, SHIPPED

BEFORE = ROOT / "tests/integration/models/stroke-spline-lr-779084084b7b.onnx"
CONTEXT = ("interval_check", "support", "comparison")
PATIENTS = 1_000


def plain_model(folder: Path) -> Path:
    """Write the model of the same probabilities without anything beside them."""
    graph = BEFORE.read_bytes()
    manifest = json.loads((SHIPPED / DEFAULT / MANIFEST).read_text())
    kept = {name: part for name, part in manifest.items() if name not in CONTEXT}
    made = folder / "plain"
    made.mkdir()
    (made / GRAPH).write_bytes(graph)
    kept["sha256"] = hashlib.sha256(graph).hexdigest()
    (made / MANIFEST).write_text(json.dumps(kept))
    return made


def simulated(folder: Path) -> str:
    """Write patients as `stroke simulate` makes them; return the file."""
    command = [STROKE, "simulate", str(PATIENTS), "--seed", "7", "--format", "ndjson"]
    made = subprocess.run(command, capture_output=True, check=True)
    file = folder / "patients.ndjson"
    file.write_bytes(made.stdout)
    return str(file)


def main() -> int:
    chosen = options(__doc__, on_sqlite=True, at_random=True)
    warn_when_busy()
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        database = held.enter_context(databases(folder, sqlite=chosen.sqlite))
        models = {"plain": str(plain_model(folder)), "context": str(SHIPPED / DEFAULT)}
        every = [
            held.enter_context(
                stroke_server(
                    name, {"STROKE_DATABASE_URL": database(name), "SAVED_MODEL": models[name]}
                )
            )
            for name in models
        ]
        if not chosen.at_random:
            patients = simulated(folder)
            every = [replace(server, patients=patients) for server in every]
        for server in every:
            server.drive(chosen.connections, 2)  # warm caches and the connection pool
        rounds = take_turns(
            every, rounds=chosen.rounds, connections=chosen.connections, seconds=chosen.seconds
        )
    summarise(rounds)
    rate, p50, p99, cpu = ratios(rounds["context"], rounds["plain"])
    print(f"ratio    {rate:>8.2f}{p50:>9.2f}{p99:>9.2f}{cpu:>12.2f}   goal: rate >= 0.95")
    return 0 if all_served(rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
