"""A million predictions of the change log in S3, scored again by another model and by their own.

Fills an Iceberg table on a local S3 server (moto's) as `bench/analytics.py` does. Then
`stroke model replay --source iceberg` runs in a process of its own: once over half of the events,
and once over all, which shows that memory does not grow; and pyiceberg alone reads the columns.

    .venv/bin/python bench/replay.py [--events 1000000] [--files 50]

Exit code 1 when a run reads other rows than there are; a missed goal is only said.

Goals: at least 200,000 rows/s, start-up included; for twice the rows at most 1.25 x the memory.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.lakes import baseline, fill, new_lake, options

from components.figures import counted, read
from components.processes import STROKE, cost_of


def main() -> None:
    given = options(__doc__)
    with new_lake() as (folder, settings, lake):
        random = np.random.default_rng(7)
        # With no row before it, every event is the creation of another prediction.
        half = fill(lake, random, 0, given.events // 2, 1)
        _, little = replay(folder, settings, half)
        rest = fill(lake, random, half, given.events - half, given.files)
        bare = baseline(lake, half + rest)
        took, much = replay(folder, settings, None)
    print(f"pyiceberg alone reads the columns in {bare:.1f} s; ratio {took / bare:.2f}")
    rate = read("rows a second", (half + rest) / took)
    print(f"{rate:,.0f} events/s, start-up included (goal >= 200,000)")
    growth = read("memory", much / little)
    print(f"memory {much:,.0f} MiB, {growth:.2f} x that of half (goal <= 1.25)")


def replay(folder: Path, settings: dict[str, str], rows: int | None) -> tuple[float, float]:
    """Return the seconds and the most MiB of a run."""
    cost = cost_of(
        [STROKE, "model", "replay", "--source", "iceberg", "--json"],
        folder=folder,
        settings=settings,
        stderr=None,
    )
    if cost.exit_code != 0:
        raise SystemExit("the replay failed")
    report = json.loads(cost.stdout)
    print(
        f"{report['compared']:,} of {report['rows']:,} predictions compared in "
        f"{cost.seconds:.1f} s, {cost.cpu:.1f} s of CPU"
    )
    if rows is not None:
        counted("predictions", report["rows"], rows)
    counted("compared", report["compared"], report["rows"])
    return cost.seconds, cost.mib


if __name__ == "__main__":
    main()
