"""Two models on a million labelled patients of 20 sites: the memory beside that for a quarter.

`stroke simulate` makes the patients. Whether one had a stroke is drawn by age, and sites by their
order. `stroke model compare` runs in a process of its own for each number of patients.

    .venv/bin/python bench/compare.py [--patients 1000000]

Exit code 1 when a run compares other patients than there are; a missed goal is only said.

Goal: for four times the patients at most 1.1 x the memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.costs import STROKE, timed

from components.figures import counted, read
from components.processes import cost_of

FIRST = "stroke-spline-lr"
SECOND = "tests/integration/models/stroke-spline-lr-e9b54b6f8e26.onnx"
SITES = 20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, default=1_000_000)
    patients = parser.parse_args().patients
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labelled = with_outcomes(folder, patients)
        _, little = compare(folder, labelled.slice(0, patients // 4))
        took, much = compare(folder, labelled)
    print(f"{read('patients a second', patients / took):,.0f} patients/s, start-up included")
    growth = read("memory", much / little)
    print(f"memory {much:,.0f} MiB, {growth:.2f} x that of a quarter (goal <= 1.1)")


def with_outcomes(folder: Path, patients: int) -> pa.Table:
    """Return simulated patients with columns ``stroke`` and ``site``."""
    file = folder / "patients.csv"
    timed([STROKE, "simulate", str(patients), "--seed", "3", "--output", str(file)])
    table = pa.csv.read_csv(file)
    age = table.column("age").to_numpy()
    struck = np.random.default_rng(3).random(patients) < 0.3 / (1 + np.exp((75 - age) / 8))
    sites = [f"site {number}" for number in range(SITES)]
    numbers = pa.array(np.arange(patients) % SITES, pa.int32())
    return table.append_column("stroke", pa.array(struck.astype(np.int64))).append_column(
        "site", pa.DictionaryArray.from_arrays(numbers, sites).cast(pa.string())
    )


def compare(folder: Path, labelled: pa.Table) -> tuple[float, float]:
    """Return the seconds and the most MiB of a run."""
    file = folder / "labelled.parquet"
    pa.parquet.write_table(labelled, file, row_group_size=1 << 16)
    cost = cost_of([STROKE, "model", "compare", FIRST, SECOND, "--data", file, "--json"])
    if cost.exit_code not in (0, 1):
        raise SystemExit("the comparison failed")
    report = json.loads(cost.stdout)
    whole = report["groups"][0]
    counted("patients", whole["samples"], len(labelled))
    print(
        f"{whole['samples']:,} patients, {len(report['groups'])} groups in {cost.seconds:.1f} s, "
        f"{cost.cpu:.1f} s of CPU, {read('memory', cost.mib):,.0f} MiB"
    )
    return cost.seconds, cost.mib


if __name__ == "__main__":
    main()
