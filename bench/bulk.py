"""How fast `stroke predict` is, as a ratio to what pyarrow takes to read and write the same file.

    python bench/bulk.py [--rows 1000000]

All figures come from one run on one machine. The baseline parses the CSV with pyarrow's
streaming reader and writes it again with its writer: no validation, no score, no line numbers.
Exit code 1 when a file comes out with other rows than went in.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.costs import STROKE, timed

from components.figures import counted
from stroke.config import Settings
from stroke.container.service import Container
from stroke.domain.features import RAW_FEATURES, TEXT_FEATURES

RUNS = 3
GRAPH_PATIENTS = 10_000
BASELINE = """
import sys
import pyarrow.csv as csv
with csv.open_csv(sys.argv[1]) as reader, csv.CSVWriter(sys.argv[2], reader.schema) as writer:
    for batch in reader:
        writer.write_batch(batch)
"""


def graph_milliseconds(patients: str) -> float:
    """Return the median time of one call for 10,000 patients."""
    model = Container(settings=Settings.load()).model()
    rows = list(csv.DictReader(io.StringIO(patients)))
    columns = {
        name: np.array([row[name] for row in rows], object if name in TEXT_FEATURES else float)
        for name in RAW_FEATURES
    }
    times = []
    for _ in range(20):
        started = perf_counter()
        model.score(columns)
        times.append(perf_counter() - started)
    return 1000 * statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    count = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/patients.csv", f"{folder}/scored.csv"
        simulated = timed([STROKE, "simulate", str(count), "--output", source])
        baseline, predicted = [], []
        for _ in range(RUNS):  # in turn, so that noise falls on both
            baseline.append(timed([sys.executable, "-c", BASELINE, source, target]))
            predicted.append(timed([STROKE, "predict", source, "--output", target]))
            with Path(target).open(newline="") as scored:
                counted("scored rows", sum(1 for _ in csv.DictReader(scored)), count)
        sample = subprocess.run(
            [STROKE, "simulate", str(GRAPH_PATIENTS)], check=True, capture_output=True, text=True
        )
    fastest, plain = min(predicted), min(baseline)
    cpu = min(cost.cpu for cost in predicted), min(cost.cpu for cost in baseline)
    figures = {
        "rows": count,
        "simulate_rows_per_second": round(count / simulated.seconds),
        "predict_rows_per_second": round(count / fastest.seconds),
        "predict_rows_per_cpu_second": round(count / cpu[0]),
        "pyarrow_read_write_rows_per_second": round(count / plain.seconds),
        "predict_to_pyarrow_time_ratio": round(fastest.seconds / plain.seconds, 2),
        "predict_to_pyarrow_cpu_ratio": round(cpu[0] / cpu[1], 2),
        "predict_peak_mib": round(max(cost.mib for cost in predicted)),
        "graph_10000_patients_ms": round(graph_milliseconds(sample.stdout), 1),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
