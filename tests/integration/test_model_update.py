"""`stroke model update`, as users run it."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders.predictions import today
from components.processes import run_stroke

SHIPPED = "stroke-spline-lr"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_stroke(*arguments, folder=tmp_path, within=900)

    return run


def write_outcomes(
    folder: Path, intercept: float, slope: float, *, of_smokers: float = 0.0
) -> list[dict[str, Any]]:
    """Write ``labelled.csv`` and ``outcomes.csv`` for the scored rows; the log-odds are moved."""
    with (folder / "s.csv").open() as file:
        rows = list(csv.DictReader(file))
    risk = np.array([float(row["probability"]) for row in rows])
    smokes = np.array([row["smoking_status"] == "smokes" for row in rows])
    log_odds = intercept + slope * np.log(risk / (1 - risk)) + of_smokers * smokes
    struck = np.random.default_rng(3).random(len(rows)) < 1 / (1 + np.exp(-log_odds))
    labelled: list[dict[str, Any]] = [
        {**row, "stroke": int(y), "site": "south" if at % 10 == 0 else "north"}
        for at, (row, y) in enumerate(zip(rows, struck.tolist(), strict=True))
    ]
    with (folder / "labelled.csv").open("w") as file:
        table = csv.DictWriter(file, list(labelled[0]))
        table.writeheader()
        table.writerows(labelled)
    if "prediction_id" in rows[0]:
        with (folder / "outcomes.csv").open("w") as file:
            outcomes = csv.writer(file)
            outcomes.writerow(["prediction_id", "stroke", "date", "source"])
            outcomes.writerows(
                [row["prediction_id"], row["stroke"], today(), "register"] for row in labelled
            )
    return labelled


def scored(run: Run, rows: int, *options: str) -> None:
    assert run("simulate", str(rows), "--seed", "3", "--output", "p.csv").returncode == 0
    assert run("predict", "p.csv", "--output", "s.csv", *options).returncode == 0


def test_outcomes_make_a_new_model_that_can_be_served(run: Run, tmp_path: Path) -> None:
    assert run("db", "upgrade").returncode == 0
    scored(run, 5_000, "--store")
    labelled = write_outcomes(tmp_path, 0.5, 0.8)
    assert run("outcomes", "import", "outcomes.csv").returncode == 0

    refused = run("model", "update", "--name", "x")
    named = ("--name", "recalibrated")
    done = run("model", "update", "--from-outcomes", *named, "--json")
    again = run("model", "update", "--from-outcomes", *named)
    by_file = ("--data", "labelled.csv", "--model", "recalibrated", "--dry-run")
    unneeded = run("model", "update", "--from-outcomes", *by_file)

    assert refused.returncode == 2
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["written"] == found["manifest"]["version"]
    assert found["method"] == "intercept and slope"
    assert found["patients"] == len(labelled)
    assert found["strokes"] == sum(row["stroke"] for row in labelled)
    for name, truth in (("intercept", 0.5), ("slope", 0.8)):
        assert found["line"][name]["low"] < truth < found["line"][name]["high"]
    assert again.returncode == 1
    assert "--replace" in again.stderr
    assert unneeded.returncode == 3
    assert "no update needed" in unneeded.stdout
    assert run("model", "verify", "--model", "recalibrated").returncode == 0
    [listed] = [
        each
        for each in json.loads(run("model", "list", "--long", "--json").stdout)
        if each["name"] == "recalibrated"
    ]
    assert listed["parent_version"] == found["parent"]
    assert listed["data_sha256"] == found["manifest"]["updated"]["data_sha256"]


def test_too_few_outcomes_are_refused_and_a_small_site_is_drawn_towards_all(
    run: Run, tmp_path: Path
) -> None:
    scored(run, 4_000)
    write_outcomes(tmp_path, 0.5, 1.0)
    by_file = ("--data", "labelled.csv", "--dry-run", "--json")

    small = run("model", "update", "--from-outcomes", *by_file, "--site", "south")
    nowhere = run("model", "update", "--from-outcomes", *by_file, "--site", "nowhere")
    with (tmp_path / "labelled.csv").open() as file:
        head = file.readlines()[:300]
    (tmp_path / "labelled.csv").write_text("".join(head))
    few = run("model", "update", "--from-outcomes", *by_file)

    found = json.loads(small.stdout)
    assert found["needed"]
    assert found["written"] is None
    assert not list(tmp_path.rglob("model.onnx"))
    assert found["shrinkage"]["sites"] == 2
    assert found["shrinkage"]["patients"] == 400
    assert found["patients"] == 4_000
    assert nowhere.returncode == few.returncode == 1
    assert "nowhere" in nowhere.stderr
    assert "100 strokes" in few.stderr


@pytest.mark.soak("it trains a model, for a minute or two")
@pytest.mark.timeout(1200)  # on a machine that does much else
def test_features_that_act_otherwise_are_refitted(run: Run, tmp_path: Path) -> None:
    scored(run, 6_000)
    write_outcomes(tmp_path, 1.0, 1.0, of_smokers=1.5)

    done = run("model", "update", "--from-outcomes", "--data", "labelled.csv", "--name", "refit")

    assert done.returncode == 0, done.stderr
    assert "chosen: refit" in done.stdout
    shown = json.loads(run("model", "show", "--model", "refit", "--json").stdout)
    assert shown["updated"]["method"] == "refit"
    assert shown["training"]["rows"] == 6_000
    assert shown["metrics"]["calibration_slope"]["low"] < 1
    assert run("model", "verify", "--model", "refit").returncode == 0
