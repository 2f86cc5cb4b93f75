"""`stroke performance` at its extremes, in all its formats: no figure that is none, no -0.0000."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest
from sqlalchemy import URL

from builders.predictions import outcome, prediction, without
from components.processes import run_stroke
from stroke.adapters.sql import schema
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.outcomes import SqlOutcomeRepository
from stroke.adapters.sql.repository import SqlPredictionRepository
from stroke.domain.prediction import Prediction

Cases = dict[str, list[tuple[float, bool]]]

CASES: Final[Cases] = {
    "no-events": [(at / 100, False) for at in range(40)],
    "only-events": [(at / 100, True) for at in range(40)],
    "one-event": [(at / 100, at == 20) for at in range(40)],
    "two-events": [(at / 100, at in (3, 20)) for at in range(40)],
    "two-without": [(at / 100, at not in (3, 20)) for at in range(40)],
    "three-rows": [(0.1, False), (0.2, True), (0.9, False)],
    "one-row": [(0.5, True)],
    "all-equal": [(0.25, at % 4 == 0) for at in range(40)],
    "all-zero": [(0.0, at < 5) for at in range(40)],
    "all-zero-and-right": [(0.0, False) for _ in range(40)],
    "all-one": [(1.0, at < 5) for at in range(40)],
    "nearly-zero": [(5e-324, at < 5) for at in range(40)],
    "perfect": [(float(at < 20), at < 20) for at in range(40)],
    "separated": [(at / 40, at >= 20) for at in range(40)],
    "perfectly-wrong": [(float(at < 20), at >= 20) for at in range(40)],
    "low-and-never": [(0.001, False)] * 30 + [(0.001, True)] * 2,
    "without-times": [(at / 100, at % 3 == 0) for at in range(40)],
}
NO_FIGURE: Final = re.compile(r"-0\.0+\b(?!\d)|\b(?:nan|inf|infinity|none|null)\b", re.IGNORECASE)


class _Text(HTMLParser):
    """The words of a page that people read."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        del attrs
        self._hidden += tag in ("style", "svg")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("style", "svg")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a database: each case is a version of a model."""
    made = tmp_path_factory.mktemp("extremes")
    url = URL.create("sqlite+aiosqlite", database=str(made / "stroke.db"))
    schema.upgrade(url)
    asyncio.run(_fill(url))
    with sqlite3.connect(made / "stroke.db") as database:
        database.execute(
            "UPDATE predictions SET timestamp = NULL WHERE model_version = 'without-times'"
        )
    database.close()
    return made


async def _fill(url: URL) -> None:
    engine = create_engine(url, pool_size=2, connect_timeout=5)
    predictions = SqlPredictionRepository(engine, statement_timeout=30)
    outcomes = SqlOutcomeRepository(engine, statement_timeout=30)
    for version, rows in CASES.items():
        ids = await predictions.add([prediction(p, model_version=version) for p, _ in rows])
        await outcomes.put(
            [outcome(i, stroke=struck) for i, (_, struck) in zip(ids, rows, strict=True)]
        )
    await _add_gaps(predictions, outcomes)
    await engine.dispose()


async def _add_gaps(predictions: SqlPredictionRepository, outcomes: SqlOutcomeRepository) -> None:
    def of(at: int) -> Prediction:
        made = prediction(at / 100, model_version="with-gaps")
        gaps = ["bmi"] if at % 3 == 1 else ["avg_glucose_level", "bmi"] if at % 3 == 2 else []
        return replace(made, patient=without(made.patient, gaps)) if gaps else made

    ids = await predictions.add([of(at) for at in range(90)])
    await outcomes.put([outcome(i, stroke=at % 4 == 0) for at, i in enumerate(ids)])


def measured(folder: Path, *options: str) -> str:
    done = run_stroke(
        *("performance", "--all-versions", "--minimum-count", "20", "--minimum-events", "2"),
        *options,
        folder=folder,
        settings={"STROKE_DATABASE_SQLITE_PATH": "stroke.db"},
    )
    assert done.returncode in (0, 1)
    assert "Traceback" not in done.stderr
    return done.stdout


def _no_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is no JSON")


@pytest.fixture(scope="module")
def reports(folder: Path) -> dict[str, Any]:
    report = json.loads(measured(folder, "--json"), parse_constant=_no_constant)
    return {each["model_version"]: each for each in report["reports"]}


def test_the_text_has_a_figure_wherever_it_names_one(folder: Path) -> None:
    report = measured(folder)
    assert {line.split(":")[0] for line in report.splitlines() if line.startswith("model ")} == {
        f"model {version}" for version in (*CASES, "with-gaps")
    }
    assert not NO_FIGURE.findall(report)
    assert "model without-times: the times of its predictions are not known" in report


def test_so_has_the_page(folder: Path) -> None:
    measured(folder, "--html", "page.html")
    page = (folder / "page.html").read_text()
    reader = _Text()
    reader.feed(page)
    text = " ".join(reader.words)
    assert len(text) > 10_000
    assert not NO_FIGURE.findall(text)
    assert not re.search(r"\b(?:nan|inf)\b", page, re.IGNORECASE)  # in the plots' coordinates
    assert "no prediction was made" not in text
    assert "not known" in text


def test_every_interval_holds_its_estimate_within_what_the_measure_can_be(
    reports: dict[str, Any],
) -> None:
    shares = {"auc", "brier", "ece", "sensitivity_medium", "sensitivity_high"}
    shares |= {"specificity_medium", "specificity_high"}
    seen = 0
    for report in reports.values():
        for group in report["groups"]:
            for name, measure in group["measures"].items():
                assert measure["low"] <= measure["value"] <= measure["high"], (name, report)
                assert name not in shares or (measure["low"] >= 0 and measure["high"] <= 1)
                seen += 1
    assert seen > 100


@pytest.mark.parametrize(
    "version",
    ["no-events", "only-events", "one-event", "three-rows", "one-row", "all-zero-and-right"],
)
def test_too_few_of_either_outcome_give_their_size_and_no_measure(
    reports: dict[str, Any], version: str
) -> None:
    whole = reports[version]["groups"][0]
    assert whole["samples"] == len(CASES[version])
    assert whole["measures"] == {}
    assert whole["calibration"] == whole["decision_curve"] == []


def test_predictions_that_are_all_equal_rank_nobody_and_leave_the_slope_open(
    reports: dict[str, Any],
) -> None:
    found = reports["all-equal"]["groups"][0]["measures"]
    assert found["auc"]["value"] == 0.5
    assert "calibration_slope" not in found
    assert found["oe_ratio"]["value"] == pytest.approx(1)


def test_variants_of_the_model_are_groups_where_patients_lacked_measurements(
    reports: dict[str, Any],
) -> None:
    groups = reports["with-gaps"]["groups"]
    found = {each["level"]: each for each in groups if each["group"] == "model_variant"}
    assert {level: each["samples"] for level, each in found.items()} == {
        "full": 30,
        "without bmi": 30,
        "without avg_glucose_level and bmi": 30,
    }
    assert all(each["measures"]["auc"] for each in found.values())
    assert not [each for each in reports["all-equal"]["groups"] if each["group"] == "model_variant"]
