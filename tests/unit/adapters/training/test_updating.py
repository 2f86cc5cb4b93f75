"""Updated models: the wrapped graph, its manifest, and what stays as it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from pydantic import ValidationError

from builders.graphs import constant, graph_of, loop, node, sound
from stroke.adapters.onnx.manifest import Manifest
from stroke.adapters.onnx.model import OnnxRiskModel
from stroke.adapters.onnx.store import DEFAULT, SHIPPED
from stroke.adapters.training.artefact import GRAPH, MANIFEST, artefact_files, card
from stroke.adapters.training.data import LabelledPatients, patients_of
from stroke.adapters.training.recalibrated_graph import design_of, recalibrated
from stroke.adapters.training.updating import (
    NO_INTERVAL,
    WIDENED,
    Grounds,
    Parent,
    updated,
    verify_parts,
    verify_probabilities,
)
from stroke.adapters.training.verification import run_graph
from stroke.application.models.card import as_markdown, card_of
from stroke.application.models.recalibration import (
    Evidence,
    Rules,
    line_for,
    moved,
    plan,
    probability_of,
)
from stroke.application.predictions.soundness import soundness
from stroke.application.predictions.trial_patients import trial_patients
from stroke.application.quality.calibration import logit
from stroke.domain.drift import SCORE
from stroke.domain.errors import ConversionMismatch, InvalidModel
from stroke.domain.features import RAW_FEATURES
from stroke.domain.model_update import Method, RecalibrationLine
from stroke.domain.patient import OPTIONAL

FOLDER: Final = SHIPPED / DEFAULT
PARENT: Final = Parent(
    (FOLDER / GRAPH).read_bytes(), json.loads((FOLDER / MANIFEST).read_text(encoding="utf-8"))
)
# Averages by age take seconds, and few tests look at them.
WITHOUT_AVERAGES: Final = Parent(PARENT.graph, {**PARENT.manifest, "comparison": None})
SERVED: Final = OnnxRiskModel(FOLDER)
COLUMNS: Final = trial_patients(1_000, OPTIONAL)
COMPLETE: Final = {name: values[:2_000] for name, values in COLUMNS.items()}
SOME: Final = {name: values[::16] for name, values in COLUMNS.items()}
LINE: Final = RecalibrationLine(0.6, 0.8, ((0.02, 0.005), (0.005, 0.004)))


def log_odds_of(columns: dict[str, Any]) -> np.ndarray[Any, Any]:
    scores = SERVED.score(columns)
    found: np.ndarray[Any, Any] = scores.baseline_log_odds + scores.log_odds.sum(axis=1)
    return found


def grounds(truth: RecalibrationLine = LINE, *, seed: int = 1, site: str | None = None) -> Grounds:
    """Return outcomes of all trial patients whose log-odds are moved by ``truth``."""
    log_odds = log_odds_of(COLUMNS)
    stream = np.random.default_rng(seed)
    outcome = (stream.random(len(log_odds)) < probability_of(moved(truth, log_odds))).astype(
        np.int64
    )
    places = stream.choice(np.array(["North", "South"], object), len(log_odds))
    evidence = Evidence(outcome, log_odds, places)
    update = plan(evidence, Rules(), site=site)
    return Grounds(patients_of(COLUMNS, outcome, "a" * 64), evidence, update, 0.05, site)


def written(folder: Path, graph: bytes, manifest: dict[str, Any]) -> OnnxRiskModel:
    folder.mkdir()
    for name, content in artefact_files(graph, manifest).items():
        (folder / name).write_bytes(content)
    return OnnxRiskModel(folder)


@pytest.fixture(scope="module")
def made() -> tuple[bytes, dict[str, Any]]:
    return updated(PARENT, grounds(), name="moved")


@pytest.fixture(scope="module")
def model(
    made: tuple[bytes, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> OnnxRiskModel:
    return written(tmp_path_factory.mktemp("store") / "moved", *made)


def test_an_updated_model_says_what_the_line_makes_of_its_parent(model: OnnxRiskModel) -> None:
    found = model.manifest.updated
    assert found is not None
    assert found.method is Method.LINE
    assert found.intercept is not None
    assert found.slope is not None
    assert found.parent == SERVED.description.version
    assert model.description.version != SERVED.description.version
    line = RecalibrationLine(found.intercept, found.slope)

    scores = model.score(COLUMNS, context=True)

    np.testing.assert_allclose(
        scores.probability, probability_of(moved(line, log_odds_of(COLUMNS))), atol=1e-12
    )
    parts = SERVED.score(COLUMNS)
    np.testing.assert_allclose(scores.log_odds, line.slope * parts.log_odds, atol=1e-12)
    assert scores.features == parts.features
    assert scores.context.interval is not None
    assert scores.context.comparison is not None


def test_contributions_sum_in_every_variant_of_an_updated_model(model: OnnxRiskModel) -> None:
    found = soundness(model, COMPLETE)

    assert found.is_sound
    assert len(found.variants) == len(SERVED.description.variants)


def test_intervals_are_those_of_the_delta_method(model: OnnxRiskModel) -> None:
    origin = model.manifest.updated
    assert origin is not None
    assert origin.slope is not None
    assert origin.covariance is not None
    assert origin.interval == WIDENED
    before = SERVED.score(COLUMNS, context=True).context.interval
    after = model.score(COLUMNS, context=True).context.interval
    assert before is not None
    assert after is not None
    log_odds = log_odds_of(COLUMNS)
    ends = logit(before.ravel()).reshape(-1, 2)
    errors = (ends[:, 1] - ends[:, 0]) / (2 * 1.959963984540054)
    design = np.column_stack([np.ones(len(log_odds)), log_odds])
    variance = (origin.slope * errors) ** 2 + np.einsum(
        "ij,jk,ik->i", design, np.array(origin.covariance), design
    )
    width = np.diff(logit(after.ravel()).reshape(-1, 2), axis=1)[:, 0]

    np.testing.assert_allclose(width, 2 * 1.959963984540054 * np.sqrt(variance), rtol=1e-6)


def test_an_updated_model_keeps_support_features_and_categories(model: OnnxRiskModel) -> None:
    scores, before = model.score(COMPLETE, context=True), SERVED.score(COMPLETE, context=True)

    assert scores.context.support == before.context.support
    assert model.description.features == SERVED.description.features
    assert model.description.may_be_missing == SERVED.description.may_be_missing
    np.testing.assert_array_equal(
        scores.categories(model.description), before.categories(SERVED.description)
    )
    assert model.manifest.training == SERVED.manifest.training
    assert model.manifest.model_type.endswith(", recalibrated")


def test_an_updated_model_is_judged_by_patients_that_its_line_had_not_seen(
    model: OnnxRiskModel,
) -> None:
    origin = model.manifest.updated
    assert origin is not None
    after, before = model.manifest.metrics, origin.before

    assert set(after) == set(before)
    assert after["calibration_slope"].low < 1 < after["calibration_slope"].high
    assert not before["calibration_slope"].low < 1 < before["calibration_slope"].high
    assert after["brier"].value < before["brier"].value
    # Each fold has its own line, so rankings differ a little between folds, and only there.
    assert after["auc"].value == pytest.approx(before["auc"].value, abs=0.002)
    assert model.manifest.cross_validated is not None
    for each in model.manifest.companions:
        assert set(each.metrics) == set(after)


def test_averages_are_of_the_patients_of_the_update(model: OnnxRiskModel) -> None:
    before, after = SERVED.manifest.comparison, model.manifest.comparison
    origin = model.manifest.updated
    assert before is not None
    assert after is not None
    assert origin is not None
    assert origin.slope is not None

    assert set(after.average) == {"Male", "Female", "Other"}
    assert after.average["Male"] != before.average["Male"]
    assert after.reference_log_odds == pytest.approx(
        [origin.slope * each for each in before.reference_log_odds], rel=1e-9
    )


def test_drift_is_still_measured_against_those_whom_the_parent_knows(
    model: OnnxRiskModel,
) -> None:
    before, after = SERVED.manifest.histograms, model.manifest.histograms

    assert set(after) == set(before)
    assert all(after[name] == before[name] for name in before if name != SCORE)
    assert after[SCORE].shares == before[SCORE].shares
    first, second = (
        np.searchsorted(histogram.cuts, each.score(COLUMNS).probability)
        for histogram, each in ((before[SCORE], SERVED), (after[SCORE], model))
    )
    np.testing.assert_array_equal(first, second)


def test_cards_say_what_an_update_made_of_which_model(
    made: tuple[bytes, dict[str, Any]], model: OnnxRiskModel
) -> None:
    origin = made[1]["updated"]
    short, whole = card(made[1]), as_markdown(card_of(model.description))

    for text in (short, whole):
        assert origin["parent"] in text
        assert f"{origin['patients']:,} patients" in text
        assert f"{origin['intercept']:.4f} + {origin['slope']:.4f} times" in text
    assert short.count("moved by the same line") == len(made[1]["companions"])
    assert "The model itself makes something" not in short
    assert "5 times 5-fold, patients not seen in training" not in short
    assert "Update by outcomes" not in as_markdown(card_of(SERVED.description))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"method": "none"}, "an update has a method"),
        ({"slope": None}, "a line has intercept, slope and covariance"),
        ({"method": "refit"}, "a refit has none"),
        ({"slope": -1.0}, "greater than 0"),
        ({"data_sha256": "x"}, "string_pattern_mismatch|match pattern"),
    ],
)
def test_a_manifest_with_half_an_update_is_refused(
    made: tuple[bytes, dict[str, Any]], wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        Manifest.model_validate(made[1] | {"updated": made[1]["updated"] | wrong})


def test_categories_can_keep_their_risks_instead_of_their_patients() -> None:
    _, manifest = updated(WITHOUT_AVERAGES, grounds(), name="kept", keep_bands=True)

    assert manifest["bands"] == PARENT.manifest["bands"]
    assert [each["bands"] for each in manifest["companions"]] == [
        each["bands"] for each in PARENT.manifest["companions"]
    ]


def test_the_same_outcomes_give_the_same_bytes(made: tuple[bytes, dict[str, Any]]) -> None:
    assert updated(PARENT, grounds(), name="moved") == made
    assert Manifest.model_validate(made[1]).version == made[1]["version"]


def test_an_updated_model_can_be_updated_again(model: OnnxRiskModel) -> None:
    parent = Parent(
        recalibrated(PARENT.graph, LINE), model.manifest.model_dump(mode="json", exclude_none=True)
    )
    patients = pd.DataFrame(SOME)
    twice = recalibrated(parent.graph, RecalibrationLine(-0.5, 1.2))

    [probability] = run_graph(twice, ["probability"], patients)

    wanted = probability_of(-0.5 + 1.2 * moved(LINE, log_odds_of(SOME)))
    np.testing.assert_allclose(probability[:, 0], wanted, atol=1e-12)
    verify_parts(parent.graph, twice, RecalibrationLine(-0.5, 1.2), patients)
    assert parent.can_be_refitted
    np.testing.assert_array_equal(design_of(twice, patients), design_of(PARENT.graph, patients))


def test_a_small_site_gets_a_model_of_its_own_from_all(tmp_path: Path) -> None:
    whole = grounds(seed=4)
    places = np.full(len(whole.evidence), "Large", object)
    places[:150] = "Small"
    places[150:4_000] = "Other"
    outcome = whole.evidence.outcome.copy()
    outcome[:150] |= np.random.default_rng(5).random(150) < 0.15
    outcome[150:4_000] |= np.random.default_rng(6).random(3_850) < 0.08
    evidence = Evidence(outcome, whole.evidence.log_odds, places)
    update = plan(evidence, Rules(), site="Small")
    assert update.shrinkage is not None
    patients = patients_of(COLUMNS, outcome, "b" * 64)

    new = updated(
        WITHOUT_AVERAGES, Grounds(patients, evidence, update, 0.05, "Small"), name="small"
    )
    small = written(tmp_path / "small", *new)

    origin = small.manifest.updated
    assert origin is not None
    assert origin.site == "Small"
    assert origin.shrinkage is not None
    assert origin.shrinkage.patients == 150
    assert small.manifest.cross_validated is not None
    assert sum(each.samples for each in small.manifest.cross_validated.calibration) == 150
    said = "It is for the site Small, whose own 150 patients count by"
    assert said in card(new[1])
    assert said in as_markdown(card_of(small.description))


def test_a_refit_is_what_training_makes_of_the_patients() -> None:
    """Training itself has tests of its own, and takes a minute."""
    seen: dict[str, Any] = {}

    def train(data: LabelledPatients, **options: Any) -> tuple[bytes, dict[str, Any]]:
        seen.update(options, data=data)
        return PARENT.graph, dict(PARENT.manifest)

    known = grounds()
    refit = replace(known, update=replace(known.update, method=Method.REFIT))

    _, manifest = updated(PARENT, refit, name="again", train=train)

    assert seen["data"] is known.patients
    assert seen["name"] == "again"
    origin = Manifest.model_validate(manifest).updated
    assert origin is not None
    assert (origin.method, origin.slope, origin.interval) == (
        Method.REFIT,
        None,
        "of the refit itself",
    )


def test_a_model_without_an_interval_gets_none_and_the_reason(tmp_path: Path) -> None:
    graph = sound().SerializeToString()
    parent = Parent(graph, bare_manifest(graph))
    columns = {name: values[:4_000] for name, values in COLUMNS.items()}
    [risk] = run_graph(graph, ["probability"], pd.DataFrame(columns))
    log_odds = logit(risk[:, 0])
    outcome = (
        np.random.default_rng(2).random(len(log_odds)) < probability_of(log_odds - 1)
    ).astype(np.int64)
    evidence = Evidence(outcome, log_odds, np.full(len(outcome), "", object))
    update = plan(evidence, Rules())
    assert update.is_needed

    new = updated(
        parent, Grounds(patients_of(columns, outcome, "c" * 64), evidence, update, 0.05), name="m"
    )
    moved_model = written(tmp_path / "m", *new)

    origin = moved_model.manifest.updated
    assert origin is not None
    assert origin.interval == NO_INTERVAL
    assert moved_model.score(columns, context=True).context.interval is None
    assert not parent.can_be_refitted
    assert parent.design(pd.DataFrame(columns)) is None
    assert soundness(moved_model, columns).is_sound


def bare_manifest(graph: bytes) -> dict[str, Any]:
    sha256 = hashlib.sha256(graph).hexdigest()
    made = Manifest(
        name="bare",
        version=f"bare-{sha256[:12]}",
        model_type="imported ONNX graph",
        sha256=sha256,
        features=("age",),
        bands={"medium": 0.3, "high": 0.7},  # type: ignore[arg-type]
    )
    return made.model_dump(mode="json")


def with_output(kind: str) -> bytes:
    """Return a graph of the age that answers in one of the ways that converters have."""
    model = sound()
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    age = "probability"
    single = helper.make_node("Cast", [age], ["single"], to=TensorProto.FLOAT)
    rest = [
        node("Sub", "one single", "other"),
        helper.make_node("Concat", ["other", "single"], ["both"], axis=1),
    ]
    one = constant("one", [[1.0]], np.float32)
    made: dict[str, tuple[list[Any], list[Any], Any]] = {
        "float": ([single], [], ("single", TensorProto.FLOAT, ["N", 1])),
        "flat": (
            [helper.make_node("Squeeze", [age, "ax"], ["flat"])],
            [constant("ax", [1], np.int64)],
            ("flat", TensorProto.DOUBLE, ["N"]),
        ),
        "table": ([single, *rest], [one], ("both", TensorProto.FLOAT, ["N", 2])),
        "maps": (
            [
                single,
                *rest,
                helper.make_node(
                    "ZipMap", ["both"], ["maps"], domain="ai.onnx.ml", classlabels_int64s=[0, 1]
                ),
            ],
            [one],
            None,
        ),
    }
    nodes, constants, output = made[kind]
    graph = model.graph
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    del graph.output[:]
    last = {"float": "single", "flat": "flat", "table": "both", "maps": "maps"}[kind]
    name = "output_probability"
    for each in graph.node:
        each.output[:] = [name if put == last else put for put in each.output]
    if output is None:
        value = helper.make_map_type_proto(
            TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
        )
        put = helper.make_value_info(name, helper.make_sequence_type_proto(value))
    else:
        put = helper.make_tensor_value_info(name, output[1], output[2])
    graph.output.append(put)
    content: bytes = model.SerializeToString()
    return content


@pytest.mark.parametrize("kind", ["float", "flat", "table", "maps"])
def test_graphs_answer_in_many_ways_and_all_are_wrapped(kind: str, tmp_path: Path) -> None:
    graph = with_output(kind)
    before, after = tmp_path / "before.onnx", tmp_path / "after.onnx"
    before.write_bytes(graph)
    after.write_bytes(recalibrated(graph, LINE))

    first, second = (OnnxRiskModel(path).probability(COMPLETE) for path in (before, after))

    assert verify_probabilities(LINE, first, second, pd.DataFrame(COMPLETE)) <= 1e-9


def test_a_graph_in_single_precision_is_wrapped_with_all_that_it_gives() -> None:
    model = onnx.load_model_from_string(PARENT.graph)
    for put in model.graph.output:
        inside = f"double_{put.name}"
        for each in model.graph.node:
            each.output[:] = [inside if name == put.name else name for name in each.output]
            each.input[:] = [inside if name == put.name else name for name in each.input]
        model.graph.node.append(
            helper.make_node("Cast", [inside], [put.name], to=TensorProto.FLOAT)
        )
        put.type.tensor_type.elem_type = TensorProto.FLOAT
    single = model.SerializeToString()
    patients = pd.DataFrame(SOME)
    after = recalibrated(single, LINE)

    verify_parts(single, after, LINE, patients)
    before, new = (
        run_graph(each, ["probability"], patients)[0][:, 0].astype(np.float64)
        for each in (single, after)
    )
    assert verify_probabilities(LINE, before, new, patients) <= 1e-9


def test_a_graph_with_graphs_inside_is_wrapped(tmp_path: Path) -> None:
    inner = loop(
        [node("Identity", "state", "next"), node("Not", "yes", "again")],
        go_on=[],
        constants=[constant("yes", True, np.bool_), constant("first", True, np.bool_)],
    )
    graph = inner.SerializeToString()
    before, after = tmp_path / "before.onnx", tmp_path / "after.onnx"
    before.write_bytes(graph)
    after.write_bytes(recalibrated(graph, LINE))

    first, second = (OnnxRiskModel(path).probability(COMPLETE) for path in (before, after))

    assert verify_probabilities(LINE, first, second, pd.DataFrame(COMPLETE)) <= 1e-9


@pytest.mark.parametrize("version", [9, 24])
def test_a_graph_of_another_operator_set_is_refused_with_what_to_do(version: int) -> None:
    model = sound()
    model.opset_import[0].version = version

    with pytest.raises(InvalidModel, match="version_converter"):
        recalibrated(model.SerializeToString(), LINE)


def test_a_graph_without_a_probability_is_refused() -> None:
    model = graph_of([node("Mul", "age factor", "log_odds")], [constant("factor", 0.1)])
    model.graph.output[0].name = "log_odds"

    with pytest.raises(InvalidModel, match="gives no probability"):
        recalibrated(model.SerializeToString(), LINE)


def test_a_graph_that_is_not_the_moved_one_is_found() -> None:
    wrong = recalibrated(PARENT.graph, replace(LINE, intercept=LINE.intercept + 1e-6))
    patients = pd.DataFrame(COLUMNS)
    before, after = (
        run_graph(each, ["probability"], patients)[0][:, 0] for each in (PARENT.graph, wrong)
    )

    with pytest.raises(ConversionMismatch, match="the graph differs"):
        verify_probabilities(LINE, before, after, patients)
    with pytest.raises(ConversionMismatch, match="the graph differs"):
        verify_parts(PARENT.graph, wrong, LINE, patients)


@settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    st.floats(-3, 3),
    st.floats(0.1, 3),
    st.floats(1e-6, 1),
    st.floats(1e-6, 1),
    st.floats(-0.99, 0.99),
)
def test_any_line_keeps_the_ranking_and_the_sums(
    intercept: float, slope: float, first: float, last: float, correlation: float
) -> None:
    both = correlation * (first * last) ** 0.5
    line = RecalibrationLine(intercept, slope, ((first, both), (both, last)))
    patients = pd.DataFrame(SOME)
    graph = recalibrated(PARENT.graph, line)

    probability, parts, ends = run_graph(
        graph, ["probability", "contributions", "interval"], patients
    )

    verify_parts(PARENT.graph, graph, line, patients)
    order = np.argsort(log_odds_of(SOME), kind="stable")
    # Sums of a row differ in the last bit with its place: see decision 0096.
    assert (np.diff(probability[order, 0]) >= -1e-15).all()
    assert ((ends[:, 0] <= probability[:, 0]) & (probability[:, 0] <= ends[:, 1])).all()
    assert parts.shape == (len(patients), len(RAW_FEATURES))


def test_a_line_that_changes_nothing_gives_the_same_answers() -> None:
    same = recalibrated(PARENT.graph, RecalibrationLine())
    patients = pd.DataFrame(COLUMNS)
    names = ["probability", "contributions", "leverage"]

    for before, after in zip(
        run_graph(PARENT.graph, names, patients), run_graph(same, names, patients), strict=True
    ):
        np.testing.assert_array_equal(before, after)


def test_outcomes_that_the_model_foretold_need_no_update() -> None:
    assert not plan(grounds(RecalibrationLine(), seed=1).evidence, Rules()).is_needed
    assert line_for(Method.NONE, grounds().evidence).is_identity


def test_the_wrapped_graph_is_a_valid_one() -> None:
    onnx.checker.check_model(
        onnx.load_model_from_string(recalibrated(PARENT.graph, LINE)), full_check=True
    )
