"""What a shadow costs those who wait: durable predictions per second with one and without.

Two `stroke serve` (one worker each, a database each) take turns under wrk: `plain` has no shadow,
`shadow` has one, the shipped model under another version, whose scores are stored. What counts is
the median of the ratios of neighbouring rounds; CPU time per request is what noise disturbs least,
and counts what the shadow does, too. After each round the shadow gets a moment for what still
waits: its work must not fall into the other server's round. At its end the bench prints how many
of the answered patients were compared and stored, and how many were dropped.

    .venv/bin/python bench/shadow.py [--sqlite] [--rounds 15] [--seconds 3] [--connections 32]

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
from contextlib import ExitStack
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


def begin_shadow(server: Server) -> None:
    """Make the other model a shadow, and wait until the server follows."""
    wish = json.dumps({"action": "shadow", "model": "other"}).encode()
    address = f"{server.address}/api/v1/models/deployment"
    headers = {"Content-Type": "application/json"}
    asked = urllib.request.Request(address, wish, headers)  # noqa: S310 - our own http address
    urllib.request.urlopen(asked).close()  # noqa: S310 - our own http address
    deadline = time.monotonic() + FOLLOW_SECONDS
    while time.monotonic() < deadline:
        with urllib.request.urlopen(address) as answer:  # noqa: S310 - as above
            if json.load(answer)["served_here"]["shadows"] == [OTHER]:
                return
        time.sleep(FOLLOW_PAUSE)
    raise RuntimeError("the server does not follow")


def fate_of_patients(server: Server) -> dict[str, float]:
    """Return what became of the patients: compared, and left out by the reason."""
    with urllib.request.urlopen(f"{server.address}/metrics") as answer:  # noqa: S310 - as above
        text = answer.read().decode()
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "stroke_shadow_compared_total":
                found["compared"] = found.get("compared", 0) + sample.value
            if sample.name == "stroke_shadow_left_out_total":
                found[sample.labels["reason"]] = sample.value
    return found


def main() -> int:
    chosen = options(__doc__, on_sqlite=True)
    warn_when_busy()
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        store = str(store_with_another(folder))
        database = held.enter_context(databases(folder, sqlite=chosen.sqlite))
        every = [
            held.enter_context(
                stroke_server(
                    name, {"STROKE_DATABASE_URL": database(name), "STROKE_MODEL_STORE": store}
                )
            )
            for name in ("plain", "shadow")
        ]
        begin_shadow(every[1])
        for server in every:
            server.drive(chosen.connections, 2)  # warm caches and the connection pool
        rounds: dict[str, list[Round]] = {server.name: [] for server in every}
        print(f"{'':<9}{'req/s':>8}{'p50 ms':>9}{'p99 ms':>9}{'CPU us/req':>12}{'non-2xx':>9}")
        for _ in range(chosen.rounds):
            for server in every:
                time.sleep(SETTLE_SECONDS)
                rounds[server.name].append(server.drive(chosen.connections, chosen.seconds))
                show(server, rounds[server.name][-1])
        time.sleep(SETTLE_SECONDS)
        became = fate_of_patients(every[1])
    summarise(rounds)
    rate, p50, p99, cpu = ratios(rounds["shadow"], rounds["plain"])
    print(f"ratio    {rate:>8.2f}{p50:>9.2f}{p99:>9.2f}{cpu:>12.2f}   goal: rate >= 0.95")
    print("the shadow: " + ", ".join(f"{name} {count:.0f}" for name, count in became.items()))
    return 0 if all_served(rounds) and became.get("compared", 0) > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
