"""`stroke clinical` and `stroke simulate --fhir`, as users run them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from builders.charts import (
    ABSENT,
    PATIENT,
    bundle,
    condition,
    more_pages,
    observation,
    quantity,
    request,
)
from builders.further_codes import CODES, DIABETIC, MAPPED, married, waist
from fakes.predictions import FakeRiskModel
from stroke.adapters.clinical_codes.files import shipped_codes
from stroke.application.clinical.assessing import ChartAssessment, chart_of
from stroke.domain.clinical.codes import code_book
from stroke.domain.clinical.mapping import MappingRules
from stroke.entrypoints.cli.commands import clinical
from stroke.entrypoints.cli.main import app

AT: Final = ("--at", "2026-11-29")
# What the shipped model answered to the requests that the mapping was proved with.
RISKS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "complete": ({}, "risk 18.2% (High)"),
    "without glucose": ({"glucose": bundle()}, "variant of the model: without avg_glucose_level"),
    "hypertension": (
        {
            "conditions": bundle(
                condition("a", "http://hl7.org/fhir/sid/icd-10", "I10"),
                condition("b", "http://hl7.org/fhir/sid/icd-10", "I25.1"),
            )
        },
        "risk 24.9% (High)",
    ),
    "glucose not sent": ({"glucose": ABSENT}, "not assessed: not sent: glucose"),
    "one page of conditions": (
        {"conditions": more_pages()},
        "not assessed: only the first page was sent: conditions",
    ),
    "deceased": (
        {"patient": {"resourceType": "Patient", "id": "p1", "deceasedBoolean": True}},
        "not assessed: the patient is deceased",
    ),
    "nothing known of the patient": (
        {"patient": {"resourceType": "Patient", "id": "p1"}},
        "not assessed: the record lacks sex and age",
    ),
}


@pytest.fixture(autouse=True)
def _bare_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, stdin: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(app, arguments, input=stdin)
    return done.exit_code, done.stdout


@pytest.mark.parametrize("name", RISKS)
def test_a_chart_is_assessed_or_the_last_line_says_why_not(name: str) -> None:
    changed, expected = RISKS[name]

    code, text = run("clinical", "assess", "-", *AT, stdin=json.dumps(request(**changed)))

    assert expected in text.splitlines()[-1]
    assert code == int(expected.startswith("not assessed"))


def test_the_table_says_where_each_value_comes_from() -> None:
    _, text = run("clinical", "assess", "-", *AT, stdin=json.dumps(request()))

    [line] = [line for line in text.splitlines() if " bmi " in line]
    assert "Observation/bmi1 39156-5 of 2026-10-01" in line
    assert "as recorded, in kg/m²" in line


def test_json_has_the_same_for_a_script() -> None:
    _, text = run("clinical", "assess", "-", *AT, "--json", stdin=json.dumps(request()))

    found = json.loads(text)
    assert found["values"]["bmi"]["sources"] == [
        {"reference": "Observation/bmi1", "code": "39156-5", "moment": "2026-10-01T09:00:00+00:00"}
    ]
    assert round(found["assessment"]["probability"], 3) == 0.182
    assert found["not_assessed"] is None
    assert "Muster" not in text


def test_a_simulated_record_can_be_assessed() -> None:
    for more in ((), ("--requests",)):
        _, record = run("simulate", "1", "--fhir", "--as-of", "2026-11-29", *more)

        code, text = run("clinical", "assess", "-", *AT, stdin=record)

        assert (code, text.splitlines()[-1][:5]) == (0, "risk ")


def test_the_same_seed_and_day_give_the_same_records_byte_for_byte() -> None:
    again = [run("simulate", "5", "--fhir", "--as-of", "2026-01-31") for _ in range(2)]

    assert again[0] == again[1]


def test_options_of_records_are_refused_without_them() -> None:
    assert run("simulate", "1", "--requests")[0] == 1


def test_codes_are_listed_with_their_licences() -> None:
    _, text = run("clinical", "codes")
    assert "39156-5" in text
    assert "SNOMED International" in text

    _, text = run("clinical", "codes", "--json")
    found = json.loads(text)
    assert {"meaning": "bmi", "system": "loinc", "code": "39156-5", "level": "confirmed"} in found[
        "codes"
    ]


def test_the_codes_of_a_site_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site.json"
    site.write_text(
        json.dumps({"version": "w", "conditions": {"hypertension": {"snomed": ["999"]}}})
    )
    monkeypatch.setenv("STROKE_CLINICAL_CODES", str(site))
    chart = request(conditions=condition("c", "http://snomed.info/sct", "999"))

    _, text = run("clinical", "assess", "-", *AT, "--json", stdin=json.dumps(chart))

    assert json.loads(text)["values"]["hypertension"]["value"] == 1


def test_a_chart_that_has_a_name_twice_is_refused() -> None:
    text = json.dumps(request()).replace('"resourceType"', '"id": "p2", "resourceType"', 1)
    done = CliRunner().invoke(app, ["clinical", "assess", "-", *AT], input=text)

    assert (done.exit_code, done.stdout) == (1, "")
    assert str(done.exception).endswith("has a name twice in one object")


@pytest.mark.parametrize("text", ["[lb_av]", "[/]"])
def test_a_unit_is_shown_as_the_record_writes_it(text: str) -> None:
    weight = quantity(242.5, "[lb_av]") | {"unit": text}
    body = bundle(
        observation("w", "29463-7", valueQuantity=weight),
        observation("h", "8302-2", valueQuantity=quantity(173, "cm")),
    )
    sent = request(bmi=bundle(), body=body)

    code, said = run("clinical", "assess", "-", *AT, stdin=json.dumps(sent))

    assert code == 0
    assert f"computed from a weight of 242.5 {text} and" in said


def test_codes_for_features_of_a_models_own_are_listed_with_units_and_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ours.json").write_text(json.dumps(CODES))
    monkeypatch.setenv("STROKE_CLINICAL_CODES", "ours.json")

    found = json.loads(run("clinical", "codes", "--json")[1])

    assert found["further"]["waist"] == {
        "from": "observations",
        "units": {"[in_i]": 2.54, "inch": 2.54},
        "values": [],
    }
    assert found["further"]["ever_married"]["values"] == ["Yes", "No"]
    assert {"meaning": "further.waist", "system": "ward", "code": "WST", "level": "known"} in (
        found["codes"]
    )
    assert "further.alcohol = some" in run("clinical", "codes")[1]


def test_the_table_has_the_features_of_a_models_own_those_that_are_missing_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    book = code_book(shipped_codes(), CODES)
    model = FakeRiskModel(further=MAPPED)
    charts = ChartAssessment(
        lambda: model, book, MappingRules(), now=lambda: datetime(2026, 11, 29, tzinfo=UTC)
    )
    chart = chart_of(
        request(
            patient=PATIENT | married(),
            further=bundle(waist(38, "[in_i]")),
            conditions=bundle(condition("d", *DIABETIC)),
        )
    )

    clinical._print(charts.assess(chart))

    lines = {line.split()[1]: line for line in capsys.readouterr().out.splitlines() if "│" in line}
    assert "96.52" in lines["waist"]
    assert "converted from 38 [in_i]" in lines["waist"]
    assert "Condition/d 44054006" in lines["diabetes"]
    assert "from the marital status" in lines["ever_married"]
    assert "missing" in lines["alcohol"]
