"""`stroke model import --may-be-missing`: models that make something of a gap themselves."""

from __future__ import annotations

import json
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from builders.pickled_models import FLAGS, NUMBERS, TEXT, patients
from components.processes import run_stroke
from stroke.adapters.onnx.model import OnnxRiskModel
from stroke.domain.patient import OPTIONAL, Patient

BOTH = ("--may-be-missing", "bmi", "--may-be-missing", "avg_glucose_level")


def stroke(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return run_stroke(*map(str, arguments), folder=folder)


def pipeline(classifier: Any, *, before_numbers: list[Any]) -> Any:
    steps = [*before_numbers, StandardScaler()]
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(*steps), [*NUMBERS, *FLAGS]),
            ("text", OneHotEncoder(handle_unknown="ignore", sparse_output=False), TEXT),
        ]
    )
    return make_pipeline(columns, classifier)


def imputing() -> Any:
    return pipeline(LogisticRegression(), before_numbers=[SimpleImputer(strategy="median")])


def trees() -> Any:
    return pipeline(HistGradientBoostingClassifier(max_iter=20), before_numbers=[])


def pickled(made: Any, folder: Path) -> Path:
    table, outcome = patients()
    gaps = np.random.default_rng(3).random((len(table), 2)) < 0.2
    for at, name in enumerate(OPTIONAL):
        table[name] = table[name].mask(gaps[:, at])
    file = folder / "model.pkl"
    file.write_bytes(pickle.dumps(made.fit(table, outcome)))
    return file


@pytest.mark.parametrize("make", [imputing, trees])
def test_a_model_that_takes_gaps_itself_answers_them_as_the_original_does(
    make: Callable[[], Any], tmp_path: Path
) -> None:
    file = pickled(make(), tmp_path)
    done = stroke(tmp_path, "model", "import", file, "--name", "mine", "--trust-pickle", *BOTH)
    assert done.returncode == 0, done.stderr

    model = OnnxRiskModel(tmp_path / "models" / "mine")
    assert model.description.may_be_missing == OPTIONAL
    original = pickle.loads(file.read_bytes())  # noqa: S301 -- made above
    for glucose, bmi in ((None, 26.0), (95.0, None), (None, None), (95.0, 26.0)):
        patient = Patient("Male", 67.0, 1, 0, glucose, bmi, "smokes")
        row = pd.DataFrame(
            [{name: getattr(patient, name) for name in (*NUMBERS, *FLAGS, *TEXT)}]
        ).astype(dict.fromkeys(NUMBERS, float))
        [answer] = model.assess([patient])
        assert answer.probability == pytest.approx(original.predict_proba(row)[0, 1], abs=1e-6)
        assert answer.missing == patient.missing
        logit = answer.baseline_log_odds + sum(each.log_odds for each in answer.contributions)
        assert 1 / (1 + np.exp(-logit)) == pytest.approx(answer.probability, abs=1e-6)
    shown = json.loads(stroke(tmp_path, "model", "verify", "--model", "mine", "--json").stdout)
    assert shown["sound"] is True
    assert len(shown["variants"]) == 4
    card = next((tmp_path / "models" / "mine").glob("*.md")).read_text()
    assert "is\nnot known: `stroke performance` measures it." in card


def test_a_graph_is_imported_with_what_it_can_do_without(tmp_path: Path) -> None:
    file = pickled(imputing(), tmp_path)
    stroke(tmp_path, "model", "import", file, "--name", "first", "--trust-pickle")
    graph = tmp_path / "models" / "first" / "model.onnx"

    done = stroke(tmp_path, "model", "import", graph, "--name", "second", "--may-be-missing", "bmi")

    assert done.returncode == 0, done.stderr
    model = OnnxRiskModel(tmp_path / "models" / "second")
    assert model.description.may_be_missing == ("bmi",)


@pytest.mark.parametrize("as_graph", [False, True])
def test_a_model_that_cannot_do_it_is_refused_and_nothing_is_written(
    tmp_path: Path, as_graph: bool
) -> None:
    table, outcome = patients()
    made = pipeline(LogisticRegression(), before_numbers=[]).fit(table, outcome)
    file = tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps(made))
    options: list[object] = ["--trust-pickle"]
    if as_graph:
        stroke(tmp_path, "model", "import", file, "--name", "first", "--trust-pickle")
        file, options = tmp_path / "models" / "first" / "model.onnx", []

    done = stroke(tmp_path, "model", "import", file, "--name", "mine", *options, *BOTH)

    assert done.returncode == 1
    wanted = (
        "where avg_glucose_level or bmi is missing"
        if as_graph
        else "put a SimpleImputer before the classifier"
    )
    assert wanted in done.stderr
    assert not (tmp_path / "models" / "mine").exists()


def test_only_the_bmi_and_the_glucose_level_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "any.onnx").write_bytes(b"")
    done = stroke(
        *(tmp_path, "model", "import", "any.onnx", "--name", "mine", "--may-be-missing", "age")
    )
    assert done.returncode == 1
    assert "--may-be-missing is one of avg_glucose_level, bmi" in done.stderr
