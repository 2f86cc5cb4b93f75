"""`stroke model replay` over a service's database and over files."""

from __future__ import annotations

import csv
import json
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import httpx
import pytest

from builders.predictions import patient_json
from components.processes import Service, run_stroke
from stroke.adapters.onnx.store import DEFAULT, SHIPPED

EARLIER = Path(__file__).parent / "models" / "stroke-spline-lr-e9b54b6f8e26.onnx"
NAME = "Canary Nomen"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_stroke(*arguments, folder=tmp_path, within=120)

    return run


def test_what_a_service_stored_is_identical_until_a_row_is_changed(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    with Service(tmp_path) as service, httpx.Client(base_url=service.url, timeout=60) as client:
        people = [
            patient_json(age=20 + number / 4, bmi=None if number % 5 == 0 else 20 + number / 8)
            for number in range(151)
        ]
        for person in people[:20]:
            client.post("/predict", json=person).raise_for_status()
        for size in (1, 3, 64, 63):  # odd numbers of rows round the last digit in another way
            chosen, people = people[:size], people[size:]
            client.post("/api/v1/predictions:batch", json={"patients": chosen}).raise_for_status()

    well = run("model", "replay", "--json")
    found = json.loads(well.stdout)["same"]
    assert (well.returncode, found["rows"], found["identical"]) == (0, 151, 151)

    with sqlite3.connect(tmp_path / "stroke.db") as connection:
        connection.execute("update predictions set probability = probability + 1e-15 where id = 77")
        connection.execute("update predictions set name = ?", (NAME,))
        connection.execute(
            "insert into outcomes (prediction_id, stroke, date, source, recorded_at)"
            " values (5, 1, '2099-01-01', 'register', '2099-01-01 00:00:00')"
        )
    ill = run("model", "replay")
    assert ill.returncode == 1
    assert "1 DIFFERENT" in ill.stdout
    assert "rows 77\n" in ill.stdout
    assert run("model", "replay", "--rounding", "10000").returncode == 0
    assert " 0 stored predictions" in run("model", "replay", "--until", "2000-01-01").stdout

    other = run("model", "replay", "--model", str(EARLIER), "--json")
    report = json.loads(other.stdout)["others"]
    assert other.returncode == 0, other.stderr
    assert report["rows"] + 31 == 151  # whom the earlier model cannot assess: they have no BMI
    assert report["largest"] > 0
    assert (report["net"]["strokes"], report["net"]["others"]) == (1, 0)
    assert NAME not in other.stdout + other.stderr + ill.stdout


def test_a_scored_file_is_replayed_as_csv_and_as_parquet(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    assert run("simulate", "3001", "--seed", "3", "--missing", "0.1", "-o", "p.csv").returncode == 0
    for output in ("s.csv", "s.parquet"):
        assert run("score", "p.csv", output).returncode == 0

        done = run("model", "replay", "--source", output, "--json")

        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["same"]["identical"] == 3001

    with (tmp_path / "s.csv").open() as file, (tmp_path / "few.csv").open("w") as few:
        rows = list(csv.DictReader(file))
        kept = [n for n in rows[0] if n not in {"risk_category", "contributing_factors"}]
        writer = csv.DictWriter(few, kept, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    done = run("model", "replay", "--source", "few.csv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3,001 identical" in done.stdout
    assert "risk_category and contributing_factors not compared" in done.stdout

    (tmp_path / "none.csv").write_text("age,bmi\n1,2\n")
    refused = run("model", "replay", "--source", "none.csv")
    assert refused.returncode == 1
    assert "columns missing from the header: gender" in refused.stderr


def test_without_a_name_the_champion_is_replayed_and_its_parts_are_names(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    copytree(SHIPPED / DEFAULT, tmp_path / "models" / "other")
    manifest = tmp_path / "models" / "other" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": "other-1"}))
    assert run("db", "upgrade").returncode == 0
    assert run("simulate", "50", "--seed", "3", "-o", "p.csv").returncode == 0
    assert run("predict", "p.csv", "--output", "s.csv", "--store").returncode == 0
    before = json.loads(run("model", "replay", "--json").stdout)
    assert before["same"]["identical"] == 50

    assert run("model", "promote", "other", "--reason", "better").returncode == 0

    for command in ((), ("--source", "s.csv"), ("--model", "champion")):
        after = json.loads(run("model", "replay", "--json", *command).stdout)
        assert (after["version"], after["others"]["versions"]) == (
            "other-1",
            {before["version"]: 50},
        )
    refused = run("model", "compare", "champion", "challenger")
    assert refused.returncode == 1
    assert "there is no challenger" in refused.stderr
    share = ("--share", "10%", "--reason", "to see")
    assert run("model", "canary", DEFAULT, *share).returncode == 0
    compared = json.loads(run("model", "compare", "champion", "challenger", "--json").stdout)
    assert (compared["first_version"], compared["second_version"]) == ("other-1", before["version"])
