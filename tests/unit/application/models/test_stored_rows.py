"""Rows of a file as batches of stored predictions."""

from __future__ import annotations

import math
from typing import Any

from stroke.application.models.stored_rows import batches_of
from stroke.application.predictions.file_rows import FileRow

CELLS = {
    "id": "7",
    "timestamp": "2026-11-01 00:00:00.5",
    "gender": "Female",
    "age": "45",
    "hypertension": "yes",
    "heart_disease": "0.0",
    "avg_glucose_level": "9.05e1",
    "bmi": "NA",
    "smoking_status": "",
    "probability": "0.1",
    "risk_category": "Low",
    "model_version": "v1",
    "contributing_factors": "age;bmi",
    "stroke": "1",
}


def value_of(column: str, **changes: Any) -> Any:
    (batch,) = batches_of([FileRow(3, 1, {**CELLS, **changes})], lambda: None)
    return batch.column(column)[0].as_py()


def test_cells_are_read_by_the_rules_of_all_files() -> None:
    (batch,) = batches_of([FileRow(3, 1, dict(CELLS))], lambda: None)

    assert batch.to_pylist() == [
        {
            "prediction_id": 7,
            "timestamp_us": 1_793_491_200_500_000,
            "gender": "Female",
            "age": 45.0,
            "hypertension": 1.0,
            "heart_disease": 0.0,
            "avg_glucose_level": 90.5,
            "bmi": None,
            "smoking_status": "Unknown",
            "probability": 0.1,
            "risk_category": "Low",
            "model_version": "v1",
            "contributing_factors": "age;bmi",
            "stroke": True,
        }
    ]


def test_a_row_is_named_by_its_id_or_else_by_its_line() -> None:
    assert value_of("prediction_id", id=None, prediction_id="9.0") == 9
    assert value_of("prediction_id", id="x") == 3
    assert value_of("prediction_id", id=None) == 3


def test_a_cell_that_is_no_value_of_its_column_differs_from_one_without_a_value() -> None:
    assert math.isinf(value_of("age", age="forty"))
    assert math.isinf(value_of("hypertension", hypertension="perhaps"))
    assert value_of("age", age="-") is None
    assert value_of("probability", probability="high") is None
    assert value_of("stroke", stroke="perhaps") is None
    assert value_of("timestamp_us", timestamp="noon") is None


def test_rows_that_cannot_be_read_are_counted() -> None:
    unreadable: list[int] = []
    bad = FileRow(4, 1, problem="a quote is not closed")

    batches = list(batches_of([bad, FileRow(5, 1, dict(CELLS))], lambda: unreadable.append(1)))

    assert unreadable == [1]
    assert [batch.num_rows for batch in batches] == [1]


def test_batches_have_category_and_factors_where_the_file_has_them() -> None:
    for lacked in ({"risk_category"}, {"contributing_factors", "risk_category"}):
        cells: dict[str, object] = {n: each for n, each in CELLS.items() if n not in lacked}
        (batch,) = batches_of([FileRow(3, 1, cells)], lambda: None)
        assert {*CELLS, "prediction_id"} - {*batch.schema.names} - {"id", "timestamp"} == lacked
    empty: dict[str, object] = {**CELLS, "risk_category": None, "contributing_factors": None}
    (batch,) = batches_of([FileRow(3, 1, empty)], lambda: None)
    assert batch.column("risk_category").null_count == 1
    assert batch.column("contributing_factors").null_count == 1
