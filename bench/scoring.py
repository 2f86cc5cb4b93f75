"""How fast `stroke score` is, as a ratio to what pyarrow takes to read and write the same file.

    python bench/scoring.py [--rows 5000000]

All figures come from one run on one machine, of whole processes with their start. The baseline
reads the Parquet file with pyarrow and writes it again, compressed alike: no check, no score.
Exit code 1 when a file comes out with other rows than went in.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import pyarrow.csv as pacsv
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.costs import STROKE, timed

from components.figures import counted

RUNS = 3
SIMULATED = 1_000_000
BASELINE = """
import sys
import pyarrow.parquet as pq
source = pq.ParquetFile(sys.argv[1])
with pq.ParquetWriter(sys.argv[2], source.schema_arrow, compression="zstd") as writer:
    for batch in source.iter_batches(batch_size=131072):
        writer.write_batch(batch)
"""


def write_patients(folder: str, count: int) -> str:
    """Write a Parquet file of so many rows: a million simulated patients over and over."""
    text, target = f"{folder}/patients.csv", f"{folder}/patients.parquet"
    timed([STROKE, "simulate", str(min(count, SIMULATED)), "--output", text])
    table = pacsv.read_csv(text)
    with pq.ParquetWriter(target, table.schema) as writer:
        for start in range(0, count, SIMULATED):
            writer.write_table(table.slice(0, min(SIMULATED, count - start)))
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    count = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        source, target = write_patients(folder, count), f"{folder}/scored.parquet"
        baseline, scored = [], []
        for _ in range(RUNS):  # in turn, so that noise falls on both
            baseline.append(timed([sys.executable, "-c", BASELINE, source, target]))
            scored.append(timed([STROKE, "score", source, target]))
            counted("scored rows", pq.read_metadata(target).num_rows, count)
    fastest, plain = min(scored), min(baseline)
    cpu = min(cost.cpu for cost in scored), min(cost.cpu for cost in baseline)
    figures = {
        "rows": count,
        "score_rows_per_second": round(count / fastest.seconds),
        "score_rows_per_cpu_second": round(count / cpu[0]),
        "pyarrow_read_write_rows_per_second": round(count / plain.seconds),
        "score_to_pyarrow_time_ratio": round(fastest.seconds / plain.seconds, 2),
        "score_to_pyarrow_cpu_ratio": round(cpu[0] / cpu[1], 2),
        "score_peak_mib": round(max(cost.mib for cost in scored)),
        "cpus": os.cpu_count(),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
