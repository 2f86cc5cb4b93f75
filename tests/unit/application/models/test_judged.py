"""Patients with an outcome, as an update takes them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from builders.further import OF_ALL_KINDS
from fakes.predictions import FakeColumnarRiskModel
from stroke.application.models.columns import IMPLAUSIBLE, LACKING
from stroke.application.models.ids import KnownOutcomes
from stroke.application.models.judged import (
    NO_OUTCOME,
    JudgedPatients,
    RowsWithOutcome,
    gathered,
)
from stroke.application.models.stored_rows import batches_of
from stroke.application.predictions.file_rows import FileRow
from stroke.application.quality.calibration import logit

MODEL = FakeColumnarRiskModel()
CELLS: dict[str, Any] = {
    "gender": "Female",
    "age": "45",
    "hypertension": "1",
    "heart_disease": "0",
    "avg_glucose_level": "90",
    "bmi": "25",
    "smoking_status": "smokes",
    "stroke": "1",
    "site": "North",
}


def of_file(*changes: dict[str, Any], model: FakeColumnarRiskModel = MODEL) -> JudgedPatients:
    rows = [FileRow(at + 2, 1, {**CELLS, **each}) for at, each in enumerate(changes)]
    batches = batches_of(rows, lambda: None, model.description.further, with_site=True)
    return gathered(RowsWithOutcome([model.description]), batches, model)


def of_store(ids: list[int], known: KnownOutcomes, **changes: list[Any]) -> JudgedPatients:
    count = len(ids)
    columns: dict[str, Any] = {
        "op": ["c"] * count,
        "prediction_id": ids,
        **{
            name: [float(value) if value.isdigit() else value] * count
            for name, value in CELLS.items()
            if name not in {"stroke", "site"}
        },
        **changes,
    }
    batch = pa.RecordBatch.from_pydict(columns)
    parts = [batch.slice(at, 2) for at in range(0, count, 2)]
    return gathered(RowsWithOutcome([MODEL.description], known), parts, MODEL)


def test_rows_of_a_file_have_their_outcome_their_site_and_their_log_odds() -> None:
    found = of_file({}, {"stroke": "no", "age": "80", "site": ""}, {"site": "South"})

    assert found.outcome.tolist() == [1, 0, 1]
    assert found.site.tolist() == ["North", "", "South"]
    wanted = logit(MODEL.score(found.columns).probability)
    assert found.log_odds == pytest.approx(wanted, abs=1e-12)


def test_rows_that_do_not_count_are_counted_by_reason() -> None:
    found = of_file({}, {"stroke": ""}, {"age": "400"}, {"bmi": ""}, {"stroke": "perhaps"})

    assert len(found) == 1
    assert found.passed_over == {IMPLAUSIBLE: 1, LACKING: 1, NO_OUTCOME: 2}


def test_a_file_without_a_row_that_counts_gives_nobody() -> None:
    found = of_file({"stroke": ""})

    assert len(found) == len(found.log_odds) == 0


def test_stored_rows_have_the_outcome_of_their_id_once() -> None:
    known = KnownOutcomes([(7, True, "North"), (9, False, None)])

    found = of_store([9, 8, 7, 7, 9], known)

    assert found.outcome.tolist() == [1, 0]
    assert found.site.tolist() == ["North", ""]
    assert found.passed_over == {NO_OUTCOME: 1}


def test_the_digest_is_of_the_rows_in_whatever_order_they_came() -> None:
    known = KnownOutcomes([(7, True, None), (9, False, None), (8, False, None)])
    first, other = [of_store(ids, known).sha256 for ids in ([7, 8, 9], [9, 7, 8])]
    changed = of_store([7, 8, 9], known, age=[45.0, 46.0, 45.0]).sha256
    judged = of_store(
        [7, 8, 9], KnownOutcomes([(7, True, None), (9, True, None), (8, False, None)])
    )

    assert first == other
    assert len({first, changed, judged.sha256}) == 3


def test_texts_and_numbers_are_as_the_model_takes_them() -> None:
    columns = of_file({}, {"gender": "Male", "smoking_status": ""}).columns

    assert columns["gender"].tolist() == ["Female", "Male"]
    assert columns["smoking_status"].tolist() == ["smokes", "Unknown"]
    assert columns["age"].dtype == np.float64


def test_features_of_a_models_own_are_read_scored_and_part_of_the_digest() -> None:
    model = FakeColumnarRiskModel(further=OF_ALL_KINDS)
    own = {"waist": "90", "diabetes": "1", "alcohol": "some"}

    found = of_file(
        own, {**own, "alcohol": "", "waist": "91"}, {**own, "diabetes": ""}, model=model
    )

    assert found.passed_over == {LACKING: 1}
    assert found.columns["waist"].tolist() == [90, 91]
    assert found.columns["alcohol"].tolist() == ["some", ""]
    assert found.log_odds == pytest.approx(logit(model.score(found.columns).probability))
    assert found.log_odds[0] != pytest.approx(found.log_odds[1]), "the gap counts"
    assert found.sha256 != of_file(own, {**own, "alcohol": "", "waist": "92"}, model=model).sha256


def test_stored_values_of_a_models_own_features_are_read() -> None:
    model = FakeColumnarRiskModel(further=OF_ALL_KINDS)
    stored = [json.dumps({"waist": 90.0 + at, "diabetes": 1, "alcohol": None}) for at in range(3)]
    batch = pa.RecordBatch.from_pydict(
        {
            "prediction_id": [1, 2, 3],
            **{
                name: [float(value) if value.isdigit() else value] * 3
                for name, value in CELLS.items()
                if name not in {"stroke", "site"}
            },
            "prediction_data": [*stored[:2], "{}"],
        }
    )
    known = KnownOutcomes([(1, True, None), (2, False, None), (3, False, None)])

    found = gathered(RowsWithOutcome([model.description], known), [batch], model)

    assert found.columns["waist"].tolist() == [90, 91]
    assert found.outcome.tolist() == [1, 0]
    assert found.passed_over == {LACKING: 1}
