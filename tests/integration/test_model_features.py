"""A model on all ten columns of the public data set: trained, imported, served, replayed."""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from builders.charts import PATIENT, bundle, observation, request
from builders.further import DATA_SET
from builders.further_codes import CODES, WARD, married
from builders.pickled_models import FLAGS, NUMBERS, TEXT
from builders.predictions import patient_json
from components.dataset import CSV
from components.processes import Service, run_stroke
from stroke.adapters.onnx.artefact_folder import write_artefact
from stroke.adapters.onnx.model import OnnxRiskModel
from stroke.adapters.training.data import read_labelled
from stroke.adapters.training.trainer import train
from stroke.adapters.training.updating import Parent
from stroke.application.models.recalibration import Evidence, Rules, plan
from stroke.application.predictions.trial_patients import trial_patients
from stroke.container.imports import labelled_rows
from stroke.domain.further import FurtherFeature
from stroke.domain.model_update import Method
from stroke.domain.patient import Patient, extended

OWN = tuple(each.name for each in DATA_SET)
SENT = {"ever_married": "Yes", "work_type": "Private", "Residence_type": "Urban"}
ROWS = 800
WARD_CODES = CODES | {
    "further": {
        "ever_married": CODES["further"]["ever_married"],
        "work_type": {
            "observations": {"loinc": ["11341-5"]},
            "values": {"Private": {"ward": ["P"]}, "Self-employed": {"ward": ["S"]}},
        },
        "Residence_type": {
            "observations": {"ward": ["HOME"]},
            "values": {"Urban": {"ward": ["U"]}, "Rural": {"ward": ["R"]}},
        },
    }
}


def labelled(path: Path) -> Path:
    """Write some rows of the public data set, or made-up ones where it is not there."""
    if CSV.is_file():
        lines = CSV.read_text().splitlines()
        path.write_text("\n".join([lines[0], *lines[1 : ROWS + 1]]) + "\n")
        return path
    patients = trial_patients(ROWS, further=DATA_SET)
    risk = 1 / (1 + np.exp(-(patients["age"] - 90) / 15))
    table = pd.DataFrame(patients).assign(
        stroke=(np.random.default_rng(5).random(len(risk)) < risk).astype(int)
    )
    table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder whose model store has ``ten``; the bootstraps of its training are small."""
    made = tmp_path_factory.mktemp("features")
    path = labelled(made / "labelled.csv")
    with labelled_rows(path, OWN) as table:
        data = read_labelled(path, table.rows, guessed=OWN)
    write = partial(write_artefact, made / "models" / "ten", replace=False)
    train(data, write, name="ten", samples=1, refits=2)
    return made


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    codes = folder / "codes.json"
    codes.write_text(json.dumps(WARD_CODES))
    clinical = {"STROKE_CLINICAL_CODES": str(codes), "STROKE_CLINICAL_CARD_FROM": "Low"}
    with (
        Service(folder, SAVED_MODEL="ten", **clinical) as service,
        httpx.Client(base_url=service.url, timeout=30) as client,
    ):
        yield client


def stroke(folder: Path, *arguments: str, code: int = 0) -> str:
    done = run_stroke(*arguments, folder=folder, settings={"SAVED_MODEL": "ten"})
    assert done.returncode == code, done.stderr
    return done.stdout


def test_training_finds_words_and_explains_each_column(folder: Path) -> None:
    model = OnnxRiskModel(folder / "models" / "ten")
    declared = {each.name: each for each in model.description.further}
    assert set(declared) == set(OWN)
    assert set(declared["ever_married"].categories) == {"No", "Yes"}
    assert set(declared["work_type"].categories) <= set(DATA_SET[1].categories)
    assert {"ever_married", "work_type"} <= set(model.description.histograms)

    who = extended(Patient("Male", 67.0, 0, 1, 228.69, None, "smokes"), tuple(SENT.items()))
    [answer] = model.assess([who])
    values = {each.feature: each.value for each in answer.contributions}
    assert values | SENT == values
    assert answer.missing == ("bmi",)
    logit = answer.baseline_log_odds + sum(each.log_odds for each in answer.contributions)
    assert 1 / (1 + np.exp(-logit)) == pytest.approx(answer.probability, abs=1e-9)
    assert answer.interval is not None
    assert answer.comparison is not None
    card = (folder / "models" / "ten" / "card.md").read_text()
    assert "| ever_married | No, Yes | no |" in card


def coded(own: str, code: dict[str, str], answer: str) -> dict[str, object]:
    value = {"coding": [{"system": WARD, "code": answer}]}
    return observation(own, "", valueCodeableConcept=value) | {"code": {"coding": [code]}}


def chart() -> dict[str, object]:
    """Return a request of a record system whose patient has what ``SENT`` says."""
    further = bundle(
        coded("w", {"system": "http://loinc.org", "code": "11341-5"}, "P"),
        coded("h", {"system": WARD, "code": "HOME"}, "U"),
    )
    return request(patient=PATIENT | married("D"), further=further)


def test_it_is_served_stored_and_replayed_and_its_drift_is_reported(
    client: httpx.Client, folder: Path
) -> None:
    refused = client.post("/predict", json=patient_json())
    assert refused.status_code == 422
    assert [each["pointer"] for each in refused.json()["errors"]] == [f"/{name}" for name in OWN]

    people = [
        patient_json(age=30 + at, bmi=None if at % 5 == 0 else 25, **SENT)
        | {"ever_married": "No" if at % 2 else "Yes"}
        for at in range(40)
    ]
    answer = client.post("/predict", json=people[0]).raise_for_status().json()
    client.post("/api/v1/predictions:batch", json={"patients": people}).raise_for_status()
    row = client.get(f"/api/v1/predictions/{answer['prediction_id']}").json()
    assert {name: row["prediction_data"][name] for name in OWN} == SENT
    assert set(row["prediction_data"]["log_odds"]) >= set(OWN)

    [card] = client.post("/cds-services/stroke-risk", json=chart()).json()["cards"]
    assert "| work type | Private |" in card["detail"]
    [newest] = client.get("/api/v1/predictions", params={"limit": 1}).json()["items"]
    assert {name: newest["prediction_data"][name] for name in OWN} == SENT

    found = json.loads(stroke(folder, "model", "replay", "--json"))["same"]
    assert (found["rows"], found["identical"]) == (42, 42)
    other = run_stroke("model", "replay", "--json", folder=folder)  # the default knows none of them
    assert json.loads(other.stdout)["others"]["rows"] == 42
    drifts = json.loads(stroke(folder, "drift", "report", "--json"))
    assert "work_type" in json.dumps(drifts)


def test_the_page_asks_for_them(client: httpx.Client) -> None:
    page = client.get("/ui").raise_for_status().text
    assert '<select class="input" id="own_work_type"' in page
    assert '<input type="radio" name="own_Residence_type" value="Urban">' in page


def test_files_are_scored_by_its_columns_and_replayed(folder: Path) -> None:
    rows = list(csv.DictReader((folder / "labelled.csv").read_text().splitlines()))[:200]
    with (folder / "people.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [n for n in rows[0] if n not in ("id", "stroke")])
        writer.writeheader()
        for at, row in enumerate(rows):
            known = {name: row[name] for name in writer.fieldnames}
            writer.writerow(known | ({"work_type": "astronaut"} if at == 7 else {}))
    stroke(folder, "score", "people.csv", "scored.parquet", "--rejects", "bad.csv", code=1)
    stroke(folder, "score", "people.csv", "scored.csv", "--rejects", "bad.csv", code=1)
    for scored in ("scored.parquet", "scored.csv"):
        said = stroke(folder, "model", "replay", "--source", scored, "--json")
        found = json.loads(said)["same"]
        assert (found["rows"], found["identical"]) == (199, 199)
    assert "work_type must be one of" in (folder / "bad.csv").read_text()
    assert "astronaut" not in (folder / "bad.csv").read_text()


def outcomes_that_move(folder: Path, name: str, *, of_the_unmarried: float = 0) -> None:
    """Write patients whose outcomes follow the log-odds of the model ``ten``, halved, and 0.7."""
    model = OnnxRiskModel(folder / "models" / "ten")
    with labelled_rows(folder / "labelled.csv", OWN) as table:
        data = read_labelled(folder / "labelled.csv", table.rows, model.description.further)
    drawn = np.random.default_rng(4)
    people = data.features.sample(6000, replace=True, random_state=4).reset_index(drop=True)
    for each in model.description.further:
        people[each.name] = drawn.choice(each.categories, len(people))
    risk = model.risks(replace(data, features=people).columns()).probability
    log_odds = 0.7 + 0.5 * np.log(risk / (1 - risk))
    log_odds += of_the_unmarried * (people["ever_married"] == "No").to_numpy()
    struck = drawn.random(len(people)) < 1 / (1 + np.exp(-log_odds))
    people.assign(stroke=struck.astype(int)).to_csv(folder / name, index=False)


def test_it_is_recalibrated_with_its_own_features(folder: Path) -> None:
    parent = OnnxRiskModel(folder / "models" / "ten")
    outcomes_that_move(folder, "moved.csv")
    update = ("model", "update", "--from-outcomes", "--data", "moved.csv", "--json")

    found = json.loads(stroke(folder, *update, "--name", "ten-moved"))

    assert found["method"] == "intercept and slope"
    for name, truth in (("intercept", 0.7), ("slope", 0.5)):
        assert found["line"][name]["low"] < truth < found["line"][name]["high"]
    moved = OnnxRiskModel(folder / "models" / "ten-moved")
    assert moved.description.further == parent.description.further
    who = extended(Patient("Male", 67.0, 0, 1, 228.69, None, "smokes"), tuple(SENT.items()))
    [before], [after] = parent.assess([who]), moved.assess([who])
    assert {each.feature for each in after.contributions} >= set(OWN)
    logit = after.baseline_log_odds + sum(each.log_odds for each in after.contributions)
    assert 1 / (1 + np.exp(-logit)) == pytest.approx(after.probability, abs=1e-9)
    line = moved.description.population["updated"]
    assert logit == pytest.approx(
        line["intercept"] + line["slope"] * np.log(before.probability / (1 - before.probability)),
        abs=1e-9,
    )


def test_a_feature_of_its_own_that_acts_otherwise_is_fitted_anew(folder: Path) -> None:
    model = OnnxRiskModel(folder / "models" / "ten")
    outcomes_that_move(folder, "married.csv", of_the_unmarried=1.5)
    with labelled_rows(folder / "married.csv", OWN) as table:
        data = read_labelled(folder / "married.csv", table.rows, model.description.further)
    risk = model.risks(data.columns()).probability
    content = (folder / "models" / "ten" / "model.onnx").read_bytes()
    design = Parent(content, model.manifest.model_dump(mode="json")).design(data.features)
    assert design is not None
    assert design.shape[1] > 15, "the known features have 15 columns"
    site = np.full(len(data), "", object)
    evidence = Evidence(data.outcome, np.log(risk / (1 - risk)), site, design)

    assert plan(evidence, Rules()).method is Method.REFIT


def declared(folder: Path, features: tuple[FurtherFeature, ...]) -> Path:
    path = folder / "features.json"
    path.write_text(json.dumps([each.as_data() for each in features]))
    return path


def test_a_pickle_of_all_ten_columns_is_imported_and_computes_the_same(folder: Path) -> None:
    patients = pd.DataFrame(trial_patients(300, further=DATA_SET))
    outcome = (patients["age"] + np.arange(len(patients)) % 50 > 90).astype(int)
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), [*NUMBERS, *FLAGS]),
            ("text", OneHotEncoder(handle_unknown="ignore", sparse_output=False), [*TEXT, *OWN]),
        ]
    )
    model = make_pipeline(columns, LogisticRegression()).fit(patients, outcome)
    file = folder / "ten.pkl"
    file.write_bytes(pickle.dumps(model))

    undeclared = run_stroke(
        *("model", "import", str(file), "--name", "imported", "--trust-pickle"), folder=folder
    )
    assert undeclared.returncode == 1
    assert "Residence_type, ever_married, work_type" in undeclared.stderr
    assert "--features" in undeclared.stderr
    features = declared(folder, DATA_SET)
    said = stroke(
        folder,
        *("model", "import", str(file), "--name", "imported", "--trust-pickle"),
        *("--features", str(features)),
    )
    assert "differs from the original" in said

    imported = OnnxRiskModel(folder / "models" / "imported")
    who = extended(Patient("Male", 67.0, 0, 1, 228.69, 30.0, "smokes"), tuple(SENT.items()))
    [answer] = imported.assess([who])
    row = pd.DataFrame([{n: getattr(who, n) for n in (*NUMBERS, *FLAGS, *TEXT)} | SENT])
    assert answer.probability == pytest.approx(model.predict_proba(row)[0, 1], abs=1e-6)
    assert len(answer.contributions) == 10  # by all 1,024 sets
    assert json.loads(stroke(folder, "model", "verify", "--model", "imported", "--json"))["sound"]
