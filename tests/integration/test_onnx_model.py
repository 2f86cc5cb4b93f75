"""OnnxRiskModel with a real onnxruntime: what it serves, and what it refuses to serve."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from builders.predictions import patient
from contracts.predictions import PATIENTS, ColumnarRiskModelContract, RiskModelContract
from stroke.adapters.onnx.manifest import GRAPH, MANIFEST
from stroke.adapters.onnx.model import OnnxRiskModel
from stroke.adapters.onnx.store import DEFAULT, SHIPPED, ModelStore
from stroke.domain.errors import InvalidModel, ModelNotFound
from stroke.domain.features import RAW_FEATURES, TEXT_FEATURES


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    """Return a copy of the shipped artefact, to damage."""
    return Path(shutil.copytree(SHIPPED / DEFAULT, tmp_path / "model"))


def change_manifest(artefact: Path, **changes: Any) -> None:
    file = artefact / MANIFEST
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def linear_graph(
    features: dict[str, int], *, output: str = "probability", factor: float = 0.01
) -> bytes:
    """Return a graph with sigmoid(factor * sum of its numbers - 3) and inputs of given types."""
    numbers = [name for name in features if features[name] != TensorProto.STRING]
    nodes = [
        *(helper.make_node("Cast", [n], [f"{n}_f"], to=TensorProto.DOUBLE) for n in numbers),
        helper.make_node("Sum", [f"{n}_f" for n in numbers], ["sum"]),
        helper.make_node("Mul", ["sum", "factor"], ["scaled"]),
        helper.make_node("Sub", ["scaled", "three"], ["log_odds"]),
        helper.make_node("Sigmoid", ["log_odds"], [output]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info(n, t, ["N", 1]) for n, t in features.items()],
        [helper.make_tensor_value_info(output, TensorProto.DOUBLE, ["N", 1])],
        [
            helper.make_tensor("factor", TensorProto.DOUBLE, [], [factor]),
            helper.make_tensor("three", TensorProto.DOUBLE, [], [3.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    content: bytes = model.SerializeToString()
    return content


def save(content: bytes, tmp_path: Path) -> Path:
    file = tmp_path / "bare.onnx"
    file.write_bytes(content)
    return file


class TestShippedModel(RiskModelContract, ColumnarRiskModelContract):
    @pytest.fixture
    def model(self) -> OnnxRiskModel:
        return OnnxRiskModel(SHIPPED / DEFAULT)

    def test_its_contributions_come_from_the_graph_and_sum_to_the_logit(
        self, model: OnnxRiskModel
    ) -> None:
        stream = np.random.default_rng(3)
        people = [
            patient(age=float(age), avg_glucose_level=float(glucose), bmi=float(bmi))
            for age, glucose, bmi in stream.uniform((0, 20, 8), (120, 600, 100), (2_000, 3))
        ]
        for made in model.assess(people):
            logit = np.log(made.probability) - np.log1p(-made.probability)
            parts = sum(contribution.log_odds for contribution in made.contributions)
            assert abs(made.baseline_log_odds + parts - logit) < 1e-9

    def test_the_columnar_path_gives_what_the_patients_path_gives(
        self, model: OnnxRiskModel
    ) -> None:
        columns = {
            name: np.array(
                [getattr(each, name) for each in PATIENTS],
                dtype=object if name in TEXT_FEATURES else np.float64,
            )
            for name in RAW_FEATURES
        }
        scores = model.score(columns)
        assert scores.probability.tolist() == [m.probability for m in model.assess(PATIENTS)]
        assert set(scores.features) == set(RAW_FEATURES)

    def test_age_and_illness_raise_the_risk_of_stroke(self, model: OnnxRiskModel) -> None:
        young, old, ill = model.assess(
            [
                patient(age=30.0),
                patient(age=75.0),
                patient(age=75.0, hypertension=1, avg_glucose_level=250.0),
            ]
        )
        assert young.probability < old.probability < ill.probability
        assert old.factors[0] == "age"


class TestGraphWithoutContributions(RiskModelContract, ColumnarRiskModelContract):
    """A bare graph of raw and engineered features, 32-bit and whole numbers: Shapley values."""

    @pytest.fixture
    def model(self, tmp_path: Path) -> OnnxRiskModel:
        content = linear_graph(
            {
                "age": TensorProto.FLOAT,
                "bmi": TensorProto.DOUBLE,
                "avg_glucose_level": TensorProto.DOUBLE,
                "hypertension": TensorProto.INT64,
                "age_hypertension": TensorProto.DOUBLE,
                "age_group": TensorProto.STRING,
            }
        )
        return OnnxRiskModel(save(content, tmp_path))

    def test_an_engineered_feature_counts_for_the_measurements_it_is_made_of(
        self, model: OnnxRiskModel
    ) -> None:
        [made] = model.assess([patient(age=80.0, hypertension=1)])
        parts = {c.feature: c.log_odds for c in made.contributions}
        # Against 45 years without hypertension: 0.01 x (age + age x hypertension + 1), and the
        # interaction's 80 is shared: half of 35 for age alone, the rest by Shapley's formula.
        assert parts["age"] == pytest.approx(0.01 * (35 + 35 / 2))
        assert parts["hypertension"] == pytest.approx(0.01 * (1 + (45 + 80) / 2))
        assert parts["gender"] == parts["heart_disease"] == 0.0

    def test_features_without_effect_are_no_factors(self, model: OnnxRiskModel) -> None:
        [made] = model.assess([patient(age=80.0, bmi=28.1, avg_glucose_level=91.9)])
        assert made.factors == ["age"]

    def test_its_bands_are_those_of_imported_models(self, model: OnnxRiskModel) -> None:
        assert (model.description.bands.medium, model.description.bands.high) == (0.3, 0.7)


def test_probabilities_of_0_and_1_have_finite_log_odds(tmp_path: Path) -> None:
    content = linear_graph({"age": TensorProto.DOUBLE}, factor=1e3)
    model = OnnxRiskModel(save(content, tmp_path))
    [certain] = model.assess([patient(age=120.0)])
    assert certain.probability == 1.0
    assert all(np.isfinite(c.log_odds) for c in certain.contributions)


def test_an_altered_graph_is_refused(artefact: Path) -> None:
    graph = artefact / GRAPH
    model = onnx.load(graph)
    model.doc_string = "one word more"
    graph.write_bytes(model.SerializeToString())
    with pytest.raises(InvalidModel, match="not the one that the manifest describes"):
        OnnxRiskModel(artefact)


def test_a_graph_that_is_no_onnx_is_refused(artefact: Path) -> None:
    (artefact / GRAPH).write_bytes(b"no graph")
    change_manifest(artefact, sha256=hashlib.sha256(b"no graph").hexdigest())
    with pytest.raises(InvalidModel, match="cannot load"):
        OnnxRiskModel(artefact)


def test_an_unknown_input_is_refused_by_name(tmp_path: Path) -> None:
    file = save(
        linear_graph({"age": TensorProto.DOUBLE, "shoe_size": TensorProto.DOUBLE}), tmp_path
    )
    with pytest.raises(InvalidModel, match="shoe_size"):
        OnnxRiskModel(file)


def test_a_text_feature_that_is_asked_for_as_a_number_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="gender"):
        OnnxRiskModel(save(linear_graph({"gender": TensorProto.DOUBLE}), tmp_path))


def test_a_graph_without_a_probability_is_refused(tmp_path: Path) -> None:
    content = linear_graph({"age": TensorProto.DOUBLE}, output="score")
    with pytest.raises(InvalidModel, match="score"):
        OnnxRiskModel(save(content, tmp_path))


def test_a_manifest_of_other_features_is_refused(artefact: Path) -> None:
    change_manifest(artefact, features=["age"])
    with pytest.raises(InvalidModel, match="other features"):
        OnnxRiskModel(artefact)


def test_contributions_that_do_not_sum_to_the_probability_are_refused(artefact: Path) -> None:
    described = json.loads((artefact / MANIFEST).read_text())["contributions"]
    change_manifest(artefact, contributions={**described, "intercept": 0.0})
    with pytest.raises(InvalidModel, match="do not sum"):
        OnnxRiskModel(artefact)


def test_a_missing_artefact_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        OnnxRiskModel(tmp_path)


def test_a_measurement_that_is_asked_for_without_its_fraction_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="bmi"):
        OnnxRiskModel(save(linear_graph({"bmi": TensorProto.INT64}), tmp_path))


def test_a_graph_whose_output_is_no_probability_is_refused(tmp_path: Path) -> None:
    model = onnx.load_from_string(linear_graph({"age": TensorProto.DOUBLE}))
    model.graph.node.pop()  # the sigmoid: what is left gives log-odds
    model.graph.node[-1].output[0] = "probability"
    with pytest.raises(InvalidModel, match="one probability"):
        OnnxRiskModel(save(model.SerializeToString(), tmp_path))


def test_a_pickle_as_saved_model_is_told_how_to_become_one(tmp_path: Path) -> None:
    pickled = tmp_path / "best.pkl"
    pickled.write_bytes(b"")
    with pytest.raises(ModelNotFound, match="stroke model import"):
        ModelStore(tmp_path / "models").locate(str(pickled))
