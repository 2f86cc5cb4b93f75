"""Contributions that add up, and those that do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from builders.predictions import patient
from contracts.predictions import columns_of
from fakes.predictions import FakeColumnarRiskModel
from stroke.application.predictions.columnar import Scores
from stroke.application.predictions.soundness import soundness

PATIENTS = columns_of([patient(age=float(age)) for age in range(100)])


class ChangedModel(FakeColumnarRiskModel):
    """The fake, with one thing changed in what it answers."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(("bmi",))
        self._changes = changes

    def score(
        self, columns: Mapping[str, np.ndarray[Any, Any]], *, context: bool = False
    ) -> Scores:
        scores = super().score(columns, context=context)
        changed = {name: change(getattr(scores, name)) for name, change in self._changes.items()}
        return replace(scores, **changed)


def with_last(value: float) -> Any:
    def change(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        changed = array.copy()
        changed[-1] = value
        return changed

    return change


def test_contributions_that_sum_to_the_logit_are_sound() -> None:
    found = soundness(FakeColumnarRiskModel(), PATIENTS)

    assert found.is_sound
    assert found.patients == 100
    assert found.largest_gap < 1e-12


@pytest.mark.parametrize("gap", [1e-6, -0.5])
def test_one_patient_whose_contributions_miss_the_logit_is_enough(gap: float) -> None:
    def shift(log_odds: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        shifted = log_odds.copy()
        shifted[7, 0] += gap
        return shifted

    found = soundness(ChangedModel(log_odds=shift), PATIENTS)

    assert not found.is_sound
    assert found.largest_gap == pytest.approx(abs(gap))


def test_a_baseline_that_is_off_is_found() -> None:
    found = soundness(ChangedModel(baseline_log_odds=lambda baseline: baseline + 0.25), PATIENTS)

    assert not found.is_sound
    assert found.largest_gap == pytest.approx(0.25)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_probability_that_is_no_number_is_not_sound(value: float) -> None:
    assert not soundness(ChangedModel(probability=with_last(value)), PATIENTS).is_sound


def test_log_odds_that_are_no_number_are_not_sound() -> None:
    assert not soundness(ChangedModel(log_odds=with_last(np.nan)), PATIENTS).is_sound


def test_each_companion_scores_the_patients_without_what_they_may_lack() -> None:
    found = soundness(FakeColumnarRiskModel(("avg_glucose_level", "bmi")), PATIENTS)

    assert found.is_sound
    assert found.patients == 100
    assert len(set(found.variants)) == len(found.variants) == 4


@pytest.mark.parametrize("gap", [0.5, np.nan])
@pytest.mark.parametrize("wrong", [0, 1])
def test_one_variant_whose_contributions_are_off_is_enough(wrong: int, gap: float) -> None:
    class OneIsOff(FakeColumnarRiskModel):
        def score(
            self, columns: Mapping[str, np.ndarray[Any, Any]], *, context: bool = False
        ) -> Scores:
            scores = super().score(columns, context=context)
            off = np.where(scores.variant == wrong, gap, 0.0)
            return replace(scores, log_odds=scores.log_odds + off[:, None])

    assert not soundness(OneIsOff(("bmi",)), PATIENTS).is_sound
