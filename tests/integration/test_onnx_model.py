"""OnnxRiskModel with a real onnxruntime: what it serves, and what it refuses to serve."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from builders.predictions import patient
from contracts.predictions import PATIENTS, ColumnarRiskModelContract, RiskModelContract
from runner.examples import examples
from stroke.adapters.onnx.folder_store import FolderStore
from stroke.adapters.onnx.graph import Graph
from stroke.adapters.onnx.manifest import GRAPH, MANIFEST
from stroke.adapters.onnx.model import OnnxRiskModel
from stroke.adapters.onnx.store import DEFAULT, SHIPPED, ModelStore
from stroke.adapters.training.verification import trial_patients
from stroke.domain.comparison import REFERENCE_VALUES, Comparison
from stroke.domain.errors import InvalidModel, ModelNotFound
from stroke.domain.features import RAW_FEATURES, TEXT_FEATURES
from stroke.domain.patient import AGE, GENDERS, OPTIONAL, SMOKING_STATUSES, Patient
from stroke.domain.what_if import CHANGEABLE, WhatIf

WITHOUT_INTERVALS = Path(__file__).with_name("models") / "stroke-spline-lr-779084084b7b.onnx"
BEFORE = Path(__file__).with_name("models") / "stroke-spline-lr-e9b54b6f8e26.onnx"


@st.composite
def patients_with_gaps(draw: st.DrawFn) -> Patient:
    return Patient(
        gender=draw(st.sampled_from(GENDERS)),
        age=draw(st.floats(0, 120)),
        hypertension=draw(st.integers(0, 1)),
        heart_disease=draw(st.integers(0, 1)),
        avg_glucose_level=draw(st.none() | st.floats(20, 600)),
        bmi=draw(st.none() | st.floats(8, 100)),
        smoking_status=draw(st.sampled_from(SMOKING_STATUSES)),
    )


@cache
def shipped() -> OnnxRiskModel:
    return OnnxRiskModel(SHIPPED / DEFAULT)


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


def columns_of(people: list[Patient]) -> dict[str, NDArray[Any]]:
    return {
        name: np.array(
            [getattr(each, name) for each in people],
            dtype=object if name in TEXT_FEATURES else np.float64,
        )
        for name in RAW_FEATURES
    }


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

    def test_it_answers_complete_patients_as_the_model_before_it_had_companions(
        self, model: OnnxRiskModel
    ) -> None:
        before, now = Graph(BEFORE.read_bytes()), Graph((SHIPPED / DEFAULT / GRAPH).read_bytes())
        probes = trial_patients(20_000)
        columns = {name: probes[name].to_numpy() for name in RAW_FEATURES}
        wanted, of_wanted = before.run(columns)
        found, of_found = now.run(columns)
        assert found.tobytes() == wanted.tobytes()
        assert of_found is not None
        assert of_wanted is not None
        assert of_found.tobytes() == of_wanted.tobytes()

    def test_its_answers_are_those_of_the_model_before_it_knew_intervals(self) -> None:
        before = Graph(WITHOUT_INTERVALS.read_bytes())
        now = Graph((SHIPPED / DEFAULT / GRAPH).read_bytes())
        probes = trial_patients(5_000, OPTIONAL)
        columns = {name: probes[name].to_numpy() for name in RAW_FEATURES}
        wanted, of_wanted = before.run(columns)
        found, of_found, certainty = now.run_with_certainty(columns)
        assert not before.is_certain
        assert found.tobytes() == wanted.tobytes()
        assert of_found is not None
        assert of_wanted is not None
        assert of_found.tobytes() == of_wanted.tobytes()
        assert (certainty.interval[:, 0] < found).all()
        assert (found < certainty.interval[:, 1]).all()

    @settings(max_examples=examples(60), deadline=None)
    @given(st.lists(patients_with_gaps(), min_size=1, max_size=20))
    def test_interval_support_and_comparison_are_the_same_alone_in_a_batch_and_by_columns(
        self, people: list[Patient]
    ) -> None:
        model = OnnxRiskModel(SHIPPED / DEFAULT)
        context = model.score(columns_of(people), context=True).context
        assert context.interval is not None
        assert context.support is not None
        assert context.comparison is not None
        for row, (who, made) in enumerate(zip(people, model.assess(people), strict=True)):
            [alone] = model.assess([who])
            assert alone.support == made.support == context.support[row]
            of_row = context.comparison[row].tolist()
            assert made.comparison == Comparison(*(None if math.isnan(x) else x for x in of_row))
            assert made.interval == tuple(context.interval[row])
            assert alone.interval == pytest.approx(made.interval, rel=1e-12)

    @settings(max_examples=examples(60), deadline=None)
    @given(patients_with_gaps())
    def test_a_comparison_is_with_the_same_person_and_the_average_whatever_is_missing(
        self, who: Patient
    ) -> None:
        model = shipped()
        known = {name: v for name, v in REFERENCE_VALUES.items() if name not in who.missing}
        made, healthy = model.assess([who, replace(who, **known)])
        compared = made.comparison
        assert compared is not None
        assert compared.reference_risk == pytest.approx(healthy.probability, rel=1e-9)
        assert compared.relative_to_reference == pytest.approx(
            made.probability / healthy.probability, rel=1e-9
        )
        assert healthy.comparison is not None
        assert healthy.comparison.relative_to_reference == pytest.approx(1, rel=1e-9)
        if compared.average_risk is None:
            assert compared.relative_to_average is compared.equal_age is None
            return
        assert compared.relative_to_average == made.probability / compared.average_risk
        if compared.equal_age is not None:
            assert 0 <= compared.equal_age <= AGE.high
            [there] = model.assess([replace(who, age=compared.equal_age)])
            assert there.comparison is not None
            assert there.comparison.average_risk == pytest.approx(made.probability, rel=1e-9)

    @settings(max_examples=examples(60), deadline=None)
    @given(patients_with_gaps(), st.sampled_from(CHANGEABLE), patients_with_gaps())
    def test_what_if_says_where_two_answers_differ_whatever_is_missing(
        self, who: Patient, name: str, other: Patient
    ) -> None:
        model = shipped()
        before, after = model.assess([who, replace(who, **{name: getattr(other, name)})])
        differences = {each.feature: each for each in WhatIf(before, after).differences}
        gap = math.fsum(each.log_odds for each in differences.values())
        gap += after.baseline_log_odds - before.baseline_log_odds
        logits = [math.log(x.probability) - math.log1p(-x.probability) for x in (before, after)]
        assert gap == pytest.approx(logits[1] - logits[0], abs=1e-9)
        assert differences[name].value_before == getattr(who, name)
        assert differences[name].value_after == getattr(other, name)
        if before.missing == after.missing:
            assert {each for each, its in differences.items() if its.log_odds} <= {name}

    @pytest.mark.parametrize("part", ["support", "comparison"])
    def test_an_artefact_without_tables_says_nothing_of_them(
        self, artefact: Path, part: str
    ) -> None:
        file = artefact / MANIFEST
        known = json.loads(file.read_text())
        del known[part]
        file.write_text(json.dumps(known))
        [made] = OnnxRiskModel(artefact).assess([patient()])
        assert getattr(made, part) is None
        assert made.interval is not None

    @settings(max_examples=examples(60), deadline=None)
    @given(st.lists(patients_with_gaps(), min_size=1, max_size=20))
    def test_whatever_is_missing_one_patient_a_batch_and_columns_give_the_same(
        self, people: list[Patient]
    ) -> None:
        model = OnnxRiskModel(SHIPPED / DEFAULT)
        scores = model.score(columns_of(people))
        names = [variant.missing for variant in model.description.variants]
        for row, (who, made) in enumerate(zip(people, model.assess(people), strict=True)):
            [alone] = model.assess([who])
            assert alone.probability == pytest.approx(made.probability, rel=1e-12)
            assert (alone.category, alone.missing) == (made.category, who.missing)
            assert scores.probability[row] == made.probability
            assert names[scores.variant[row]] == who.missing
            parts = math.fsum(c.log_odds for c in made.contributions)
            logit = math.log(made.probability) - math.log1p(-made.probability)
            assert abs(made.baseline_log_odds + parts - logit) < 1e-9
            lacked = {c.feature: c.log_odds for c in made.contributions if c.value is None}
            assert lacked == dict.fromkeys(who.missing, 0.0)

    def test_a_measurement_that_is_there_changes_no_companion_that_does_not_look_at_it(
        self, model: OnnxRiskModel
    ) -> None:
        risks = {
            model.assess([patient(bmi=None, avg_glucose_level=glucose)])[0].probability
            for glucose in (60.0, 120.0, 250.0)
        }
        assert len(risks) == 3

    def test_the_columnar_path_gives_what_the_patients_path_gives(
        self, model: OnnxRiskModel
    ) -> None:
        scores = model.score(columns_of(PATIENTS))
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


class TestGraphThatTakesGapsItself(RiskModelContract, ColumnarRiskModelContract):
    """An imported graph with an imputer, whose manifest says that the BMI may be missing."""

    @pytest.fixture
    def model(self, tmp_path: Path) -> OnnxRiskModel:
        return OnnxRiskModel(imputing(tmp_path, ["bmi"]))

    def test_the_missing_measurement_counts_as_what_the_graph_takes_for_it(
        self, model: OnnxRiskModel
    ) -> None:
        [lacking, typical] = model.assess([patient(bmi=None), patient(bmi=30.0)])
        assert lacking.probability == typical.probability
        assert (lacking.variant, lacking.accuracy) == ("without bmi", None)


def imputing(folder: Path, missing: list[str]) -> Path:
    """Write an artefact whose graph takes 30 for a missing BMI; its manifest names ``missing``."""
    model = onnx.load_from_string(
        linear_graph({"age": TensorProto.DOUBLE, "bmi": TensorProto.DOUBLE})
    )
    nodes = [
        helper.make_node("IsNaN", ["bmi_f"], ["absent"]),
        helper.make_node("Where", ["absent", "thirty", "bmi_f"], ["filled"]),
    ]
    model.graph.initializer.append(helper.make_tensor("thirty", TensorProto.DOUBLE, [], [30.0]))
    summing = next(node for node in model.graph.node if node.op_type == "Sum")
    summing.input[:] = ["age_f", "filled"]
    at = list(model.graph.node).index(summing)
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*rest[:at], *nodes, *rest[at:]])
    content = model.SerializeToString()
    made = folder / "imputing"
    made.mkdir()
    (made / GRAPH).write_bytes(content)
    manifest = {
        "name": "imputing",
        "version": "imputing-1",
        "model_type": "test",
        "sha256": hashlib.sha256(content).hexdigest(),
        "features": ["age", "bmi"],
        "bands": {"medium": 0.06, "high": 0.1},
        "companions": [{"missing": [name]} for name in missing],
    }
    (made / MANIFEST).write_text(json.dumps(manifest))
    return made


def test_a_graph_that_cannot_do_without_what_its_manifest_names_is_refused(tmp_path: Path) -> None:
    artefact = imputing(tmp_path, [])
    content = linear_graph({"age": TensorProto.DOUBLE, "bmi": TensorProto.DOUBLE})
    (artefact / GRAPH).write_bytes(content)
    change_manifest(
        artefact,
        companions=[{"missing": ["bmi"]}],
        sha256=hashlib.sha256(content).hexdigest(),
    )
    with pytest.raises(InvalidModel, match="one probability"):
        OnnxRiskModel(artefact)


def test_companions_whose_intercept_is_wrong_are_refused(artefact: Path) -> None:
    companions = json.loads((artefact / MANIFEST).read_text())["companions"]
    companions[1]["intercept"] += 0.01
    change_manifest(artefact, companions=companions)
    with pytest.raises(InvalidModel, match="do not sum"):
        OnnxRiskModel(artefact)


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

    def test_it_says_nothing_that_it_does_not_know(self, model: OnnxRiskModel) -> None:
        [made] = model.assess([patient()])
        assert (made.interval, made.support, made.comparison) == (None, None, None)

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


def test_a_pickle_as_saved_model_is_refused_with_the_command_that_converts_it(
    tmp_path: Path,
) -> None:
    pickled = tmp_path / "best.pkl"
    pickled.write_bytes(b"")
    with pytest.raises(ModelNotFound, match="stroke model import"):
        ModelStore(FolderStore(tmp_path / "models")).locate(str(pickled))


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ([[0.9, 0.95]], "out of its interval"),
        ([[-0.1, 0.95]], "out of its interval"),
        ([[0.1]], "one interval"),
    ],
)
def test_a_graph_whose_interval_cannot_be_one_is_refused(
    tmp_path: Path, interval: list[list[float]], words: str
) -> None:
    model = onnx.load_from_string(linear_graph({"age": TensorProto.DOUBLE}))
    for name, value in (("interval", interval), ("leverage", [[1.0]])):
        width = len(value[0])
        model.graph.initializer.append(
            helper.make_tensor(f"{name}_value", TensorProto.DOUBLE, [1, width], value[0])
        )
        model.graph.node.append(helper.make_node("Identity", [f"{name}_value"], [name]))
        model.graph.output.append(
            helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["N", width])
        )
    with pytest.raises(InvalidModel, match=words):
        OnnxRiskModel(save(model.SerializeToString(), tmp_path))
