"""Support and its words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.domain.comparison import REFERENCE_VALUES, UNCHANGEABLE
from stroke.domain.features import RAW_FEATURES
from stroke.domain.patient import Patient
from stroke.domain.risk import Interval, RiskAssessment, RiskCategory
from stroke.domain.support import WITHIN, ReasonCode, Support, SupportLevel, SupportReason

REASONS = st.builds(
    lambda code, features: SupportReason.of(code, *features, fewer_than=10),
    st.sampled_from(ReasonCode),
    st.lists(st.sampled_from(RAW_FEATURES), min_size=2, max_size=2),
)


@given(st.lists(REASONS))
def test_support_is_as_bad_as_its_gravest_reason(reasons: list[SupportReason]) -> None:
    support = Support.because(reasons)
    levels = {reason.code.level for reason in reasons}
    assert support.level == next(
        (level for level in reversed(SupportLevel) if level in levels), SupportLevel.WITHIN
    )
    assert sorted(map(str, support.reasons)) == sorted(map(str, reasons))
    assert not reasons or support.reasons[0].code.level == support.level


@given(st.lists(REASONS))
def test_what_was_stored_of_support_is_read_again(reasons: list[SupportReason]) -> None:
    support = Support.because(reasons)
    assert Support.from_data(support.as_data()) == support


@pytest.mark.parametrize(
    "data",
    [{}, {"level": "near", "reasons": []}, {"level": "edge", "reasons": [{"code": "odd"}]}],
)
def test_what_is_no_support_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Support.from_data(data)


def test_nothing_against_a_patient_is_within() -> None:
    assert WITHIN.as_data() == {"level": "within", "reasons": []}


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (
            SupportReason.of(ReasonCode.NONE_AS_HIGH, "bmi"),
            "No patient of the training data had a BMI this high.",
        ),
        (
            SupportReason.of(ReasonCode.FEW_AS_LOW, "age", fewer_than=50),
            "Fewer than 50 patients of the training data had an age this low.",
        ),
        (
            SupportReason.of(ReasonCode.NONE_AS_HIGH_FOR, "avg_glucose_level", "age"),
            "No training patient of about this age had an average glucose level this high.",
        ),
        (
            SupportReason.of(ReasonCode.TOO_FEW_OF_KIND, "gender", fewer_than=10),
            "Fewer than 10 patients of the training data had this gender.",
        ),
    ],
)
def test_reasons_are_sentences(reason: SupportReason, text: str) -> None:
    assert reason.text == text


@pytest.mark.parametrize("code", ReasonCode)
def test_every_reason_has_words_without_gaps(code: ReasonCode) -> None:
    text = SupportReason.of(code, "bmi", "age", fewer_than=10).text
    assert text.endswith(".")
    assert "{" not in text


@pytest.mark.parametrize("bounds", [(0.3, 0.4), (0.1, 0.19), (-0.1, 0.3), (0.1, 1.1)])
def test_an_interval_that_misses_its_probability_is_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="holds its probability"):
        RiskAssessment(0.2, RiskCategory.HIGH, (), -3.0, interval=Interval(*bounds))


def test_the_reference_values_are_a_patients_changeable_factors() -> None:
    assert {*REFERENCE_VALUES, *UNCHANGEABLE} == set(RAW_FEATURES)
    Patient(gender="Female", age=50.0, **REFERENCE_VALUES)
