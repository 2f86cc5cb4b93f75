"""How far apart a model treats groups, and how sure that is."""

from __future__ import annotations

import numpy as np
import pytest

from stroke.application.quality.discrimination import proportion_interval
from stroke.application.quality.fairness import Level, _Figure, _widest, gaps_between
from stroke.application.quality.sums import Sums
from stroke.domain.performance import Gap


def level(
    name: str, count: int = 2_000, *, seed: int = 1, shift: float = 0.0, bias: float = 0.0
) -> Level:
    """Return patients whose risk is as the model says it, but for ``bias`` log-odds."""
    stream = np.random.default_rng(seed)
    log_odds = stream.normal(-2 + shift, 1, count)
    outcome = (stream.random(count) < 1 / (1 + np.exp(-log_odds))).astype(np.int64)
    probability = 1 / (1 + np.exp(-log_odds - bias))
    sums = Sums()
    sums.add(outcome, probability, probability >= 0.1, probability >= 0.3)
    return Level(name, sums)


def by_measure(gaps: list[Gap]) -> dict[str, Gap]:
    return {gap.measure or "": gap for gap in gaps}


def test_a_difference_of_two_shares_has_newcombes_published_interval() -> None:
    """Newcombe 1998, table II, method 10: 56/70 less 48/80 is 0.2 (0.0524 to 0.3339)."""
    figures = []
    for name, part, whole in (("a", 56, 70), ("b", 48, 80)):
        value, low, high = proportion_interval(part, whole)
        figures.append(_Figure(name, value, value - low, high - value))

    value, highest, lowest, low, high = _widest(figures)

    assert (highest, lowest) == ("a", "b")
    assert value == pytest.approx(0.2)
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_equalised_odds_are_the_larger_difference_of_both_kinds_of_patients() -> None:
    alike, unfair = level("alike", seed=1), level("marked", seed=2)
    unfair.sums.marked["high"][0] = unfair.sums.of_outcome[0]

    found = by_measure(gaps_between("gender", [alike, unfair], ["tiny"]))["equalised_odds_high"]

    false_positives = alike.sums.marked["high"][0] / alike.sums.of_outcome[0]
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(1 - false_positives)
    assert found.estimate.low < found.estimate.value < found.estimate.high
    assert (found.highest, found.lowest, found.left_out) == ("marked", "alike", ["tiny"])


def test_calibration_in_the_large_names_whose_risk_is_too_low() -> None:
    levels = [
        level("right", seed=3),
        level("too low", seed=4, bias=-1),
        level("also right", seed=5),
    ]

    found = by_measure(gaps_between("site", levels, []))["calibration_in_the_large"]

    means = [
        (each.sums.strokes - each.sums.probability.total) / each.sums.patients for each in levels
    ]
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(max(means) - min(means))
    assert found.highest == "too low"
    assert found.exceeds(0.01)
    assert not found.exceeds(0.5)


def test_groups_that_a_model_treats_alike_are_seldom_called_unfair() -> None:
    wrong = 0
    for seed in range(200):
        levels = [level(str(n), 400, seed=1_000 * seed + n) for n in range(4)]
        wrong += any(gap.exceeds(0.0) for gap in gaps_between("site", levels, []))

    assert wrong <= 200 * 0.15  # three measures, each wrong in 5 % at the most


def test_a_gap_without_an_estimate_exceeds_nothing() -> None:
    assert not Gap("gender", None, None, "", "").exceeds(0.0)
