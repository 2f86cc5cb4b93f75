"""What a shadow costs those who wait: durable predictions per second with one and without.

One `stroke serve` (one worker) is driven by wrk, in turn with a shadow and without: the shipped
model under another version, whose scores are stored. Two processes of the same program differ by
more than a shadow costs, so both are rounds of one process; and several processes are started, one
after the other. What counts is the median of the ratios of neighbouring rounds; CPU time per
request is what noise disturbs least, and counts what the shadow does, too. Between rounds the
shadow gets a moment for what still waits: its work must not fall into the other round. At its end
the bench prints how many of the answered patients were compared and stored, and how many dropped.

    .venv/bin/python bench/shadow.py [--sqlite] [--starts 3] [--rounds 8] [--seconds 3]
        [--connections 32]

Needs wrk (Debian's package), and a Docker engine for the MySQL that it uses without `--sqlite`.
Refused requests fail the bench; a missed goal is only said. Goal: rate >= 0.95.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.service import (
    Round,
    Server,
    all_served,
    databases,
    options,
    ratios,
    show,
    stroke_server,
    summarise,
    warn_when_busy,
)
from prometheus_client.parser import text_string_to_metric_families

from stroke.adapters.onnx.manifest import MANIFEST
from stroke.adapters.onnx.store import DEFAULT, SHIPPED

PLAIN, SHADOW = NAMES = ("plain", "shadow")
OTHER = "bench-shadow-1"
SETTLE_SECONDS = 1.0
FOLLOW_SECONDS = 10.0
FOLLOW_PAUSE = 0.2


def store_with_another(folder: Path) -> Path:
    """Write a store with the shipped model under another version."""
    copied = folder / "models" / "other"
    shutil.copytree(SHIPPED / DEFAULT, copied)
    manifest = copied / MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": OTHER}))
    return copied.parent


def set_shadow(server: Server, name: str) -> None:
    """Begin the shadow, or stop it, and wait until the server follows."""
    if name == SHADOW:
        wished, served = {"action": "shadow", "model": "other"}, [OTHER]
    else:
        wished, served = {"action": "shadow-stop"}, []
    address = f"{server.address}/api/v1/models/deployment"
    headers = {"Content-Type": "application/json"}
    wish = json.dumps(wished).encode()
    asked = urllib.request.Request(address, wish, headers)  # noqa: S310 - our own http address
    urllib.request.urlopen(asked).close()  # noqa: S310 - our own http address
    deadline = time.monotonic() + FOLLOW_SECONDS
    while time.monotonic() < deadline:
        with urllib.request.urlopen(address) as answer:  # noqa: S310 - as above
            if json.load(answer)["served_here"]["shadows"] == served:
                return
        time.sleep(FOLLOW_PAUSE)
    raise RuntimeError("the server does not follow")


def fate_of_patients(server: Server) -> dict[str, int]:
    """Return what became of the patients: compared, and left out by the reason."""
    with urllib.request.urlopen(f"{server.address}/metrics") as answer:  # noqa: S310 - as above
        text = answer.read().decode()
    found: dict[str, int] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "stroke_shadow_compared_total":
                found["compared"] = found.get("compared", 0) + int(sample.value)
            if sample.name == "stroke_shadow_left_out_total":
                found[sample.labels["reason"]] = int(sample.value)
    return found


def main() -> int:
    chosen = options(__doc__, rounds=8, starts=3, on_sqlite=True)
    warn_when_busy()
    rounds: dict[str, list[Round]] = {name: [] for name in NAMES}
    became: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as made, ExitStack() as held:
        folder = Path(made)
        store = str(store_with_another(folder))
        database = held.enter_context(databases(folder, sqlite=chosen.sqlite))
        for start in range(chosen.starts):
            settings = {
                "STROKE_DATABASE_URL": database(f"shadow-{start}"),
                "STROKE_MODEL_STORE": store,
            }
            with stroke_server("shadow", settings) as server:
                server.drive(chosen.connections, 2)  # warm caches and the connection pool
                served = PLAIN
                for name in (SHADOW, PLAIN, PLAIN, SHADOW) * (chosen.rounds // 2):
                    if name != served:
                        set_shadow(server, name)
                        served = name
                    time.sleep(SETTLE_SECONDS)
                    driven = replace(server, name=name)
                    rounds[name].append(driven.drive(chosen.connections, chosen.seconds))
                    show(driven, rounds[name][-1])
                time.sleep(SETTLE_SECONDS)
                became.update(fate_of_patients(server))
    summarise(rounds)
    rate, p50, p99, cpu = ratios(rounds[SHADOW], rounds[PLAIN])
    print(f"ratio    {rate:>8.2f}{p50:>9.2f}{p99:>9.2f}{cpu:>12.2f}   goal: rate >= 0.95")
    print("the shadow: " + ", ".join(f"{name} {count}" for name, count in became.items()))
    return 0 if all_served(rounds) and became["compared"] > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
