"""What Spark's workers do, without Spark, with the shipped model."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from builders.predictions import patient, patient_json
from fakes.predictions import FakeColumnarRiskModel
from fakes.scoring import FakeBatchScorer
from stroke.adapters.onnx.folder_store import FolderStore
from stroke.adapters.onnx.graph import GraphLimits
from stroke.adapters.onnx.model import OnnxRiskModel
from stroke.adapters.onnx.store import ModelStore
from stroke.adapters.spark_scoring.tasks import (
    FILE,
    ROW,
    TORN,
    WorkerParts,
    artefact_of,
    check_apart,
    rejected,
    scored,
)
from stroke.application.predictions.batch_scoring import ScoringOptions
from stroke.application.predictions.columnar import ColumnarRiskModel
from stroke.container.batch_scoring import batch_scorer, worker_parts
from stroke.domain.errors import InvalidData

MODEL = ModelStore(FolderStore(Path("nowhere"))).locate(None)
PARTS = worker_parts(GraphLimits())
LOADED = list[Path]()


@dataclass(frozen=True)
class Loads:
    """Loads as a worker does, and takes note of it."""

    def __call__(self, path: Path) -> ColumnarRiskModel:
        LOADED.append(path)
        return OnnxRiskModel(path)


def batch(*changes: dict[str, Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{**patient_json(), **change} for change in changes])


def placed(given: pa.RecordBatch, rows: list[int | None]) -> pa.RecordBatch:
    with_file = given.append_column(FILE, pa.array(["a"] * len(rows)))
    return with_file.append_column(ROW, pa.array(rows, pa.int64()))


def scored_rows(batches: list[pa.RecordBatch]) -> tuple[list[dict[str, Any]], int]:
    bad = list[int]()
    rows = [*scored(iter(batches), artefact_of(MODEL), bad.append, ScoringOptions(), PARTS)]
    return pa.Table.from_batches(rows).to_pylist(), sum(bad)


@pytest.mark.parametrize("model", [MODEL, MODEL / "model.onnx"])
def test_a_worker_has_the_very_model_that_was_sent(model: Path) -> None:
    given = iter([batch({}, {"age": 80.0})])
    rows = [*scored(given, artefact_of(model), lambda _: None, ScoringOptions(), PARTS)]
    served = OnnxRiskModel(model)
    expected = served.assess([patient(), patient(age=80.0)])
    for row, assessed in zip(rows[0].to_pylist(), expected, strict=True):
        assert row["probability"] == pytest.approx(assessed.probability, abs=1e-12, rel=0)
        assert row["model_version"] == served.description.version


def test_rows_that_cannot_be_scored_are_counted_and_named() -> None:
    given = batch({}, {"gender": "male"}, {}, {"age": 130.0})
    assert scored_rows([given, batch({})])[1] == 2
    placed = given.append_column(FILE, pa.array(["a"] * 4)).append_column(
        ROW, pa.array([5, 6, 7, 8])
    )
    [rejects] = rejected(iter([placed]), artefact_of(MODEL), PARTS)
    assert rejects.to_pylist() == [
        {"file": "a", "row": 6, "reason": "gender must be one of 'Male', 'Female', 'Other'"},
        {"file": "a", "row": 8, "reason": "age must be 0 to 120 years"},
    ]


def test_rows_with_gaps_are_scored_by_the_companions_of_the_model_that_was_sent() -> None:
    gaps: list[dict[str, Any]] = [{"bmi": None}, {"avg_glucose_level": None}, {}]
    rows, bad = scored_rows([batch(*gaps)])
    assert bad == 0
    assessed = OnnxRiskModel(MODEL).assess([patient(**gap) for gap in gaps])
    assert [each.missing for each in assessed] == [("bmi",), ("avg_glucose_level",), ()]
    for row, expected in zip(rows, assessed, strict=True):
        assert row["probability"] == pytest.approx(expected.probability, abs=1e-12, rel=0)
        assert row["risk_category"] == expected.category


def test_a_bare_graph_says_which_rows_it_cannot_do() -> None:
    given = batch({}, {"bmi": None})
    bad: list[int] = []
    graph = artefact_of(MODEL / "model.onnx")
    [rows] = scored(iter([given]), graph, bad.append, ScoringOptions(), PARTS)
    assert (rows.num_rows, bad) == (1, [1])


def test_rows_of_other_cells_than_the_header_are_not_scored() -> None:
    given = batch({}, {}).append_column(TORN, pa.array([None, "1,2"]))
    rows, bad = scored_rows([given])
    assert (len(rows), bad) == (1, 1)
    assert TORN not in rows[0]
    placed = given.append_column(FILE, pa.array(["a"] * 2)).append_column(
        ROW, pa.nulls(2, pa.int64())
    )
    [rejects] = rejected(iter([placed]), artefact_of(MODEL), PARTS)
    assert rejects.to_pylist() == [
        {"file": "a", "row": None, "reason": "has other cells than the header"}
    ]


def test_a_worker_loads_a_model_once_for_all_its_tasks() -> None:
    loads = Loads()
    artefact = artefact_of(MODEL)
    for _ in range(3):
        # As a task does it: what was sent is read anew.
        parts = pickle.loads(pickle.dumps(WorkerParts(loads, batch_scorer)))  # noqa: S301
        given = iter([batch({}), batch({})])
        assert len([*scored(given, artefact, lambda _: None, ScoringOptions(), parts)]) == 2
    assert len(LOADED) == 1


def test_a_worker_scores_with_what_it_was_sent() -> None:
    parts = WorkerParts(OnnxRiskModel, lambda schema, _model, _options: FakeBatchScorer(schema))
    given = iter([batch({"age": 50.0}, {"age": 130.0})])
    [rows] = scored(given, artefact_of(MODEL), lambda _: None, ScoringOptions(), parts)
    assert rows.column("probability").to_pylist() == [0.25]


def test_what_is_sent_to_the_workers_equals_itself_there() -> None:
    assert pickle.loads(pickle.dumps(PARTS)) == PARTS  # noqa: S301
    assert worker_parts(GraphLimits(run_seconds=1)) != PARTS


def test_another_way_to_load_the_same_files_is_another_model() -> None:
    artefact = artefact_of(MODEL)

    def versions(load: Callable[[Path], ColumnarRiskModel]) -> list[str]:
        parts = WorkerParts(load, batch_scorer)
        [rows] = scored(iter([batch({})]), artefact, lambda _: None, ScoringOptions(), parts)
        found: list[str] = rows.column("model_version").to_pylist()
        return found

    served = OnnxRiskModel(MODEL).description.version
    fake = FakeColumnarRiskModel().description.version
    assert versions(OnnxRiskModel) == [served]
    assert versions(lambda _: FakeColumnarRiskModel()) == [fake]
    assert versions(OnnxRiskModel) == [served]


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("s3a://lake/in", "s3a://lake/in"),
        ("s3a://lake/in/", "s3a://lake/out/../in"),
        ("s3a://lake/in", "s3a://lake"),
        ("s3a://lake/in", "s3a://lake/in/scored"),
        ("s3a://lake/in/*.parquet", "s3a://lake/in"),
        ("s3a://lake/in/day={1,2}/x", "s3a://lake/in"),
        ("/data/in", "file:///data/in"),
        ("/data/in.csv", "file:/data"),
        ("in", "."),
        ("/in", "/"),
    ],
)
def test_what_is_read_is_never_overwritten(source: str, output: str) -> None:
    with pytest.raises(InvalidData, match="must not be one in another"):
        check_apart(source, output, "s3a://elsewhere/rejects")
    with pytest.raises(InvalidData, match="must not be one in another"):
        check_apart(source, "s3a://elsewhere/out", output)


def test_outputs_that_lie_apart_are_taken() -> None:
    check_apart("s3a://lake/in", "s3a://lake/in2", "s3a://lake/in2.rejects")
    check_apart("s3a://lake/*.parquet", "s3a://lake/scored/out", "s3a://lake/scored/rejects")
    with pytest.raises(InvalidData, match="OUTPUT and --rejects"):
        check_apart("/in", "/out", "/out/rejects")
