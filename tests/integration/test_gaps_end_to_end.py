"""Patients who lack measurements, from the request to the report: one service, all its commands."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from builders.predictions import patient_json
from components.processes import Service, run_stroke

GAPS: Final = {
    "full": (),
    "without avg_glucose_level": ("avg_glucose_level",),
    "without bmi": ("bmi",),
    "without avg_glucose_level and bmi": ("avg_glucose_level", "bmi"),
}
MARKS: Final = ("", "NA", "n/a", "NULL", "nan", "-", "?", "#N/A")
EACH: Final = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("gaps")
    assert run_stroke("db", "upgrade", folder=made).returncode == 0
    return made


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    with Service(folder) as service, httpx.Client(base_url=service.url, timeout=30) as client:
        yield client


def stroke(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = run_stroke(*arguments, "--json", folder=folder)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def body(at: int, missing: tuple[str, ...]) -> dict[str, Any]:
    """Return a patient who lacks ``missing``: as null or absent, in turn."""
    whole = patient_json(age=30 + at * 2, name=f"patient {at}")
    if at % 2:
        return {**whole, **dict.fromkeys(missing)}
    return {name: value for name, value in whole.items() if name not in missing}


@pytest.fixture(scope="module")
def answers(client: httpx.Client) -> dict[str, list[dict[str, Any]]]:
    """Return the answers to ``EACH`` patients of each variant; half of them came as a batch."""
    found = {}
    for variant, missing in GAPS.items():
        bodies = [body(at, missing) for at in range(EACH)]
        alone = [client.post("/predict", json=each) for each in bodies[: EACH // 2]]
        assert {each.status_code for each in alone} == {200}
        batch = client.post("/api/v1/predictions:batch", json={"patients": bodies[EACH // 2 :]})
        found[variant] = [*(each.json() for each in alone), *batch.json()["predictions"]]
    return found


def test_each_answer_says_what_was_missing_and_what_that_costs(
    answers: dict[str, list[dict[str, Any]]],
) -> None:
    for variant, missing in GAPS.items():
        for answer in answers[variant]:
            assert tuple(answer.get("missing", ())) == missing
            assert answer.get("model_variant", "full") == variant
            if missing:
                accuracy = answer["accuracy"]
                assert accuracy["patients"] == 4909
                assert accuracy["auc_lost_low"] <= accuracy["auc_lost"] <= accuracy["auc_lost_high"]
            values = {each["feature"]: each["value"] for each in answer["explanation"]}
            assert {values[name] for name in missing} <= {None}


def test_the_model_says_who_really_lacked_a_measurement(client: httpx.Client) -> None:
    companions = client.get("/model_info").json()["companions"]
    lacked = {each["name"]: each["lacked"] for each in companions}
    assert lacked == {
        "without avg_glucose_level": None,
        "without bmi": {"patients": 201, "strokes": 40, "expected": 17.1},
        "without avg_glucose_level and bmi": None,
    }


def test_the_listing_shows_gaps_as_null(
    client: httpx.Client, answers: dict[str, list[dict[str, Any]]]
) -> None:
    for variant, missing in GAPS.items():
        record = client.get(f"/api/v1/predictions/{answers[variant][0]['prediction_id']}").json()
        assert {record[name] for name in missing} <= {None}
        assert record["probability"] == answers[variant][0]["probability"]


def test_a_file_with_marks_gets_the_same_scores(
    folder: Path, answers: dict[str, list[dict[str, Any]]]
) -> None:
    columns = [*patient_json(), "prediction_id", "variant", "expected"]
    for suffix in ("csv", "parquet"):
        with (folder / "marks.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            for variant, missing in GAPS.items():
                for at, answer in enumerate(answers[variant]):
                    row = {
                        **body(at, missing),
                        **{name: MARKS[at % len(MARKS)] for name in missing},
                    }
                    row |= {"prediction_id": answer["prediction_id"], "variant": variant}
                    writer.writerow({**row, "expected": answer["probability"]})
        report = stroke(folder, "score", "marks.csv", f"scored.{suffix}", "--variants")
        assert report["variants"] == dict.fromkeys(GAPS, EACH)
        # ... and once more, from what was written: cells of patients with gaps stayed as they were.
        stroke(folder, "score", f"scored.{suffix}", "again.csv", "--variants")
        with (folder / "again.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert len(rows) == EACH * len(GAPS)
        for row in rows:
            assert row["model_variant"] == row["variant"]
            assert float(row["probability"]) == pytest.approx(float(row["expected"]), abs=1e-12)


def test_performance_is_measured_for_each_variant(
    folder: Path, answers: dict[str, list[dict[str, Any]]]
) -> None:
    outcomes = io.StringIO()
    writer = csv.writer(outcomes)
    writer.writerow(["prediction_id", "stroke", "date", "source"])
    today = datetime.now(UTC).date().isoformat()
    for each in answers.values():
        for at, answer in enumerate(each):
            writer.writerow([answer["prediction_id"], int(at % 3 == 2), today, "register"])
    (folder / "outcomes.csv").write_text(outcomes.getvalue())
    assert stroke(folder, "outcomes", "import", "outcomes.csv")["new"] == EACH * len(GAPS)

    small = ("--minimum-count", "20", "--minimum-events", "2")
    done = run_stroke("performance", *small, "--json", folder=folder)
    assert done.returncode in (0, 1), done.stderr
    [report] = json.loads(done.stdout)["reports"]
    groups = {each["level"]: each for each in report["groups"] if each["group"] == "model_variant"}

    assert {level: each["samples"] for level, each in groups.items()} == dict.fromkeys(GAPS, EACH)
    assert all("auc" in each["measures"] for each in groups.values())
    assert (
        "model_variant without bmi: 24 predictions"
        in run_stroke("performance", *small, folder=folder).stdout
    )
