"""The embedded analyses of a million events, from S3 to all tables.

Fills an Iceberg table on a local S3 server (moto's) with a change log: creations, a tenth of them
updated, a hundredth deleted. Then `stroke analytics run` makes all tables that have no row per
patient, in a process of its own, and pyiceberg alone reads the same columns: the baseline. After
one more percent of events it runs again.

    .venv/bin/python bench/analytics.py [--events 1000000] [--files 50]

Exit code 1 when a run reads other events than there are; a missed goal is only said.

Goals: at most 10 s, and 2 GB, for a million events on 2 cores; for one more percent at most a tenth
of that beyond the start, which is that of `stroke analytics run` on an empty table.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.lakes import baseline, compare, fill, new_lake, options

from components.figures import counted
from components.processes import STROKE, cost_of


def main() -> None:
    given = options(__doc__)
    with new_lake() as (folder, settings, lake):
        random = np.random.default_rng(7)
        start, _ = run(folder, settings, "empty", 0)
        events = fill(lake, random, 0, given.events, given.files)
        bare = baseline(lake, events)
        took, peak = run(folder, settings, "reports", events)
        more = fill(lake, random, given.events, given.events // 100, 1)
        again, _ = run(folder, settings, "reports", more)
    print(f"pyiceberg alone reads the columns in {bare:.1f} s")
    compare("all tables, start-up included", took, 10, "s")
    print(f"  ratio to the baseline: {took / bare:.2f}")
    compare("memory at its highest", peak, 2_000, "MiB")
    print(f"start-up: {start:.1f} s")
    compare("all tables again, after 1 % more events", again, took / 10 + start, "s")


def run(folder: Path, settings: dict[str, str], output: str, events: int) -> tuple[float, float]:
    options = ("--output", output, "--checkpoint", f"{output}.kept", "--json")
    cost = cost_of(
        [STROKE, "analytics", "run", *options], folder=folder, settings=settings, stderr=None
    )
    if cost.exit_code != 0:
        raise SystemExit("the analyses failed")
    said = json.loads(cost.stdout)
    print(f"{said['events']:,} events, {said['predictions']:,} predictions")
    counted("events of the analyses", said["events"], events)
    return cost.seconds, cost.mib


if __name__ == "__main__":
    main()
