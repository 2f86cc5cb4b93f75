"""`stroke outcomes import` and `stroke performance` as their users run them."""

from __future__ import annotations

import csv
import json
import random
import re
import signal
import subprocess
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from components.containers import MySqlServer, free_port
from components.processes import STROKE, environment, run_stroke

COUNT = 6000
TODAY = datetime.now(UTC).date()
WATCHED = ("auc", "sensitivity_medium", "sensitivity_high", "calibration_slope", "oe_ratio")


def run(
    *command: str, folder: Path, fails: bool = False, **settings: Any
) -> subprocess.CompletedProcess[str]:
    done = run_stroke(*command, folder=folder, within=120, settings=settings)
    assert done.returncode == int(fails), done.stderr
    return done


def write_outcomes(folder: Path, name: str, *, odds: float = 1.0) -> None:
    """Draw outcomes from the predicted probabilities, with the odds changed by a factor."""
    chance = random.Random(1)  # noqa: S311
    with (folder / "scored.csv").open() as scored, (folder / name).open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["prediction_id", "stroke", "date", "source"])
        for row in csv.DictReader(scored):
            p = float(row["probability"])
            p = odds * p / (1 - p + odds * p)
            writer.writerow([row["prediction_id"], int(chance.random() < p), TODAY, "register"])


@pytest.fixture(scope="module", params=["sqlite", "mysql"])
def stored(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """Return a folder with scored patients and outcomes, and the settings of their database."""
    folder = tmp_path_factory.mktemp("outcomes")
    url = "sqlite:///stroke.db"
    if request.param == "mysql":
        server: MySqlServer = request.getfixturevalue("mysql")
        url = server.new_database()
    settings: dict[str, Any] = {"STROKE_DATABASE_URL": url}
    run("db", "upgrade", folder=folder, **settings)
    run("simulate", str(COUNT), "-o", "patients.csv", folder=folder)
    run("predict", "patients.csv", "--store", "-o", "scored.csv", folder=folder, **settings)
    write_outcomes(folder, "register.csv")
    write_outcomes(folder, "worse.csv", odds=2)
    return folder, settings


def judged(folder: Path, *options: str, fails: bool = False, **settings: Any) -> dict[str, Any]:
    done = run("performance", "--json", *options, folder=folder, fails=fails, **settings)
    report: dict[str, Any] = json.loads(done.stdout)["reports"][0]
    return report


def test_before_there_are_outcomes_that_is_said(stored: tuple[Path, dict[str, Any]]) -> None:
    folder, settings = stored
    assert "stroke outcomes import" in run("performance", folder=folder, **settings).stdout


def test_outcomes_are_imported_once_and_bad_rows_are_listed(
    stored: tuple[Path, dict[str, Any]],
) -> None:
    folder, settings = stored
    tried = run("outcomes", "import", "register.csv", "--dry-run", folder=folder, **settings)
    assert tried.stdout.startswith(f"{COUNT:,} rows: would be: {COUNT:,} new")
    first = run("outcomes", "import", "register.csv", "--json", folder=folder, **settings)
    assert json.loads(first.stdout)["new"] == COUNT
    again = run("outcomes", "import", "register.csv", "--json", folder=folder, **settings)
    assert json.loads(again.stdout) == {
        "rows": COUNT,
        "new": 0,
        "changed": 0,
        "unchanged": COUNT,
        "rejected": 0,
        "rejects": None,
        "dry_run": False,
    }

    bad = "prediction_id,stroke,date,source\nZoë,1,2026-01-01,x\n999999,1,2026-01-01,x\n"
    (folder / "bad.csv").write_text(bad)
    refused = run("outcomes", "import", "bad.csv", folder=folder, fails=True, **settings)
    assert "2 rejected (see bad.rejects.csv)" in refused.stdout
    assert (folder / "bad.rejects.csv").read_text() == (
        "line,reason\n2,prediction_id must be the number of a prediction\n"
        "3,no prediction has this id\n"
    )


def test_a_version_without_outcomes_is_reported_apart_from_those_that_have_some(
    stored: tuple[Path, dict[str, Any]],
) -> None:
    folder, settings = stored
    run("outcomes", "import", "register.csv", folder=folder, **settings)

    printed = run("performance", "--model-version", "another", folder=folder, **settings).stdout

    assert "model another" in printed
    assert re.search(r"no prediction of this model has an outcome; others have: [1-9]", printed)
    assert "of stroke-spline-lr-" in printed
    found = judged(folder, **settings)
    assert found["first_made_at"] <= found["last_made_at"]
    assert found["other_versions"] == {}


def test_a_calibrated_model_is_reported_as_one(stored: tuple[Path, dict[str, Any]]) -> None:
    folder, settings = stored
    run("outcomes", "import", "register.csv", folder=folder, **settings)

    report = judged(folder, **settings)

    everybody = report["groups"][0]
    assert everybody["samples"] == COUNT
    slope, ratio = (everybody["measures"][name] for name in ("calibration_slope", "oe_ratio"))
    assert slope["low"] < 1 < slope["high"]
    assert ratio["low"] < 1 < ratio["high"]
    assert report["references"]["auc"] == pytest.approx(0.8365, abs=1e-4)  # the manifest's
    assert report["dropped"] == dict.fromkeys(WATCHED, False)
    groups = {(group["group"], group["level"]) for group in report["groups"]}
    assert groups >= {("gender", "Female"), ("gender", "Male"), ("age_group", "Very old")}
    assert judged(folder, "--until", "2026-01-01", **settings)["groups"][0]["samples"] == 0
    every = judged(folder, "--since", "2026-01-01", "--all-versions", **settings)
    assert every["groups"] == report["groups"]


def test_a_model_that_went_wrong_is_an_exit_code_a_page_and_a_metric(
    stored: tuple[Path, dict[str, Any]],
) -> None:
    folder, settings = stored
    run("outcomes", "import", "worse.csv", folder=folder, **settings)
    try:
        report = judged(folder, fails=True, **settings)
        assert report["dropped"]["oe_ratio"]
        assert not report["dropped"]["auc"]
        judged(folder, STROKE_PERFORMANCE_DROP="0.99", **settings)
        judged(folder, STROKE_PERFORMANCE_WATCHED="auc, brier", fails=True, **settings)

        run("performance", "--html", "page.html", folder=folder, fails=True, **settings)
        page = (folder / "page.html").read_text()
        assert "Worse than the reference: observed / expected" in page
        assert page.count("<svg ") >= 8

        metrics = watched(folder, **settings)
        version = report["model_version"]
        everybody = {"group": "all", "level": "all", "model_version": version}
        ratio = report["groups"][0]["measures"]["oe_ratio"]
        for part in ("value", "low", "high"):
            labels = frozenset({"measure": "oe_ratio", **everybody}.items())
            assert metrics[f"stroke_performance_{part}", labels] == ratio[part]
        assert ratio["low"] > 1  # what an alert on calibration asks for
        dropped = frozenset({"measure": "oe_ratio", "model_version": version}.items())
        assert metrics["stroke_performance_dropped", dropped] == 1
        assert metrics["stroke_performance_samples", frozenset(everybody.items())] == COUNT
    finally:
        run("outcomes", "import", "register.csv", folder=folder, **settings)


def watched(folder: Path, **settings: Any) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return what `stroke performance --watch` exposes, once it has judged; ends it by SIGTERM."""
    port = free_port()
    command = [str(STROKE), "performance", "--watch", "--every", "1", "--port", str(port)]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert process.poll() is None
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                    text = answer.read().decode()
            except OSError:
                text = ""
            if "stroke_performance_value{" in text:
                break
            time.sleep(0.1)
        else:
            pytest.fail("nothing was judged within a minute")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 128 + signal.SIGTERM
        assert errors == b""
    finally:
        process.kill()
        process.wait()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_watch_outlives_a_database_that_is_away(tmp_path: Path) -> None:
    away: dict[str, Any] = {
        "STROKE_DATABASE_URL": f"mysql://u:secret@127.0.0.1:{free_port()}/d",
        "STROKE_DATABASE_CONNECT_TIMEOUT_SECONDS": "1",
    }
    process = subprocess.Popen(
        [str(STROKE), "performance", "--watch", "--every", "1"],
        cwd=tmp_path,
        env=environment(**away),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        said = [process.stderr.readline() for _ in range(2)]
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
    assert all("check MYSQL_HOST" in line and "secret" not in line for line in said)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--port", "9403"), "--port needs --watch"),
        (("--model-version", "m", "--all-versions"), "exclude each other"),
        (("--json", "--html", "-"), "name a file"),
    ],
)
def test_options_that_do_not_go_together_are_said(
    options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    assert said in run("performance", *options, folder=tmp_path, fails=True).stderr


def test_a_measure_that_is_not_known_cannot_be_watched(tmp_path: Path) -> None:
    done = run("performance", folder=tmp_path, fails=True, STROKE_PERFORMANCE_WATCHED="auc,luck")
    assert "STROKE_PERFORMANCE_WATCHED" in done.stderr
    assert "luck" not in done.stderr
