"""`stroke drift report`, and the drift that several workers tell together."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from builders.predictions import patient_json
from components.processes import Service, run_stroke

NAME = "Canary Nomen"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return run_stroke(*arguments, folder=tmp_path, within=120, settings=settings)

    return run


def test_simulated_patients_are_like_those_of_the_training_data_and_old_ones_are_not(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    assert run("db", "upgrade").returncode == 0
    assert run("simulate", "3000", "--seed", "3", "--output", "p.csv").returncode == 0
    assert run("predict", "p.csv", "--output", "s.csv", "--store").returncode == 0

    well = run("drift", "report", "--json")
    report = {each["feature"]: each for each in json.loads(well.stdout)["features"]}
    assert well.returncode == 0, well.stdout
    assert len(report) == 8
    assert all(each["samples"] == 3000 and each["psi"] < 0.25 for each in report.values())
    assert run("drift", "report", "--until", "2000-01-01").stdout.count("too few to say") == 8

    with Service(tmp_path) as service:
        old = [patient_json(age=95.0, name=NAME) for _ in range(3000)]
        httpx.post(
            f"{service.url}/api/v1/predictions:batch", json={"patients": old}, timeout=60
        ).raise_for_status()
    ill = run("drift", "report", "--html", "drift.html", "--json")

    assert ill.returncode == 1
    drifted = [e["feature"] for e in json.loads(ill.stdout)["features"] if e["drifted"]]
    assert "age" in drifted
    page = (tmp_path / "drift.html").read_text()
    assert page.count("<svg ") == page.count('role="img"') == 8
    assert not re.search(r"(?:src|href)=.(?!#)|<script|@import|url\((?!#)", page)
    assert NAME not in page + ill.stdout + ill.stderr


def test_a_database_that_is_not_there_is_one_line(
    run: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run("drift", "report")

    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "stroke db upgrade" in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_metrics_tell_the_drift_of_all_workers(workers: str, tmp_path: Path) -> None:
    with Service(tmp_path, STROKE_HTTP_WORKERS=workers) as service:
        for _ in range(30):  # each over a connection of its own, for either worker to take
            assert httpx.post(f"{service.url}/predict", json=patient_json(), timeout=60).is_success
        for _ in range(4):
            lines = httpx.get(f"{service.url}/metrics", timeout=60).text.splitlines()
            samples = [line for line in lines if line.startswith("stroke_drift_samples{")]
            assert len(samples) == 8
            assert {line.rpartition(" ")[2] for line in samples} == {"30.0"}
            assert sum(line.startswith("stroke_drift_psi{") for line in lines) == 8
            assert "stroke_commit_size_sum 30.0" in lines


def test_what_is_switched_off_is_not_counted(tmp_path: Path) -> None:
    with Service(tmp_path, STROKE_DRIFT_ENABLED="false") as service:
        assert httpx.post(f"{service.url}/predict", json=patient_json(), timeout=60).is_success
        assert "stroke_drift_psi{" not in httpx.get(f"{service.url}/metrics", timeout=60).text
