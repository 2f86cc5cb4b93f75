"""Evidently's index of every column of two files. Runs in .venv-evidently, not in a test's process.

    .venv-evidently/bin/python tests/components/evidently_psi.py REFERENCE.csv CURRENT.csv

A column of numbers is binned by evidently; one of words is taken as categories. Prints one JSON
object: the index by column.
"""

from __future__ import annotations

import json
import sys

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift


def main() -> None:
    reference, current = (pd.read_csv(path) for path in sys.argv[1:3])
    numbers = list(reference.select_dtypes("number"))
    columns = DataDefinition(
        numerical_columns=numbers,
        categorical_columns=[name for name in reference if name not in numbers],
    )
    report = Report([ValueDrift(column=name, method="psi") for name in reference])
    found = report.run(
        Dataset.from_pandas(current, columns), Dataset.from_pandas(reference, columns)
    ).dict()
    json.dump({each["config"]["column"]: each["value"] for each in found["metrics"]}, sys.stdout)


if __name__ == "__main__":
    main()
