"""From which size on Spark pays: both engines on the same tables, on the cores of one machine.

Fills Iceberg tables of growing size on a local S3 server, as bench/analytics.py does, and makes all
tables that have no row per patient: in one process (DuckDB), and with Spark in `local[*]`, start-up
included. Both run in the image that is shipped.

    .venv/bin/python bench/spark.py [--events 100000 1000000 5000000] [--memory 4g]

Exit code 1 when an engine reads other events than there are; a missed goal is only said.

Goal: at most 45 s with Spark for a million events on 2 cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.lakes import compare, fill, new_table, settings_of

from components.containers import MySqlServer, build_image, mysql_image
from components.figures import counted
from components.object_store import ObjectStore

AT_ONCE = 1_000_000
PER_FILE = 20_000


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--events", type=int, nargs="+", default=[100_000, 1_000_000, 5_000_000])
    options.add_argument("--memory", default="4g", help="of Spark's driver")
    given = options.parse_args()
    image = build_image("spark")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before the start")
    with tempfile.TemporaryDirectory() as name, ExitStack() as servers:
        s3 = servers.enter_context(ObjectStore(Path(name)))
        mysql = MySqlServer(mysql_image())
        mysql.launch()
        servers.callback(mysql.remove)
        for events in given.events:
            settings = settings_of(s3, mysql.new_database().replace("+asyncmy", ""))
            lake = new_table(settings)
            random = np.random.default_rng(7)
            filled = 0
            for first in range(0, events, AT_ONCE):
                some = min(AT_ONCE, events - first)
                filled += fill(lake, random, first, some, max(some // PER_FILE, 1))
            alone = run(image, settings, filled, "duckdb")
            spark = run(
                image, settings, filled, "spark", "--master", "local[*]", memory=given.memory
            )
            compare(f"{events:,} events, one process", alone, 10 * max(events / 1e6, 1), "s")
            compare(f"{events:,} events, Spark", spark, 45 * max(events / 1e6, 1), "s")
            print(f"  ratio of Spark to one process: {spark / alone:.2f}", flush=True)


def run(
    image: str,
    settings: dict[str, str],
    events: int,
    engine: str,
    *more: str,
    memory: str = "1g",
) -> float:
    settings = settings | {"PYSPARK_SUBMIT_ARGS": f"--driver-memory {memory} pyspark-shell"}
    command = ["docker", "run", "--rm", "--network", "host", "--read-only", "--tmpfs", "/tmp"]  # noqa: S108
    command += [f"--env={key}={value}" for key, value in settings.items()]
    command += [image, "stroke", "analytics", "run", "--engine", engine, *more]
    began = time.monotonic()
    done = subprocess.run(
        [*command, "--output", "/tmp/reports", "--json"],  # noqa: S108
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.monotonic() - began
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    said = json.loads(done.stdout)
    print(f"{engine}: {said['events']:,} events, {said['predictions']:,} predictions")
    counted(f"events of {engine}", said["events"], events)
    return took


if __name__ == "__main__":
    main()
