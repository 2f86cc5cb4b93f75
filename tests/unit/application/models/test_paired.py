"""Measures of patients who are read piece by piece are those of arrays in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.scratch import FakeScratch
from stroke.application.models import kept_pairs
from stroke.application.models.judged import JudgedRows
from stroke.application.models.kept_pairs import Answers, KeptPairs
from stroke.application.models.ordered import Ordered
from stroke.application.models.paired import PairMeasures, measured_pair
from stroke.application.models.risk_bins import RiskBins
from stroke.application.quality.calibration import Floats, Labels, gaps_by_risk, mean_interval
from stroke.application.quality.discrimination import area_difference
from stroke.application.quality.performance import Sample, decision_curve, measures
from stroke.domain.performance import Estimate


class Judged:
    """Patients whom two models score, as arrays: with few distinct risks, many of them tie."""

    def __init__(self, count: int, distinct: int, seed: int) -> None:
        stream = np.random.default_rng(seed)
        log_odds = stream.normal(-1.5, 1.5, count)
        self.outcome: Labels = (stream.random(count) < _risk(log_odds)).astype(np.int64)
        self.outcome[:4] = 0, 0, 1, 1
        self.risks = [
            _rounded(_risk(log_odds + stream.normal(0, noise, count)), distinct)
            for noise in (0.3, 0.9)
        ]
        self.seed = seed

    def kept(self) -> KeptPairs:
        kept = KeptPairs(FakeScratch)
        cuts = np.sort(np.random.default_rng(self.seed).integers(1, len(self.outcome), 3))
        for rows in np.split(np.arange(len(self.outcome)), cuts):
            answers = [Answers(risk[rows], _categories(risk[rows])) for risk in self.risks]
            kept.add(_rows(self.outcome[rows]), *answers)
        return kept

    def sample(self, of: int) -> Sample:
        category = _categories(self.risks[of])
        none: Any = np.zeros(len(self.outcome), np.int8)
        return Sample(
            self.outcome, self.risks[of], category >= 1, category >= 2, none, none, none, none, none
        )


def _risk(log_odds: Floats) -> Floats:
    return 1 / (1 + np.exp(-log_odds))


def _rounded(risk: Floats, distinct: int) -> Floats:
    return np.ceil(risk * distinct) / (distinct + 1) if distinct else risk


def _categories(risk: Floats) -> Any:
    return np.searchsorted([0.1, 0.3], risk, "right")


def _rows(outcome: Labels) -> JudgedRows:
    none = np.zeros(len(outcome), np.int64)
    features: dict[str, Any] = {
        "gender": none.copy(),
        "age": none + 60.0,
        "smoking_status": none.copy(),
    }
    sites = np.full(len(outcome), "", object)
    return JudgedRows(none, features, outcome.astype(np.int8), sites, ({}, {}))


def measured(judged: Judged, thresholds: tuple[float, ...] = (0.1, 0.3)) -> PairMeasures:
    kept = judged.kept()
    everybody = next(kept.levels())
    assert (everybody.samples, everybody.events) == (
        len(judged.outcome),
        int(judged.outcome.sum()),
    )
    with kept.patients(everybody) as patients:
        return measured_pair(patients, thresholds, FakeScratch)


def assert_alike(found: dict[str, Estimate], expected: dict[str, Estimate]) -> None:
    assert found.keys() == expected.keys()
    for name, estimate in expected.items():
        # Newton's method ends at steps of 1e-10, wherever rounding has brought it by then.
        assert list(found[name]) == pytest.approx(list(estimate), rel=1e-7, abs=1e-7), name


judged_patients = st.builds(
    Judged, st.integers(20, 400), st.sampled_from([0, 1, 3, 50]), st.integers(0, 1_000)
)


@given(judged_patients, st.sampled_from([7, 64, 1 << 16]))
def test_measures_and_differences_are_those_of_arrays(judged: Judged, at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept_pairs, "_AT_ONCE", at_once)
        found = measured(judged)

    for of, model in enumerate((found.first, found.second)):
        assert_alike(model.measures, measures(judged.sample(of)))
    outcome, (first, second) = judged.outcome, judged.risks
    area, error = area_difference(outcome, second, first)
    assert found.differences["auc"].estimate == pytest.approx(area, rel=1e-7, abs=1e-9)
    assert found.area_error == pytest.approx(error, abs=1e-9)
    brier = mean_interval((second - outcome) ** 2 - (first - outcome) ** 2)
    assert found.differences["brier"].estimate == pytest.approx(brier, rel=1e-7, abs=1e-9)
    moved = (second >= 0.3).astype(float) - (first >= 0.3)
    for name, part, sign in (("sensitivity", 1, 1), ("specificity", 0, -1)):
        expected = mean_interval(sign * moved[outcome == part], least=-1.0, most=1.0)
        estimate = found.differences[f"{name}_high"].estimate
        assert estimate == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_more_patients_than_are_read_at_once_are_measured_alike() -> None:
    judged = Judged(150_000, 0, 5)
    curve = decision_curve(judged.sample(0))[::13]

    found = measured(judged, tuple(point.threshold for point in curve))

    for of, model in enumerate((found.first, found.second)):
        assert_alike(model.measures, measures(judged.sample(of)))
    assert [point.first for point in found.decision_curve] == pytest.approx(
        [point.net_benefit for point in curve]
    )


@given(judged_patients, st.integers(1, 90))
def test_bins_of_risk_are_those_of_a_stable_sort(judged: Judged, at_once: int) -> None:
    risk, outcome = judged.risks[0], judged.outcome
    classes = [Ordered(FakeScratch) for _ in range(2)]
    for place, each in enumerate(classes):
        each.add(risk[outcome == place])
        each.sort()
    bins = RiskBins(classes)

    for start in range(0, len(risk), at_once):
        bins.add(outcome[start : start + at_once], risk[start : start + at_once])

    for found, expected in zip(bins.gaps, gaps_by_risk(outcome, risk), strict=True):
        assert found.count == expected.count
        assert found.total == pytest.approx(expected.total, abs=1e-9)
        assert found.squares == pytest.approx(expected.squares, abs=1e-9)


def test_each_level_has_its_own_patients_and_copies_are_let_go() -> None:
    made: list[FakeScratch] = []

    def scratch(kind: Any) -> FakeScratch:
        made.append(FakeScratch(kind))
        return made[-1]

    kept = KeptPairs(scratch)
    rows = _rows(np.array([0, 1, 1, 0, 1]))
    rows.features["gender"][:] = 0, 1, 1, 0, 0
    sites = np.array(["b", "", "a", "b", "b"], object)
    risk = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    answers = Answers(risk, _categories(risk))
    kept.add(rows._replace(site=sites), answers, answers)

    levels = {(each.group, each.level): each for each in kept.levels()}
    sizes = {name: (each.samples, each.events) for name, each in levels.items()}
    assert sizes == {
        ("all", "all"): (5, 3),
        ("gender", "Male"): (3, 1),
        ("gender", "Female"): (2, 2),
        ("age_group", "Middle-aged"): (5, 3),
        ("smoking_status", "never smoked"): (5, 3),
        ("site", "(missing)"): (1, 1),
        ("site", "a"): (1, 1),
        ("site", "b"): (3, 1),
    }
    with kept.patients(levels["site", "b"]) as patients:
        [piece] = patients.pieces()
    assert piece.outcome.tolist() == [0, 0, 1]
    assert piece.answers[1].probability.tolist() == [0.1, 0.4, 0.5]
    assert [each.is_closed for each in made] == [False, True]
    kept.close()
    assert all(each.is_closed for each in made)
