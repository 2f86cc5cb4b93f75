"""Interval, support and comparison as columns of scored files."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from builders.columnar import csv_text
from builders.predictions import patient
from contracts.scoring import batch_of
from fakes.predictions import FakeColumnarRiskModel, FakeRiskModel
from stroke.adapters.arrow.batches import BatchScoring
from stroke.adapters.arrow.bulk import BulkScoring
from stroke.application.predictions.scored_columns import (
    COMPARED,
    CONTEXT,
    added_names,
    earlier_scores,
)
from stroke.domain.risk import RiskAssessment

CHANGES: list[dict[str, Any]] = [{"age": 65.0, "hypertension": 1}, {"age": 101.0}, {"age": 10.0}]
OLD = "none-as-high age"


def assessed() -> list[RiskAssessment]:
    return FakeRiskModel(knows=True).assess([patient(**change) for change in CHANGES])


def rows_of(data: bytes, *, knows: bool = True, **options: Any) -> list[dict[str, str]]:
    text = bytearray()
    scoring = BulkScoring(
        io.BytesIO(data), model=FakeColumnarRiskModel(knows=knows), context=True, **options
    )
    scoring.run(lambda part: text.extend(bytes(part)), lambda _: None, lambda _: None)
    return list(csv.DictReader(io.StringIO(text.decode(), newline="")))


@pytest.mark.parametrize("contributions", [False, True])
@pytest.mark.parametrize("store", [None, lambda patients: list(range(len(patients)))])
def test_a_csv_has_the_context_of_each_row(contributions: bool, store: Any) -> None:
    rows = rows_of(csv_text(*CHANGES), contributions=contributions, store=store)
    for row, made in zip(rows, assessed(), strict=True):
        assert made.interval is not None
        assert made.comparison is not None
        assert float(row["interval_low"]) == pytest.approx(made.interval.low, rel=1e-12)
        assert float(row["interval_high"]) == pytest.approx(made.interval.high, rel=1e-12)
        for name, value in zip(COMPARED, made.comparison, strict=True):
            assert (float(row[name]) if row[name] else None) == (
                None if value is None else pytest.approx(value, rel=1e-12)
            )
    assert [row["support"] for row in rows] == ["within", "outside", "within"]
    assert [row["support_reasons"] for row in rows] == ["", OLD, ""]
    assert ("log_odds_age" in rows[0], "prediction_id" in rows[0]) == (contributions, bool(store))


def test_a_model_that_cannot_say_it_leaves_the_cells_empty() -> None:
    rows = rows_of(csv_text(*CHANGES), knows=False)
    assert {row[name] for row in rows for name in CONTEXT} == {""}


def test_the_context_of_an_earlier_run_is_left_out() -> None:
    given = ["age", *added_names(["age"], variants=True, context=True), "prediction_id", "interval"]
    kept = [name for at, name in enumerate(given) if at not in earlier_scores(given)]
    assert kept == ["age", "prediction_id", "interval"]


@pytest.mark.parametrize("knows", [False, True])
def test_a_batch_has_columns_of_numbers_and_text_whatever_the_model_knows(knows: bool) -> None:
    batch = batch_of(*CHANGES, {"age": 130.0})
    scoring = BatchScoring(batch.schema, FakeColumnarRiskModel(knows=knows), context=True)
    rows, rejects = scoring.score(batch)
    assert rows.schema == scoring.schema
    assert [reject.place for reject in rejects] == [3]
    assert rows.column("support").to_pylist() == (
        ["within", "outside", "within"] if knows else [None] * 3
    )
    ends = zip(
        *(rows.column(n).to_pylist() for n in ("interval_low", "interval_high")), strict=True
    )
    for (low, high), made in zip(ends, assessed(), strict=True):
        assert (low is None) == (not knows)
        if knows:
            assert (low, high) == pytest.approx(made.interval, rel=1e-12)
    assert rows.column("equal_age").null_count == (1 if knows else 3)


def test_without_the_option_no_such_column_is_there() -> None:
    batch = batch_of(*CHANGES)
    names = BatchScoring(batch.schema, FakeColumnarRiskModel(knows=True)).schema.names
    assert not set(CONTEXT) & set(names)
