"""Training with real scikit-learn and onnxruntime, on the public data set."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel
from sklearn.linear_model import LogisticRegression

from components.dataset import CSV, needs_data_set
from stroke.adapters.onnx.artefact_folder import write_artefact
from stroke.adapters.onnx.manifest import GRAPH, read_manifest
from stroke.adapters.onnx.store import DEFAULT, SHIPPED
from stroke.adapters.training import trainer
from stroke.adapters.training.artefact import library_versions
from stroke.adapters.training.data import LabelledPatients, read_labelled
from stroke.adapters.training.graph import Line, to_onnx
from stroke.adapters.training.spline_regression import FittedModel, fit, pipeline
from stroke.adapters.training.verification import trial_patients
from stroke.container.imports import labelled_rows
from stroke.domain.errors import ConversionMismatch, InvalidData, InvalidModel
from stroke.domain.features import RAW_FEATURES
from stroke.domain.risk import RiskBands


def read_csv(path: Path) -> LabelledPatients:
    with labelled_rows(path) as table:
        return read_labelled(path, table.rows)


def labelled(count: int = 600) -> LabelledPatients:
    patients = trial_patients(count)
    stream = np.random.default_rng(5)
    risk = 1 / (1 + np.exp(-(patients["age"].to_numpy() - 90) / 15))
    return LabelledPatients(patients, (stream.random(len(risk)) < risk).astype(np.int64), "0" * 64)


def into(folder: Path) -> Callable[[dict[str, bytes]], None]:
    return partial(write_artefact, folder, replace=False)


@needs_data_set
def test_the_shipped_model_is_what_training_on_the_data_set_gives(tmp_path: Path) -> None:
    shipped = read_manifest(SHIPPED / DEFAULT)
    trained = trainer.train(read_csv(CSV), into(tmp_path / "again"), name=DEFAULT, refits=2)

    assert library_versions(*shipped.libraries) == shipped.libraries, "train again, ship the result"
    assert trained["sha256"] == shipped.sha256
    assert trained["training"] == shipped.training
    assert trained["bands"] == shipped.bands.model_dump()
    assert trained["histograms"] == {
        name: histogram.model_dump(mode="json", exclude_unset=True)
        for name, histogram in shipped.histograms.items()
    }
    assert flat(trained["support"]) == pytest.approx(flat(plain(shipped.support)), rel=1e-6)
    listed, again = flat(plain(shipped.comparison)), flat(trained["comparison"])
    assert [each for each in again if isinstance(each, str)] == [
        each for each in listed if isinstance(each, str)
    ]
    numbers = [each for each in listed if not isinstance(each, str)]
    assert [each for each in again if not isinstance(each, str)] == pytest.approx(numbers, rel=1e-6)
    curves, drawn = flat(plain(shipped.cross_validated)), flat(trained["cross_validated"])
    assert [each for each in drawn if not isinstance(each, float)] == [
        each for each in curves if not isinstance(each, float)
    ]
    numbers = [each for each in curves if isinstance(each, float)]
    assert [each for each in drawn if isinstance(each, float)] == pytest.approx(numbers, rel=1e-6)
    check_metrics(trained, shipped.model_dump())
    check_gaps(trained["fairness"], shipped.model_dump(mode="json")["fairness"])
    for companion, known in zip(trained["companions"], shipped.companions, strict=True):
        assert tuple(companion["missing"]) == known.missing
        assert companion["bands"] == (known.bands and known.bands.model_dump())
        assert companion["intercept"] == known.intercept
        assert companion.get("lacking") == (known.lacking and known.lacking.model_dump())
        check_metrics(companion, known.model_dump())
        lost = known.model_dump()["compared"]["auc_lost"]
        assert companion["compared"]["auc_lost"] == pytest.approx(lost, rel=1e-6, abs=1e-9)


@pytest.mark.soak("500 refits of the model: half a minute of a quiet core, more of a busy one")
@needs_data_set
def test_intervals_are_those_of_500_refits_of_the_model() -> None:
    """The check that stands in the manifest, made again."""
    check = fit(read_csv(CSV), samples=2, refits=500).interval_check
    shipped = read_manifest(SHIPPED / DEFAULT).interval_check
    assert shipped is not None
    ratio, coverage = check["standard_error_ratio"], check["coverage"]
    sys.stdout.write(
        f"\n{check['refits']} refits: ratio of standard errors {ratio}, coverage {coverage}\n"
    )
    assert check["refits"] == shipped.refits == 500
    assert 0.95 <= ratio["median"] <= 1.05
    assert 0.85 <= ratio["p5"] <= ratio["p95"] <= 1.15
    assert 0.93 <= coverage["median"] <= 0.97
    assert coverage["p5"] >= 0.9
    assert ratio == pytest.approx(shipped.standard_error_ratio.model_dump(), rel=1e-3)
    assert coverage == pytest.approx(shipped.coverage.model_dump(), abs=0.005)


def plain(part: BaseModel | None) -> Any:
    assert part is not None
    return part.model_dump(mode="json")


def flat(part: Any) -> list[Any]:
    """Return all values of a table, in its order."""
    if isinstance(part, dict):
        return [value for each in part.values() for value in flat(each)]
    if isinstance(part, list | tuple):
        return [value for each in part for value in flat(each)]
    return [part]


def check_gaps(trained: list[dict[str, Any]], shipped: list[dict[str, Any]]) -> None:
    assert len(shipped) == 9  # three measures of gender, age group and smoking status
    for gap, known in zip(trained, shipped, strict=True):
        assert gap["estimate"] == pytest.approx(known["estimate"], rel=1e-6, abs=1e-9)
        assert gap | {"estimate": None} == known | {"estimate": None}


def check_metrics(trained: dict[str, Any], shipped: dict[str, Any]) -> None:
    for name, metric in shipped["metrics"].items():
        assert trained["metrics"][name] == pytest.approx(metric, rel=1e-6, abs=1e-9)


def test_the_same_data_gives_the_same_graph_byte_for_byte(tmp_path: Path) -> None:
    graphs = []
    for name in ("one", "two"):
        trainer.train(labelled(), into(tmp_path / name), name="same", samples=1, refits=0)
        graphs.append((tmp_path / name / GRAPH).read_bytes())
    assert graphs[0] == graphs[1]


def test_a_companion_of_another_fit_is_refused() -> None:
    data = labelled()
    fitted = fit(data, samples=1, refits=0)
    lines = {missing: each.line for missing, each in fitted.companions.items()}
    right = to_onnx(fitted.pipeline[0], fitted.full, lines, "right", fitted.spread)
    trainer.verify_export(fitted, right, data.features)

    for missing in lines:
        swapped = {**lines, missing: fitted.full}
        graph = to_onnx(fitted.pipeline[0], fitted.full, swapped, "wrong", fitted.spread)
        with pytest.raises(ConversionMismatch, match=r"differs from the original"):
            trainer.verify_export(fitted, graph, data.features)


def test_intervals_of_other_coefficients_are_refused() -> None:
    data = labelled()
    fitted = fit(data, samples=1, refits=0)
    assert fitted.spread is not None
    lines = {missing: each.line for missing, each in fitted.companions.items()}
    for wrong in (
        fitted.spread._replace(hat=fitted.spread.hat * 1.01),
        fitted.spread._replace(factors=dict.fromkeys(fitted.lines, fitted.spread.factors["bmi",])),
    ):
        graph = to_onnx(fitted.pipeline[0], fitted.full, lines, "wrong", wrong)
        with pytest.raises(ConversionMismatch, match=r"differs from the original"):
            trainer.verify_export(fitted, graph, data.features)


def test_a_companion_looks_at_nothing_that_its_patients_lack() -> None:
    data = labelled()
    fitted = fit(data, samples=1, refits=0)
    for missing, companion in fitted.companions.items():
        of_feature = dict.fromkeys(RAW_FEATURES, 0.0)
        for group, slope in zip(fitted.pipeline[0].groups_, companion.line.slopes, strict=True):
            of_feature[group] += abs(slope)
        assert {name for name, slope in of_feature.items() if slope == 0} == set(missing)


def test_patients_without_glucose_are_trained_on_and_counted(tmp_path: Path) -> None:
    data = labelled()
    data.features.loc[::5, "avg_glucose_level"] = np.nan
    data.features.loc[::10, "bmi"] = np.nan
    manifest = trainer.train(data, into(tmp_path / "gaps"), name="gaps", samples=1, refits=0)
    count = len(data)
    assert manifest["training"]["missing_avg_glucose_level"] == -(-count // 5)
    assert manifest["histograms"]["bmi"]["missing"] == pytest.approx(-(-count // 10) / count)
    whole = int(data.features.notna().all(axis=1).sum())
    assert {each["compared"]["patients"] for each in manifest["companions"]} == {whole}
    glucose, bmi, both = manifest["companions"]
    assert (glucose["lacking"]["patients"], both["lacking"]["patients"]) == (
        -(-count // 5) - -(-count // 10),
        -(-count // 10),
    )
    assert "lacking" not in bmi


def test_a_graph_of_another_fit_is_refused() -> None:
    data = labelled()
    fitted = pipeline().fit(data.features, data.outcome)
    other = LogisticRegression().fit(fitted[0].transform(data.features), 1 - data.outcome)
    wrong = Line(other.coef_[0], float(other.intercept_[0]))
    graph = to_onnx(fitted[0], wrong, {}, "wrong")
    model = FittedModel(fitted, RiskBands(0.1, 0.2), {}, {})
    with pytest.raises(ConversionMismatch, match=r"differs from the original.*age="):
        trainer.verify_export(model, graph, data.features)


def test_a_model_of_the_same_name_is_not_replaced_unasked(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"precious")
    with pytest.raises(InvalidData, match="exists already"):
        write_artefact(folder, {"model.onnx": b"new"}, replace=False)
    assert (folder / "model.onnx").read_bytes() == b"precious"


def test_a_folder_that_holds_more_than_a_model_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InvalidData, match="more than a model"):
        write_artefact(tmp_path, {"model.onnx": b"new"}, replace=True)
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_artefact_that_is_not_accepted_does_not_take_its_place(tmp_path: Path) -> None:
    def refuse(folder: Path) -> None:
        assert (folder / "model.onnx").read_bytes() == b"new"
        raise InvalidModel("no")

    write_artefact(tmp_path / "mine", {"model.onnx": b"old"}, replace=False)
    with pytest.raises(InvalidModel):
        write_artefact(tmp_path / "mine", {"model.onnx": b"new"}, replace=True, accept=refuse)
    assert (tmp_path / "mine" / "model.onnx").read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["mine"]


def test_values_too_few_for_a_curve_are_said() -> None:
    data = labelled()
    data.features["bmi"] = 28.1
    with pytest.raises(InvalidData, match="bmi"):
        pipeline().fit(data.features, data.outcome)


def test_a_replaced_model_leaves_nothing_of_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    write_artefact(folder, {"model.onnx": b"old", "card.md": b"old"}, replace=False)
    write_artefact(folder, {"model.onnx": b"new"}, replace=True)
    assert [(file.name, file.read_bytes()) for file in folder.iterdir()] == [("model.onnx", b"new")]
    assert [each.name for each in tmp_path.iterdir()] == ["mine"]


HEADER = "gender,age,hypertension,heart_disease,avg_glucose_level,bmi,smoking_status,stroke\n"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("age,bmi\n1,2\n", "gender"),
        (HEADER + "Male,x,0,0,90,25,smokes,1\n", "age"),
        (HEADER + "Male,5,0,0,90,25,cigars,1\n", "smoking_status"),
        (HEADER + "Male,5,0,0,90,25,smokes,2\n", "stroke"),
        (HEADER + "Male,-7,0,0,90,25,smokes,1\n", "age"),
        (HEADER + "Male,inf,0,0,90,25,smokes,1\n", "age"),
        (HEADER + "Male,5,7,0,90,25,smokes,1\n", "hypertension"),
        (HEADER, "at least 50"),
        (HEADER + 100 * "Male,5,0,0,90,25,smokes,1\n", "at least 50"),
    ],
)
def test_a_file_that_cannot_be_trained_on_is_refused_by_what_is_wrong(
    text: str, named: str, tmp_path: Path
) -> None:
    file = tmp_path / "data.csv"
    file.write_text(text)
    with pytest.raises(InvalidData, match=named):
        read_csv(file)


@needs_data_set
def test_the_data_set_is_read_as_it_is_published() -> None:
    data = read_csv(CSV)
    assert data.facts == {
        "sha256": "644d473b05d2797006bd94865e4f8bb057f0c721617911613c82c8fcfc707420",
        "rows": 5110,
        "strokes": 249,
        "missing_bmi": 201,
    }
    assert isinstance(data.features, pd.DataFrame)


def test_the_shipped_card_shows_the_manifests_figures() -> None:
    card = (SHIPPED / DEFAULT / "card.md").read_text()
    manifest = json.loads((SHIPPED / DEFAULT / "manifest.json").read_text())
    assert manifest["version"] in card
    for name, metric in manifest["metrics"].items():
        assert f"| {name} | {metric['value']:.4f} |" in card
