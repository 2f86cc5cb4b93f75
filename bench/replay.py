"""A million predictions of the change log in S3, scored again by another model and by their own.

Fills an Iceberg table on a local S3 server (moto's) as `bench/analytics.py` does. Then
`stroke model replay --source iceberg` runs in a process of its own: once over half of the events,
and once over all, which shows that memory does not grow; and pyiceberg alone reads the columns.

    .venv/bin/python bench/replay.py [--events 1000000] [--files 50]

Exit code 1 when a run reads other rows than there are; a missed goal is only said.

Goals: at least 200,000 rows/s, start-up included; for twice the rows at most 1.25 x the memory.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from bench.analytics import a_lake, baseline, fill, make  # noqa: E402

from components.figures import counted, read  # noqa: E402
from components.object_store import ObjectStore  # noqa: E402
from components.processes import STROKE, environment  # noqa: E402


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--events", type=int, default=1_000_000)
    options.add_argument("--files", type=int, default=50)
    given = options.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before the start")
    with tempfile.TemporaryDirectory() as name, ObjectStore(Path(name)) as s3:
        folder = Path(name)
        settings = {
            "STROKE_LAKE_CATALOG_URI": f"sqlite:///{folder / 'catalog.db'}",
            "STROKE_LAKE_BUCKET": s3.new_bucket(),
            "STROKE_LAKE_ENDPOINT": s3.endpoint,
            "STROKE_LAKE_PATH_STYLE": "true",
            "STROKE_LAKE_ACCESS_KEY_ID": "local",
            "STROKE_LAKE_SECRET_ACCESS_KEY": "local",
        }
        lake = a_lake(settings)
        random = np.random.default_rng(7)
        make(lake)
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
    print(f"memory {much / 1024:,.0f} MiB, {growth:.2f} x that of half (goal <= 1.25)")


def replay(folder: Path, settings: dict[str, str], rows: int | None) -> tuple[float, float]:
    """Return the seconds and the most KiB of a run."""
    began = time.monotonic()
    with (folder / "said").open("wb") as said:
        child = os.posix_spawn(
            str(STROKE),
            [str(STROKE), "model", "replay", "--source", "iceberg", "--json"],
            environment(**settings),
            file_actions=[(os.POSIX_SPAWN_DUP2, said.fileno(), 1)],
        )
        _, status, usage = os.wait4(child, 0)
    took = time.monotonic() - began
    if status != 0:
        raise SystemExit("the replay failed")
    told = json.loads((folder / "said").read_text())
    print(
        f"{told['compared']:,} of {told['rows']:,} predictions compared in {took:.1f} s, "
        f"{usage.ru_utime + usage.ru_stime:.1f} s of CPU"
    )
    if rows is not None:
        counted("predictions", told["rows"], rows)
    counted("compared", told["compared"], told["rows"])
    return took, usage.ru_maxrss


if __name__ == "__main__":
    main()
