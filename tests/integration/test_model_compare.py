"""`stroke model compare`, and the gate of `stroke performance`, as users run them."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from builders.predictions import today
from components.processes import run_stroke

EARLIER = Path(__file__).parent / "models" / "stroke-spline-lr-e9b54b6f8e26.onnx"
SHIPPED = "stroke-spline-lr"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_stroke(*arguments, folder=tmp_path, within=120)

    return run


PERSON = "Female,60,0,0,90,25,never smoked,0"


def test_a_limit_of_fairness_does_not_pass_where_nobody_can_be_judged(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    head = "gender,age,hypertension,heart_disease,avg_glucose_level,bmi,smoking_status,stroke\n"
    command = ("model", "compare", SHIPPED, SHIPPED, "--data", "few.csv")
    for rows in ("", f"{PERSON}\n" * 3):
        (tmp_path / "few.csv").write_text(head + rows)
        assert run(*command).returncode == 0

        judged = run(*command, "--fairness-limit", "1")

        assert judged.returncode == 1
        assert "--fairness-limit cannot be judged" in judged.stderr

    assert run("db", "upgrade").returncode == 0
    assert run("performance").returncode == 0
    judged = run("performance", "--fairness-limit", "1", "--json")
    assert judged.returncode == 1
    assert "--fairness-limit cannot be judged" in judged.stderr
    assert json.loads(judged.stdout)["reports"]


@pytest.mark.parametrize(
    "option",
    [
        ("--since", "2026-01-01"),
        ("--until", "2026-01-01"),
        ("--site", "north"),
        ("--source", "kafka"),
    ],
)
def test_what_chooses_stored_predictions_is_refused_beside_a_file(
    run: Callable[..., subprocess.CompletedProcess[str]], option: tuple[str, str]
) -> None:
    refused = run("model", "compare", SHIPPED, SHIPPED, "--data", "none.csv", *option)

    assert refused.returncode == 2
    assert option[0] in refused.stderr
    assert "--data is a file" in " ".join(refused.stderr.split())


def test_a_file_with_sites_is_compared_by_site_and_names_those_that_are_too_small(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    assert run("simulate", "3000", "--seed", "3", "--output", "p.csv").returncode == 0
    assert run("predict", "p.csv", "--output", "s.csv").returncode == 0
    with (tmp_path / "s.csv").open() as file:
        rows = list(csv.DictReader(file))
    drawn = np.random.default_rng(3).random(len(rows))
    struck = [int(d < float(r["probability"])) for d, r in zip(drawn, rows, strict=True)]
    sites = ["tiny" if at % 600 == 0 else ("north", "south")[at % 2] for at in range(len(rows))]
    with (tmp_path / "labelled.csv").open("w") as file:
        labelled = csv.DictWriter(file, [*rows[0], "stroke", "site"])
        labelled.writeheader()
        labelled.writerows(
            {**r, "stroke": y, "site": site} for r, y, site in zip(rows, struck, sites, strict=True)
        )

    done = run("model", "compare", SHIPPED, SHIPPED, "--data", "labelled.csv", "--json")

    found = json.loads(done.stdout)
    counts = {each["level"]: each["samples"] for each in found["groups"] if each["group"] == "site"}
    assert counts == {name: sites.count(name) for name in ("north", "south", "tiny")}
    gaps = [each for each in found["first_gaps"] if each["group"] == "site"]
    assert len(gaps) == 3
    for gap in gaps:
        assert gap["left_out"] == ["tiny"]
        assert {gap["highest"], gap["lowest"]} == {"north", "south"}


def test_models_are_compared_on_a_file_and_on_stored_predictions(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    assert run("db", "upgrade").returncode == 0
    assert run("simulate", "6000", "--seed", "3", "--output", "p.csv").returncode == 0
    assert run("predict", "p.csv", "--output", "s.csv", "--store").returncode == 0
    with (tmp_path / "s.csv").open() as file:
        rows = list(csv.DictReader(file))
    # Women's strokes are twice as frequent as the model says.
    chance = [float(r["probability"]) * (2 if r["gender"] == "Female" else 1) for r in rows]
    struck = (np.random.default_rng(3).random(len(rows)) < np.array(chance)).tolist()
    with (tmp_path / "labelled.csv").open("w") as file:
        labelled = csv.DictWriter(file, [*rows[0], "stroke"])
        labelled.writeheader()
        labelled.writerows({**r, "stroke": int(y)} for r, y in zip(rows, struck, strict=True))
    with (tmp_path / "outcomes.csv").open("w") as file:
        outcomes = csv.writer(file)
        outcomes.writerow(["prediction_id", "stroke", "date", "source"])
        outcomes.writerows(
            [r["prediction_id"], int(y), today(), "register"]
            for r, y in zip(rows, struck, strict=True)
        )
    assert run("outcomes", "import", "outcomes.csv").returncode == 0

    by_file = run("model", "compare", SHIPPED, str(EARLIER), "--data", "labelled.csv", "--json")
    by_store = run("model", "compare", SHIPPED, str(EARLIER), "--json")

    found = [json.loads(each.stdout) for each in (by_file, by_store)]
    for each in found:
        whole = each["groups"][0]
        assert (whole["samples"], whole["events"]) == (6000, sum(struck))
        # Of patients who lack nothing the earlier graph says the same.
        assert whole["differences"]["auc"]["verdict"] == "the data cannot tell"
        assert abs(whole["differences"]["auc"]["value"]) < 1e-6
    assert found[0]["groups"] == found[1]["groups"]
    [gap] = [
        each
        for each in found[0]["first_gaps"]
        if (each["group"], each["measure"]) == ("gender", "calibration_in_the_large")
    ]
    assert gap["highest"] == "Female"
    assert gap["estimate"]["low"] > 0.005

    text = run("model", "compare", SHIPPED, SHIPPED)
    assert text.returncode == 0
    assert "second less first" in text.stdout
    assert "the first is better" not in text.stdout
    limit = ("--fairness-limit", "0.005")
    assert run("model", "compare", SHIPPED, SHIPPED, *limit).returncode == 1
    report = run("performance", "--json", "--fairness-limit", "1", "--html", "page.html")
    assert gap in json.loads(report.stdout)["reports"][0]["gaps"]
    assert "Differences between groups" in (tmp_path / "page.html").read_text()
