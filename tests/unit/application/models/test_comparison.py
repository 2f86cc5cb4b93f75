"""Two models on the same patients."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from fakes.predictions import FakeColumnarRiskModel
from fakes.scratch import FakeScratch
from stroke.adapters.scratch.files import FileScratch
from stroke.application.models import kept_pairs, ordered
from stroke.application.models.columns import IMPLAUSIBLE, LACKING
from stroke.application.models.comparison import Comparison
from stroke.application.models.ids import KnownOutcomes
from stroke.application.models.judged import NO_OUTCOME
from stroke.application.models.paired import verdict
from stroke.application.models.replay import STORED
from stroke.application.predictions.columnar import Scores
from stroke.application.quality.discrimination import area_under_curve
from stroke.application.quality.performance import Minimums
from stroke.domain.model_comparison import ComparisonReport, Verdict
from stroke.domain.performance import Estimate
from stroke.domain.risk import ModelDescription, RiskBands

GOOD = FakeColumnarRiskModel()
WITH_OUTCOME = STORED.append(pa.field("stroke", pa.bool_()))


class Noisy(FakeColumnarRiskModel):
    """Knows age only with noise, which is the same for the same patient."""

    @property
    def description(self) -> ModelDescription:
        return replace(super().description, version="noisy-1", bands=RiskBands(0.05, 0.3))

    def score(self, columns: Mapping[str, NDArray[Any]], *, context: bool = False) -> Scores:
        noise = 25 * np.sin(1e4 * columns["avg_glucose_level"])
        return super().score({**columns, "age": columns["age"] + noise})


def patients(count: int = 3_000, seed: int = 3) -> dict[str, NDArray[Any]]:
    stream = np.random.default_rng(seed)
    return {
        "prediction_id": np.arange(1, count + 1),
        "gender": stream.choice(["Male", "Female"], count),
        "age": stream.uniform(20, 90, count),
        "hypertension": stream.integers(0, 2, count).astype(float),
        "heart_disease": np.zeros(count),
        "avg_glucose_level": stream.uniform(60, 250, count),
        "bmi": np.full(count, 28.0),
        "smoking_status": stream.choice(["smokes", "never smoked"], count),
    }


def outcomes_of(columns: dict[str, NDArray[Any]], seed: int = 4) -> NDArray[np.bool_]:
    truth = GOOD.score(
        {n: v.astype(object) if v.dtype.kind == "U" else v for n, v in columns.items()}
    ).probability
    struck: NDArray[np.bool_] = np.random.default_rng(seed).random(len(truth)) < truth
    return struck


def batch_of(columns: Mapping[str, Any], schema: pa.Schema = WITH_OUTCOME) -> pa.RecordBatch:
    count = len(columns["age"])
    return pa.record_batch(
        [
            pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(count, f.type)
            for f in schema
        ],
        schema=schema,
    )


def compared(
    columns: dict[str, NDArray[Any]], struck: NDArray[np.bool_], **options: Any
) -> ComparisonReport:
    comparison = Comparison(GOOD, Noisy(), FakeScratch)
    batch = batch_of({**columns, "stroke": struck})
    comparison.run([batch.slice(at, 700) for at in range(0, batch.num_rows, 700)])
    return comparison.report(options.pop("minimums", Minimums()), **options)


def test_the_better_model_is_found_and_the_differences_are_those_of_the_same_patients() -> None:
    columns = patients()
    struck = outcomes_of(columns)

    report = compared(columns, struck)

    whole = report.groups[0]
    assert (report.first_version, report.second_version) == ("fake-1", "noisy-1")
    assert (whole.samples, whole.events) == (3_000, int(struck.sum()))
    assert whole.differences["auc"].verdict is Verdict.FIRST
    assert whole.differences["brier"].verdict is Verdict.FIRST
    risks = [
        model.score(
            {n: v.astype(object) if v.dtype.kind == "U" else v for n, v in columns.items()}
        ).probability
        for model in (GOOD, Noisy())
    ]
    areas = [area_under_curve(struck.astype(np.int64), risk) for risk in risks]
    assert whole.differences["auc"].estimate.value == pytest.approx(areas[1] - areas[0])
    brier = [float(((risk - struck) ** 2).mean()) for risk in risks]
    assert whole.differences["brier"].estimate.value == pytest.approx(brier[1] - brier[0])
    high = [
        float((risk >= cut)[struck].mean()) for risk, cut in zip(risks, (0.2, 0.3), strict=True)
    ]
    assert whole.differences["sensitivity_high"].estimate.value == pytest.approx(high[1] - high[0])
    for name, estimate in whole.first.items():
        assert estimate.low <= estimate.value <= estimate.high, name
    assert report.detectable is not None
    assert report.detectable < abs(whole.differences["auc"].estimate.value)


def test_net_benefit_is_given_where_the_categories_of_either_model_begin() -> None:
    columns = patients()
    struck = outcomes_of(columns)

    points = {
        point.threshold: point for point in compared(columns, struck).groups[0].decision_curve
    }

    assert {0.02, 0.05, 0.2, 0.3} <= points.keys()
    risk = GOOD.score(
        {n: v.astype(object) if v.dtype.kind == "U" else v for n, v in columns.items()}
    ).probability
    treated = risk >= 0.2
    worth = (treated & struck).mean() - (treated & ~struck).mean() * 0.25
    assert points[0.2].first == pytest.approx(worth)
    assert points[0.2].difference.estimate.value == pytest.approx(points[0.2].second - worth)


def test_a_model_is_no_better_than_itself_and_the_data_cannot_tell() -> None:
    columns = patients()
    comparison = Comparison(GOOD, FakeColumnarRiskModel(), FakeScratch)
    comparison.take(batch_of({**columns, "stroke": outcomes_of(columns)}))

    whole = comparison.report(Minimums()).groups[0]

    assert {each.verdict for each in whole.differences.values()} == {Verdict.OPEN}


def test_groups_are_compared_and_small_ones_only_counted() -> None:
    columns = patients()
    columns["gender"][:7] = "Other"

    report = compared(columns, outcomes_of(columns), learned=["fake-1"])

    levels = {(each.group, each.level): each for each in report.groups}
    assert levels["gender", "Male"].differences["auc"].estimate.value < 0
    assert levels["gender", "Other"].events is None
    assert not levels["gender", "Other"].differences
    assert ("smoking_status", "smokes") in levels
    assert {gap.group for gap in report.second_gaps} == {"gender", "age_group", "smoking_status"}
    assert all("Other" in gap.left_out for gap in report.first_gaps if gap.group == "gender")
    assert report.learned_from == ["fake-1"]


def test_too_few_patients_are_said_to_be_too_few() -> None:
    columns = patients(30)

    report = compared(columns, outcomes_of(columns))

    assert report.groups[0].samples == 30
    assert report.detectable is None
    assert not report.groups[0].differences


def test_nobody_at_all_is_no_error() -> None:
    report = Comparison(GOOD, Noisy(), FakeScratch).report(Minimums())

    assert [(each.group, each.samples) for each in report.groups] == [("all", 0)]


def test_stored_predictions_get_outcome_and_site_by_their_ids_and_count_once() -> None:
    columns = patients(400)
    known = KnownOutcomes(
        (number, number % 3 == 0, f"site {number % 2}")
        for number in columns["prediction_id"][:300].tolist()
    )
    schema = STORED.append(pa.field("op", pa.string()))
    batch = batch_of({**columns, "op": np.array(["c"] * 399 + ["d"])}, schema)
    comparison = Comparison(GOOD, Noisy(), FakeScratch, known)

    comparison.run([batch, batch])

    report = comparison.report(Minimums())
    sites = {each.level: each.samples for each in report.groups if each.group == "site"}
    assert sites == {"site 0": 150, "site 1": 150}
    assert report.groups[0].events == 100
    assert report.passed_over == {NO_OUTCOME: 99}


def test_rows_that_neither_model_can_score_are_counted_by_reason() -> None:
    columns = patients(6)
    columns["bmi"][0] = np.nan
    columns["age"][1] = 500.0

    report = compared(columns, np.array([True] * 6))

    assert report.passed_over == {LACKING: 1, IMPLAUSIBLE: 1}
    assert report.groups[0].samples == 4


@pytest.mark.parametrize(
    ("low", "high", "higher_is_better", "speaks_for"),
    [
        (-0.1, 0.1, True, Verdict.OPEN),
        (0.0, 0.1, True, Verdict.OPEN),
        (0.01, 0.1, True, Verdict.SECOND),
        (0.01, 0.1, False, Verdict.FIRST),
        (-0.1, -0.01, True, Verdict.FIRST),
        (-0.1, -0.01, False, Verdict.SECOND),
    ],
)
def test_an_interval_that_holds_zero_speaks_for_neither(
    low: float, high: float, higher_is_better: bool, speaks_for: Verdict
) -> None:
    estimate = Estimate((low + high) / 2, low, high)

    assert verdict(estimate, higher_is_better=higher_is_better) is speaks_for


def test_memory_does_not_grow_with_the_patients(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((ordered, "_RUN"), (ordered, "_BLOCK"), (kept_pairs, "_AT_ONCE")):
        monkeypatch.setattr(module, name, 1 << 12)  # so that few patients are many
    schema = WITH_OUTCOME.append(pa.field("site", pa.string()))
    columns = patients(4_000)
    columns["stroke"] = outcomes_of(columns)
    batches = [batch_of({**columns, "site": [f"site {at}"] * 4_000}, schema) for at in range(3)]

    def peak_of(count: int) -> int:
        with closing(Comparison(GOOD, Noisy(), FileScratch)) as comparison:
            tracemalloc.start()
            try:
                comparison.run(batches[at % len(batches)] for at in range(count // 4_000))
                report = comparison.report(Minimums())
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert report.groups[0].samples == count
        assert len(report.groups) > 8
        return peak

    peak_of(4_000)  # imports, and caches

    assert peak_of(120_000) < 1.1 * peak_of(40_000)


def test_a_report_can_be_asked_for_twice_and_in_between() -> None:
    columns = patients(1_000)
    batch = batch_of({**columns, "stroke": outcomes_of(columns)})
    comparison = Comparison(GOOD, Noisy(), FakeScratch)
    comparison.take(batch.slice(0, 600))
    comparison.report(Minimums())
    comparison.take(batch.slice(600))

    assert comparison.report(Minimums()) == compared(columns, outcomes_of(columns))


def test_a_report_tells_of_each_group_that_is_done() -> None:
    columns = patients(1_000)
    comparison = Comparison(GOOD, Noisy(), FakeScratch)
    comparison.take(batch_of({**columns, "stroke": outcomes_of(columns)}))
    told: list[int] = []

    report = comparison.report(Minimums(), on_group=told.append)

    assert told == list(range(1, len(report.groups) + 1))
