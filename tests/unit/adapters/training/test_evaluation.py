from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stroke.adapters.training.evaluation import compare_areas, evaluate

Sample = tuple[NDArray[np.int64], NDArray[np.float64]]


@pytest.fixture(scope="module")
def calibrated() -> Sample:
    """Outcomes drawn from the predicted probabilities themselves."""
    stream = np.random.default_rng(1)
    probability = stream.beta(1, 12, 200_000)
    return (stream.random(len(probability)) < probability).astype(np.int64), probability


def test_intervals_hold_their_values_and_narrow_with_more_patients(calibrated: Sample) -> None:
    outcome, probability = calibrated
    few = evaluate(outcome[:1000], [probability[:1000]], samples=40)
    many = evaluate(outcome[:16_000], [probability[:16_000]], samples=40)
    for name, metric in many.items():
        assert metric["low"] <= metric["value"] <= metric["high"]
        assert metric["high"] - metric["low"] < few[name]["high"] - few[name]["low"]


def test_the_same_predictions_give_the_same_figures(calibrated: Sample) -> None:
    outcome, probability = calibrated[0][:500], calibrated[1][:500]
    assert evaluate(outcome, [probability], samples=20) == evaluate(
        outcome, [probability], samples=20
    )


def test_a_companion_that_ranks_alike_loses_nothing(calibrated: Sample) -> None:
    outcome, probability = calibrated[0][:2000], calibrated[1][:2000]
    found = compare_areas(outcome, [probability], [probability / 2], samples=20)
    assert found["auc"] == found["auc_of_full_model"]
    assert found["auc_lost"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert found["patients"] == 2000


def test_what_a_blunter_companion_loses_is_found_within_its_interval(calibrated: Sample) -> None:
    outcome, probability = calibrated[0][:20_000], calibrated[1][:20_000]
    blunt = np.round(probability, 1)
    found = compare_areas(outcome, [probability] * 2, [blunt] * 2, samples=40)
    lost = found["auc_lost"]
    assert lost["value"] == pytest.approx(found["auc_of_full_model"] - found["auc"])
    assert 0 < lost["low"] < lost["value"] < lost["high"]
