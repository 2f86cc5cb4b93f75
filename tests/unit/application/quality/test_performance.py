from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from builders.predictions import BANDS, NOON, outcome, prediction
from fakes.predictions import FakeOutcomeRepository, FakePredictionRepository, FakeRiskModel
from stroke.application.quality.calibration import logit
from stroke.application.quality.performance import (
    Minimums,
    PerformanceService,
    Sample,
    Watch,
    decision_curve,
    expected_measures,
    gaps,
    judge,
    measures,
    parts,
    sample_of,
    sums_of,
)
from stroke.domain.outcome import JudgedPrediction
from stroke.domain.performance import GAPS, MEASURES
from stroke.domain.prediction import PredictionFilter
from stroke.domain.risk import ModelDescription

WATCHED = ("auc", "sensitivity_medium", "sensitivity_high", "calibration_slope", "oe_ratio")
MINIMUMS = Minimums()


def rows(
    count: int = 4000, *, seed: int = 1, stated: str = "as it is", shape: float = 8
) -> list[JudgedPrediction]:
    """Return outcomes drawn from probabilities, which are as they should be, or distorted."""
    stream = np.random.default_rng(seed)
    truth = stream.beta(1, shape, count)
    stroke = stream.random(count) < truth
    log_odds = logit(truth)
    probability: NDArray[np.float64] = {
        "as it is": truth,
        "too extreme": 1 / (1 + np.exp(-2 * log_odds)),
        "too high": 1 / (1 + np.exp(-(log_odds + 1))),
        "shuffled": stream.permutation(truth),
    }[stated]
    return [
        JudgedPrediction(
            i + 1,
            float(p),
            BANDS.categorise(float(p)).value,
            bool(y),
            "Male" if i % 2 else "Female",
            float(40 + i % 50),
        )
        for i, (p, y) in enumerate(zip(probability, stroke, strict=True))
    ]


async def service_of(
    judged: Sequence[JudgedPrediction], served: ModelDescription | None = None
) -> PerformanceService:
    predictions = FakePredictionRepository()
    outcomes = FakeOutcomeRepository(predictions)
    ids = await predictions.add(
        [
            prediction(
                row.probability or 0.0, age=row.age, gender=row.gender, model_version="fake-1"
            )
            for row in judged
        ]
    )
    await outcomes.put([outcome(i, stroke=r.stroke) for i, r in zip(ids, judged, strict=True)])
    return PerformanceService(
        outcomes=outcomes,
        served=lambda: served or FakeRiskModel().description,
        watch=Watch(WATCHED, 0.15),
        now=lambda: NOON + timedelta(days=1),
    )


def test_a_calibrated_model_is_reported_as_one() -> None:
    found = measures(sample_of(rows(40_000)))
    assert found.keys() == MEASURES.keys()
    for name, (value, low, high) in found.items():
        assert low <= value <= high, name
    assert found["calibration_slope"].low < 1 < found["calibration_slope"].high
    assert found["calibration_intercept"].low < 0 < found["calibration_intercept"].high
    assert found["oe_ratio"].low < 1 < found["oe_ratio"].high
    assert found["ece"].value < 0.01


@pytest.mark.parametrize(
    ("stated", "measure", "expected"),
    [
        ("too extreme", "calibration_slope", 0.5),
        ("too high", "calibration_intercept", -1.0),
    ],
)
def test_the_measures_say_how_a_model_is_distorted(
    stated: str, measure: str, expected: float
) -> None:
    value, low, high = measures(sample_of(rows(40_000, stated=stated)))[measure]
    assert low < expected < high
    assert value == pytest.approx(expected, abs=0.1)


def test_sensitivity_and_specificity_go_by_the_category_that_was_answered() -> None:
    judged = [
        JudgedPrediction(i, 0.5, category, stroke, "Male", 50.0)
        for i, (category, stroke) in enumerate(
            [("High", True)] * 6
            + [("Medium", True)] * 3
            + [("Low", True)] * 1
            + [("High", False)] * 5
            + [("Medium", False)] * 15
            + [("Low", False)] * 30
        )
    ]
    found = measures(sample_of(judged))
    assert found["sensitivity_medium"].value == 0.9
    assert found["specificity_medium"].value == 0.6
    assert found["sensitivity_high"].value == 0.6
    assert found["specificity_high"].value == 0.9
    assert "calibration_slope" not in found  # all have the same probability


def test_what_a_calibrated_model_reaches_is_what_it_is_expected_to() -> None:
    sample = sample_of(rows(40_000))
    found, expected = measures(sample), expected_measures(sample)
    assert expected.keys() == {"auc", "brier"} | {
        f"{what}_{band}" for what in ("sensitivity", "specificity") for band in ("medium", "high")
    }
    for name, value in expected.items():
        assert found[name].low - 0.01 < value < found[name].high + 0.01, name


def test_who_is_sure_of_everybody_expects_nothing() -> None:
    judged = [JudgedPrediction(i, 0.0, "Low", i < 5, "Male", 50.0) for i in range(40)]
    assert expected_measures(sample_of(judged)) == {}
    assert "oe_ratio" not in measures(sample_of(judged))


@given(pairs=st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=50))
def test_net_benefit_is_true_less_weighted_false_positives(
    pairs: list[tuple[float, bool]],
) -> None:
    judged = [
        JudgedPrediction(i, p, "Low", y, "Male", 50.0) for i, (p, y) in enumerate(pairs, start=1)
    ]
    points = decision_curve(sample_of(judged))
    assert [p.threshold for p in points] == sorted(p.threshold for p in points)
    for point in points:
        at = point.threshold
        hits = sum(y for p, y in pairs if p >= at)
        alarms = sum(not y for p, y in pairs if p >= at)
        events = sum(y for _, y in pairs)
        odds = at / (1 - at)
        assert point.net_benefit == pytest.approx((hits - alarms * odds) / len(pairs), abs=1e-12)
        assert point.treat_all == pytest.approx(
            (events - (len(pairs) - events) * odds) / len(pairs), abs=1e-12
        )


def test_treating_by_a_good_model_is_better_than_treating_all_or_none() -> None:
    for point in decision_curve(sample_of(rows(40_000)))[5:-5]:
        assert point.net_benefit > max(point.treat_all, 0)


def test_groups_are_those_of_the_domain_and_together_everybody() -> None:
    judged = rows(300)
    judged += [r._replace(gender="unheard-of", age=None) for r in rows(20, seed=2)]
    found = {(group, level): len(part) for group, level, part in parts(sample_of(judged))}
    assert found == {
        ("all", "all"): 320,
        ("gender", "Male"): 150,
        ("gender", "Female"): 150,
        ("gender", "(missing)"): 20,
        ("age_group", "Young adult"): 60,
        ("age_group", "Middle-aged"): 180,
        ("age_group", "Very old"): 60,
        ("age_group", "(missing)"): 20,
    }


def test_small_groups_show_only_their_size() -> None:
    def of(count: int, events: int) -> tuple[int | None, bool]:
        judged = [
            JudgedPrediction(i, i / count, "Low", i >= count - events, "Male", 50.0)
            for i in range(count)
        ]
        found = judge(sample_of(judged), "gender", "Male", minimums=MINIMUMS)
        assert found.samples == count
        assert bool(found.measures) == bool(found.calibration) == bool(found.decision_curve)
        return found.events, bool(found.measures)

    assert of(99, 20) == (None, False)
    assert of(100, 9) == (9, False)
    assert of(100, 91) == (91, False)
    assert of(100, 10) == (10, True)


@pytest.mark.anyio
async def test_a_good_model_has_not_dropped_and_pages_are_all_read() -> None:
    service = await service_of(rows(6001))
    seen: list[int] = []

    report = await service.report(PredictionFilter(), minimums=MINIMUMS, on_progress=seen.append)

    assert seen == [5000, 6001]
    assert report.model_version == "fake-1"
    assert report.groups[0].samples == 6001
    assert report.passed_over == 0
    assert report.dropped == dict.fromkeys(WATCHED, False)


class Noting(dict[str, Any]):
    """Metrics that note which threads ask for them."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def __contains__(self, key: object) -> bool:
        self.threads.add(threading.get_ident())
        return super().__contains__(key)


@pytest.mark.anyio
async def test_judging_does_not_hold_up_the_event_loop() -> None:
    noting = Noting()
    service = await service_of(rows(), replace(FakeRiskModel().description, metrics=noting))

    await service.report(PredictionFilter(), minimums=MINIMUMS)

    assert noting.threads
    assert threading.get_ident() not in noting.threads


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("stated", "dropped"),
    [("too extreme", "calibration_slope"), ("too high", "oe_ratio"), ("shuffled", "auc")],
)
async def test_a_model_that_went_wrong_has_dropped(stated: str, dropped: str) -> None:
    report = await (await service_of(rows(stated=stated))).report(
        PredictionFilter(), minimums=MINIMUMS
    )
    assert report.dropped[dropped]


@pytest.mark.anyio
async def test_references_are_the_manifest_s_where_it_has_them() -> None:
    described = replace(
        FakeRiskModel().description,
        metrics={
            "auc": {"value": 0.99, "low": 0.98, "high": 1.0},
            "observed_to_expected": {"value": 1.01, "low": 0.9, "high": 1.1},
            "average_precision": {"value": 0.2, "low": 0.1, "high": 0.3},
        },
    )
    service = await service_of(rows(), described)

    served = await service.report(PredictionFilter(), minimums=MINIMUMS)
    other = await service.report(PredictionFilter(), minimums=MINIMUMS, model_version="another")

    assert (served.references["auc"], served.references["oe_ratio"]) == (0.99, 1.01)
    assert served.references["calibration_slope"] == 1.0
    assert served.references.keys() == MEASURES.keys() - {"ece"}
    assert served.dropped["auc"]
    assert (other.model_version, other.groups[0].samples) == ("another", 0)
    assert (other.references, other.dropped) == ({}, {})


@pytest.mark.anyio
async def test_rows_of_an_adopted_table_are_passed_over_and_counted() -> None:
    judged = rows(200)
    service = await service_of(judged)
    stored = service._outcomes._predictions.rows  # type: ignore[attr-defined]
    stored[1] = replace(stored[1], probability=None)
    stored[2] = replace(stored[2], risk_category="Severe")
    stored[3] = replace(stored[3], probability=7.0)

    report = await service.report(PredictionFilter(), minimums=MINIMUMS)

    assert (report.groups[0].samples, report.passed_over) == (197, 3)
    assert await service.versions(PredictionFilter()) == ["fake-1"]


def test_a_sample_may_be_empty() -> None:
    empty: Sample = sample_of([])
    assert [(group, len(part)) for group, _, part in parts(empty)] == [("all", 0)]
    assert judge(empty, "all", "all", minimums=MINIMUMS).events is None


@pytest.mark.anyio
async def test_a_report_says_how_far_apart_groups_are_treated() -> None:
    report = await (await service_of(rows(4_000))).report(PredictionFilter(), minimums=MINIMUMS)

    judged = {(gap.group, gap.measure) for gap in report.gaps}
    assert {("gender", name) for name in GAPS} <= judged
    assert [gap for gap in report.gaps if gap.group == "site"] == []
    for gap in report.gaps:
        if gap.estimate is not None:
            assert 0 <= gap.estimate.low <= gap.estimate.value <= gap.estimate.high


def test_sites_and_smoking_are_groups_where_they_are_known() -> None:
    judged = [
        each._replace(site="north" if at % 2 else None, smoking_status="smokes")
        for at, each in enumerate(rows(40))
    ]

    levels = [(group, level) for group, level, _ in parts(sample_of(judged))]

    assert ("site", "north") in levels
    assert ("site", "(missing)") in levels
    assert ("smoking_status", "smokes") in levels


def test_one_level_that_is_large_enough_is_no_gap_and_is_said() -> None:
    judged = [
        each._replace(gender="Other" if at < 5 else "Male") for at, each in enumerate(rows(900))
    ]

    [gap] = [
        each for each in gaps(sums_of(parts(sample_of(judged))), MINIMUMS) if each.group == "gender"
    ]

    assert (gap.measure, gap.estimate, gap.left_out) == (None, None, ["Other"])
