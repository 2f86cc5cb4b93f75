"""Labelled patients, as a model is measured on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from builders.predictions import patient_json
from stroke.adapters.training.data import LabelledPatients, read_labelled
from stroke.container.imports import labelled_rows
from stroke.domain.features import RAW_FEATURES, TEXT_FEATURES


@pytest.fixture
def labelled(tmp_path: Path) -> LabelledPatients:
    """Two hundred patients, every second with a stroke, every fourth without a BMI."""
    lines = [",".join([*RAW_FEATURES, "stroke"])]
    for number in range(200):
        row = {**patient_json(), "age": number % 90, "stroke": number % 2}
        if number % 4 == 0:
            row["bmi"] = "N/A"
        lines.append(",".join(str(row[name]) for name in (*RAW_FEATURES, "stroke")))
    file = tmp_path / "labelled.csv"
    file.write_text("\n".join(lines) + "\n")
    with labelled_rows(file) as table:
        return read_labelled(file, table.rows)


def test_patients_with_a_missing_measurement_are_left_out_with_their_outcomes(
    labelled: LabelledPatients,
) -> None:
    complete = labelled.who_have(["bmi"])

    assert (len(labelled), len(complete)) == (200, 150)
    assert complete.outcome.tolist() == [number % 2 for number in range(200) if number % 4]
    ages = complete.columns()["age"].tolist()
    assert ages == [number % 90 for number in range(200) if number % 4]
    assert len(labelled.who_have([])) == 200
    assert len(labelled.who_have(["bmi"]).who_have(["bmi"])) == 150


def test_columns_are_what_a_model_takes(labelled: LabelledPatients) -> None:
    columns = labelled.who_have(["bmi"]).columns()

    assert tuple(columns) == RAW_FEATURES
    for name, values in columns.items():
        assert values.shape == (150,)
        assert values.dtype == (object if name in TEXT_FEATURES else np.float64)
    assert not np.isnan(columns["bmi"]).any()
