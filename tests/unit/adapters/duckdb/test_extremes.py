"""Rows of an adopted table may hold anything that their types allow: each is counted once."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.changes import a_change, loaded
from builders.extremes import ANY_ROW, extreme_changes
from builders.truth import Change
from runner.examples import examples
from stroke.adapters.duckdb.engine import DuckDbEngine
from stroke.adapters.report.analyses import render
from stroke.application.analyses.queries import Analysis, analyses

ANALYSES = {each.name: each for each in analyses(minimum=1)}
COUNTING = [name for name in ANALYSES if name.startswith(("risk-", "prob", "model-", "trend-"))]
GROUPED_BY = {
    name: 2 if name in {"risk-by-province", "risk-by-hypertension-and-heart-disease"} else 1
    for name in COUNTING
    if name != "probability-histogram"
}
"""How many columns say which group a row is of."""
RUN: dict[str, Any] = {
    "engine": "duckdb",
    "source": "db",
    "began": "2026-01-02T00:00:00+00:00",
    "seconds": 1.0,
    "point": {},
    "events": 1,
    "predictions": 1,
    "rows": {},
}


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDbEngine]:
    with DuckDbEngine(memory_mib=256, threads=1) as engine:
        yield engine


def results(engine: DuckDbEngine, changes: Sequence[Change]) -> list[tuple[Analysis, pa.Table]]:
    """Run all analyses, and check that every table counts every prediction once."""
    assert loaded(engine, changes).predictions == len(changes)
    found = {name: engine.query(each) for name, each in ANALYSES.items()}
    for name in COUNTING:
        assert sum(found[name]["predictions"].to_pylist()) == len(changes), name
    for name, table in found.items():
        rows = table.to_pylist()
        for row in rows:
            mean = row.get("mean_probability")
            assert mean is None or 0 <= mean <= 1, name
        groups = [tuple(row.values())[: GROUPED_BY.get(name, 0)] for row in rows]
        assert name not in GROUPED_BY or len(groups) == len(set(groups)), name
    return [(ANALYSES[name], table) for name, table in found.items()]


def test_each_extreme_value_is_counted_and_shown(engine: DuckDbEngine) -> None:
    found = results(engine, extreme_changes())

    assert render(RUN, found).count("<figure>") == 14


def test_the_order_of_the_events_does_not_change_the_rows(engine: DuckDbEngine) -> None:
    changes = extreme_changes()
    texts = [{**change, "probability": None} for change in changes]  # sums of floats have an order
    expected = results(engine, texts)

    for seed in range(5):
        shuffled = random.Random(seed).sample(texts, len(texts))  # noqa: S311
        for (analysis, table), (_, other) in zip(expected, results(engine, shuffled), strict=True):
            assert repr(table.to_pylist()) == repr(other.to_pylist()), analysis.name


@settings(max_examples=examples(40))
@given(st.lists(ANY_ROW, min_size=1, max_size=6))
def test_any_row_is_counted_once_in_every_table(
    engine: DuckDbEngine, rows: list[dict[str, Any]]
) -> None:
    results(engine, [a_change(number, number, **row) for number, row in enumerate(rows)])


@settings(max_examples=examples(2), deadline=None)
@given(st.lists(ANY_ROW, min_size=1, max_size=4))
def test_any_row_can_be_shown(engine: DuckDbEngine, rows: list[dict[str, Any]]) -> None:
    changes = [a_change(number, number, **row) for number, row in enumerate(rows)]

    assert render(RUN, results(engine, changes)).startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("stored", "day"),
    [
        (253_402_300_799_999_999, date(9999, 12, 31)),
        (253_402_214_400_000_000, date(9999, 12, 31)),
        (253_402_214_399_999_999, date(9999, 12, 30)),
        (253_402_300_800_000_000, None),
        (-62_135_596_800_000_000, date(1, 1, 1)),
        (-62_135_596_800_000_001, None),
        (-1, date(1969, 12, 31)),
        (0, date(1970, 1, 1)),
        (86_399_999_999, date(1970, 1, 1)),
        (2**63 - 1, None),
        (-(2**63), None),
    ],
)
def test_a_time_belongs_to_the_day_that_it_is_on(
    engine: DuckDbEngine, stored: int, day: date | None
) -> None:
    loaded(engine, [a_change(1, 1, timestamp_us=stored)])

    assert engine.query(ANALYSES["trend-per-day"])["day"].to_pylist() == [day]


@pytest.mark.parametrize(
    ("probability", "low"),
    [
        (0.0, 0.0),
        (-0.0, 0.0),
        (5e-324, 0.0),
        (0.05, 0.05),
        (math.nextafter(0.05, 0), 0.0),
        (1 - 2**-53, 0.95),
        (1.0, 0.95),
        *((number, None) for number in (-1e-300, -5e-324, 1 + 2**-52, 1e308, -1e308)),
        *((number, None) for number in (math.inf, -math.inf, math.nan, None)),
    ],
)
def test_a_number_that_is_no_probability_counts_as_none(
    engine: DuckDbEngine, probability: float | None, low: float | None
) -> None:
    loaded(engine, [a_change(1, 1, probability=probability, risk_category="High")])

    [row] = [
        row
        for row in engine.query(ANALYSES["probability-histogram"]).to_pylist()
        if row["predictions"]
    ]
    [category] = engine.query(ANALYSES["risk-distribution"]).to_pylist()
    assert row["low"] == low
    assert category["mean_probability"] == (None if low is None else probability)
    assert engine.query(ANALYSES["top-risks"]).num_rows == (low is not None)


@pytest.mark.parametrize("column", ["bmi", "avg_glucose_level"])
def test_no_number_merits_no_review(engine: DuckDbEngine, column: str) -> None:
    for number, reviewed in ((math.nan, 0), (math.inf, 1)):
        row: dict[str, Any] = {"risk_category": "Low", column: number}
        loaded(engine, [a_change(1, 1, **row)])
        assert engine.query(ANALYSES["merits-review"]).num_rows == reviewed
