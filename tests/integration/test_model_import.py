"""`stroke model` as its users run it: imports of real pickles and graphs, and refusals."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import sklearn
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline as ResamplingPipeline
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import Binarizer, OneHotEncoder, SplineTransformer, StandardScaler

from components.processes import run_stroke
from contracts.predictions import RiskModelContract
from stroke.adapters.onnx.model import OnnxRiskModel
from stroke.adapters.onnx.store import DEFAULT, SHIPPED
from stroke.adapters.training.verification import trial_patients, with_engineered

TEXT = ["gender", "smoking_status", "age_group", "bmi_category", "glucose_category"]
NUMBERS = ["age", "hypertension", "heart_disease", "avg_glucose_level", "bmi", "age_hypertension"]


def stroke(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return run_stroke(*map(str, arguments), folder=folder)


def preprocessing() -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("numbers", StandardScaler(), NUMBERS),
            ("text", OneHotEncoder(handle_unknown="ignore"), TEXT),
        ]
    )


@pytest.fixture(scope="module")
def fitted_on() -> tuple[Any, Any]:
    patients = with_engineered(trial_patients(1_500))
    patients = patients.astype({"hypertension": int, "heart_disease": int})
    risk = 1 / (1 + np.exp(-(patients["age"] + 30 * patients["hypertension"] - 110) / 15))
    return patients, (np.random.default_rng(2).random(len(risk)) < risk).astype(int)


@pytest.fixture(scope="module")
def searched(fitted_on: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pickled grid search over an imbalanced-learn pipeline with SMOTE in it."""
    pipeline = ResamplingPipeline(
        [
            ("preprocessing", preprocessing()),
            ("smote", SMOTE(random_state=0)),
            ("regression", LogisticRegression(max_iter=1000)),
        ]
    )
    search = GridSearchCV(pipeline, {"regression__C": [0.1, 1.0]}, cv=2).fit(*fitted_on)
    file = tmp_path_factory.mktemp("pickles") / "best.pkl"
    file.write_bytes(pickle.dumps(search))
    return file


@pytest.fixture(scope="module")
def imported(searched: Path, tmp_path_factory: pytest.TempPathFactory) -> OnnxRiskModel:
    folder = tmp_path_factory.mktemp("imports")
    done = stroke(folder, "model", "import", searched, "--name", "best", "--trust-pickle")
    assert done.returncode == 0, done.stderr
    assert "runs the code it carries" in done.stderr
    return OnnxRiskModel(folder / "models" / "best")


class TestImportedPipeline(RiskModelContract):
    @pytest.fixture
    def model(self, imported: OnnxRiskModel) -> OnnxRiskModel:
        return imported

    def test_it_computes_what_the_original_computes(
        self, model: OnnxRiskModel, searched: Path, fitted_on: tuple[Any, Any]
    ) -> None:
        patients, _ = fitted_on
        original = pickle.loads(searched.read_bytes())  # noqa: S301 - made above
        columns = {name: patients[name].to_numpy() for name in patients.columns}
        np.testing.assert_allclose(
            model.score(columns).probability,
            original.predict_proba(patients)[:, 1],
            rtol=0,
            atol=1e-6,
        )

    def test_it_is_described_as_what_it_was(self, model: OnnxRiskModel) -> None:
        assert model.description.model_type == "imported LogisticRegression"
        assert (model.description.bands.medium, model.description.bands.high) == (0.3, 0.7)
        assert set(model.description.features) == {*TEXT, *NUMBERS}


def test_a_pickle_is_not_read_before_it_is_trusted(searched: Path, tmp_path: Path) -> None:
    done = stroke(tmp_path, "model", "import", searched, "--name", "best")
    assert done.returncode == 1
    assert "--trust-pickle" in done.stderr
    assert not (tmp_path / "models").exists()


def test_another_interpreter_can_do_the_conversion(searched: Path, tmp_path: Path) -> None:
    done = stroke(
        tmp_path, "model", "import", searched, "-n", "best", "--trust-pickle",
        "--python", sys.executable,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    missing = stroke(
        tmp_path, "model", "import", searched, "-n", "x", "--trust-pickle", "--python", "/no/python"
    )
    assert missing.returncode == 1
    assert "cannot be run" in missing.stderr


def test_a_conversion_that_is_not_exact_is_refused_and_nothing_is_written(
    fitted_on: tuple[Any, Any], tmp_path: Path
) -> None:
    # A known trap: the converter takes a binarizer's threshold and gets it wrong.
    steps = [
        ("low", Binarizer(threshold=50), ["age", "avg_glucose_level", "bmi"]),
        ("age", "passthrough", ["age"]),
    ]
    pipeline = Pipeline([("columns", ColumnTransformer(steps)), ("lr", LogisticRegression())])
    file = tmp_path / "trap.pkl"
    file.write_bytes(pickle.dumps(pipeline.fit(*fitted_on)))
    done = stroke(tmp_path, "model", "import", file, "-n", "trap", "--trust-pickle")
    assert done.returncode == 1
    assert "differs from the original by" in done.stderr
    assert "avg_glucose_level=" in done.stderr  # the worst case, by name
    assert "low (Binarizer)" in done.stderr  # and the steps
    assert not (tmp_path / "models").exists()


def test_what_skl2onnx_cannot_convert_is_refused_with_its_reason(
    fitted_on: tuple[Any, Any], tmp_path: Path
) -> None:
    columns = ColumnTransformer([("smooth", SplineTransformer(), ["age", "bmi"])])
    pipeline = Pipeline([("columns", columns), ("lr", LogisticRegression())])
    file = tmp_path / "smooth.pkl"
    file.write_bytes(pickle.dumps(CalibratedClassifierCV(pipeline, cv=2).fit(*fitted_on)))
    done = stroke(tmp_path, "model", "import", file, "-n", "smooth", "--trust-pickle")
    assert done.returncode == 1
    assert "skl2onnx cannot convert this pipeline: " in done.stderr
    assert "calibrated_0.columns.smooth (SplineTransformer)" in done.stderr
    assert "use PolynomialFeatures" in done.stderr
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ({"a": 1}, "no fitted classifier"),
        (GridSearchCV(LogisticRegression(), {"C": [1.0]}), "not fitted"),
        (LogisticRegression().fit([[0.0], [1.0]], [0, 1]), "which columns"),
    ],
)
def test_what_holds_no_fitted_pipeline_is_refused(made: object, named: str, tmp_path: Path) -> None:
    file = tmp_path / "odd.pkl"
    file.write_bytes(pickle.dumps(made))
    done = stroke(tmp_path, "model", "import", file, "-n", "odd", "--trust-pickle")
    assert done.returncode == 1
    assert named in done.stderr


def test_trees_after_scaling_are_imported_as_scikit_learn_computes_them(
    fitted_on: tuple[Any, Any], tmp_path: Path
) -> None:
    # scikit-learn casts to 32 bits between the scaler and the trees, and so must the graph.
    trees = RandomForestClassifier(n_estimators=20, random_state=0)
    pipeline = Pipeline([("preprocessing", preprocessing()), ("trees", trees)]).fit(*fitted_on)
    file = tmp_path / "forest.pkl"
    file.write_bytes(pickle.dumps(pipeline))
    done = stroke(tmp_path, "model", "import", file, "-n", "forest", "--trust-pickle")
    assert done.returncode == 0, done.stderr


def test_a_column_that_the_pipeline_drops_and_a_pipeline_within_it_are_no_hindrance(
    fitted_on: tuple[Any, Any], tmp_path: Path
) -> None:
    patients, outcome = fitted_on
    inner = ResamplingPipeline([("smote", SMOTE(random_state=0)), ("lr", LogisticRegression())])
    pipeline = ResamplingPipeline([("preprocessing", preprocessing()), ("rest", inner)])
    pipeline.fit(patients.assign(id=range(len(patients))), outcome)
    file = tmp_path / "nested.pkl"
    file.write_bytes(pickle.dumps(pipeline))
    done = stroke(tmp_path, "model", "import", file, "-n", "nested", "--trust-pickle")
    assert done.returncode == 0, done.stderr


def test_a_pickle_of_another_scikit_learn_is_refused_with_what_to_do(
    searched: Path, tmp_path: Path
) -> None:
    older = searched.read_bytes().replace(sklearn.__version__.encode(), b"1.0.2")
    file = tmp_path / "older.pkl"
    file.write_bytes(older)
    done = stroke(tmp_path, "model", "import", file, "-n", "older", "--trust-pickle")
    assert done.returncode == 1
    assert "1.0.2" in done.stderr
    assert "--python" in done.stderr


def test_a_model_in_two_files_with_labels_of_its_own_and_a_threshold(
    fitted_on: tuple[Any, Any], tmp_path: Path
) -> None:
    patients, outcome = fitted_on
    before = preprocessing().fit(patients)
    labels = np.where(outcome == 1, "apoplexy", "healthy")
    model = FixedThresholdClassifier(
        LogisticRegression(max_iter=1000), threshold=0.2, pos_label="apoplexy"
    ).fit(before.transform(patients), labels)
    (tmp_path / "before.pkl").write_bytes(pickle.dumps(before))
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    arguments = ("model", "import", "model.pkl", "-n", "two", "--trust-pickle")
    unlabelled = stroke(tmp_path, *arguments, "--preprocessor", "before.pkl")
    assert unlabelled.returncode == 1
    assert "'apoplexy' and 'healthy'" in unlabelled.stderr
    done = stroke(
        tmp_path, *arguments, "--preprocessor", "before.pkl", "--positive-label", "apoplexy"
    )
    assert done.returncode == 0, done.stderr
    assert "threshold 0.2 decides nothing" in done.stderr
    columns = {name: patients[name].to_numpy() for name in patients.columns}
    np.testing.assert_allclose(
        OnnxRiskModel(tmp_path / "models" / "two").score(columns).probability,
        model.predict_proba(before.transform(patients))[:, 0],
        rtol=0,
        atol=1e-6,
    )


def test_a_graph_that_gives_no_probability_is_not_imported(tmp_path: Path) -> None:
    model = onnx.load(SHIPPED / DEFAULT / "model.onnx")
    for node in model.graph.node:
        if node.op_type == "Sigmoid":
            node.op_type = "Neg"
    file = tmp_path / "odd.onnx"
    onnx.save(model, file)
    done = stroke(tmp_path, "model", "import", file, "-n", "odd")
    assert done.returncode == 1
    assert "probability" in done.stderr
    assert not (tmp_path / "models").exists()


def test_unknown_columns_are_refused_by_name(fitted_on: tuple[Any, Any], tmp_path: Path) -> None:
    patients, outcome = fitted_on
    model = LogisticRegression().fit(patients[["age"]].rename(columns={"age": "Alter"}), outcome)
    file = tmp_path / "alter.pkl"
    file.write_bytes(pickle.dumps(model))
    done = stroke(tmp_path, "model", "import", file, "-n", "alter", "--trust-pickle")
    assert done.returncode == 1
    assert "Alter" in done.stderr


def test_a_graph_is_imported_listed_shown_verified_and_not_replaced_unasked(
    tmp_path: Path,
) -> None:
    graph = SHIPPED / DEFAULT / "model.onnx"
    assert stroke(tmp_path, "model", "import", graph, "-n", "mine", "--medium", "0.02",
                  "--high", "0.15").returncode == 0  # fmt: skip
    assert json.loads(stroke(tmp_path, "model", "list", "--json").stdout) == ["mine", DEFAULT]
    shown = json.loads(stroke(tmp_path, "model", "show", "-m", "mine", "--json").stdout)
    assert shown["bands"] == {"medium": 0.02, "high": 0.15}
    verified = stroke(tmp_path, "model", "verify", "-m", "mine", "--json")
    assert verified.returncode == 0
    assert json.loads(verified.stdout)["sound"] is True
    again = stroke(tmp_path, "model", "import", graph, "-n", "mine")
    assert again.returncode == 1
    assert "--replace" in again.stderr


def test_a_damaged_model_does_not_verify(tmp_path: Path) -> None:
    graph = SHIPPED / DEFAULT / "model.onnx"
    stroke(tmp_path, "model", "import", graph, "-n", "mine")
    file = tmp_path / "models" / "mine" / "model.onnx"
    file.write_bytes(file.read_bytes() + b"\0")
    done = stroke(tmp_path, "model", "verify", "-m", "mine")
    assert done.returncode == 1
    assert "not the one that the manifest describes" in done.stderr


@pytest.mark.parametrize("name", ["../up", "", "a/b", "a" * 41])
def test_a_name_cannot_leave_the_store(name: str, tmp_path: Path) -> None:
    done = stroke(tmp_path, "model", "import", SHIPPED / DEFAULT / "model.onnx", "--name", name)
    assert done.returncode == 1
    assert list(tmp_path.iterdir()) == []
