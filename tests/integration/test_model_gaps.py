"""`stroke model` and patients who lack measurements, as its users run it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from pathlib import Path

import pytest

from components.processes import STROKE, environment
from stroke.adapters.onnx.store import DEFAULT, SHIPPED

COUNT = 400


def stroke(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [str(STROKE), *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a CSV of simulated patients with gaps, of whom the oldest had a stroke."""
    folder = tmp_path_factory.mktemp("labelled")
    patients = list(
        csv.DictReader(io.StringIO(stroke(folder, "simulate", str(COUNT), "--missing", "0.3")))
    )
    old = sorted(range(COUNT), key=lambda at: -float(patients[at]["age"]))[: COUNT // 4]
    file = folder / "labelled.csv"
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [*patients[0], "stroke"])
        writer.writeheader()
        for at, patient in enumerate(patients):
            writer.writerow({**patient, "stroke": int(at in old)})
    return file


def test_patients_with_gaps_are_evaluated_by_the_companions(labelled: Path) -> None:
    report = json.loads(
        stroke(labelled.parent, "model", "evaluate", "--data", str(labelled), "--json")
    )
    assert (report["rows"], report["left_out"]) == (COUNT, 0)
    assert set(report["variants"]) == {
        "full",
        "without bmi",
        "without avg_glucose_level",
        "without avg_glucose_level and bmi",
    }
    assert sum(report["variants"].values()) == COUNT
    assert report["metrics"]["auc"]["value"] > 0.9


def test_a_model_without_companions_is_evaluated_without_them(
    labelled: Path, tmp_path: Path
) -> None:
    graph = str(SHIPPED / DEFAULT / "model.onnx")
    with labelled.open(newline="") as stream:
        gaps = sum(not (row["bmi"] and row["avg_glucose_level"]) for row in csv.DictReader(stream))
    report = stroke(tmp_path, "model", "evaluate", "--data", str(labelled), "-m", graph)
    assert f" on {COUNT - gaps:,} patients" in report
    assert f"{gaps:,} patients were left out: the model needs avg_glucose_level and bmi" in report


def test_every_companion_is_verified_and_shown(tmp_path: Path) -> None:
    report = json.loads(stroke(tmp_path, "model", "verify", "--json"))
    assert report["sound"] is True
    assert len(report["variants"]) == 4
    shown = stroke(tmp_path, "model", "show")
    for name in report["variants"][1:]:
        assert f"{name}: Medium from " in shown
    assert "of the AUC on the same 4,909 patients" in shown
