from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders.predictions import assessment, patient
from fakes.predictions import FakeRiskModel
from stroke.domain.risk import Interval
from stroke.domain.support import ReasonCode, Support, SupportReason
from stroke.entrypoints.ui.estimates import Estimate, WhatIf, changed
from stroke.entrypoints.ui.languages import languages
from stroke.entrypoints.ui.measurements import Form

ENGLISH = languages()["en"]


def estimate(probability: float = 0.18, who: Any = None, **changes: Any) -> Estimate:
    assessed = replace(assessment(probability, age=1.0, bmi=-0.5), **changes)
    return Estimate(who or patient(), assessed, FakeRiskModel().description, ENGLISH)


def test_the_interval_is_said_with_its_kind_and_never_invented() -> None:
    shown = estimate(interval=Interval(0.12, 0.26))
    assert shown.interval_sentence == (
        "Anything from 12 to 26 in 100 is plausible (95 % interval of the estimate)."
    )
    assert estimate().interval is None
    assert estimate().interval_sentence == ""
    assert "plausible" not in estimate().as_text


def test_what_is_said_counts_a_thousand_below_one_in_a_hundred_and_the_scale_never_does() -> None:
    low = estimate(0.002, interval=Interval(0.0004, 0.034))
    assert low.interval_sentence.startswith("Anything from < 1 to 34 in 1,000")
    assert (low.risk_in_100, low.interval_in_100) == ("0.2", ("< 0.1", "3.4"))
    assert {line.frequency.of for line in low.comparison} == {1000}


def test_the_gravest_of_many_reasons_are_shown() -> None:
    reasons = [
        SupportReason.of(ReasonCode.FEW_AS_HIGH, "bmi", fewer_than=51),
        *(SupportReason.of(ReasonCode.NONE_AS_HIGH, name) for name in ("age", "bmi")),
        SupportReason.of(ReasonCode.NO_SUCH_COMBINATION),
    ]
    shown = estimate(support=Support.because(reasons))
    assert shown.support_level == "outside"
    assert len(shown.support_reasons) == 3
    assert not any("fewer than" in each for each in shown.support_reasons)


@pytest.mark.parametrize("unit", ["mg/dL", "mmol/L"])
def test_sliders_that_nobody_moved_change_nothing(unit: Any) -> None:
    who = patient(avg_glucose_level=228.69, bmi=36.64)
    shown = replace(estimate(who=who), glucose_unit=unit)
    typed = {slider.field: slider.value for slider in shown.sliders}
    form = Form({**typed, "glucose_unit": unit, "what_if_smoking": who.smoking_status})
    assert changed(who, form) is None
    for slider in shown.sliders:
        steps = (float(slider.value) - float(slider.low)) / float(slider.step)
        assert abs(steps - round(steps)) < 1e-6


def test_a_slider_that_was_moved_changes_its_measurement_alone() -> None:
    who = patient(avg_glucose_level=228.69, bmi=36.6)
    form = Form({"what_if_glucose": "10", "what_if_bmi": "36.6", "glucose_unit": "mmol/L"})
    moved = changed(who, form)
    assert moved == replace(who, avg_glucose_level=180.16)


def test_the_difference_is_that_of_the_numbers_that_are_shown() -> None:
    now = estimate(0.1799)
    assert WhatIf(now, None).said == ("18 in 100", "as now")
    assert WhatIf(now, estimate(0.1349)).said == ("13 in 100", "instead of 18: 5 fewer in 100")


def test_the_text_to_copy_names_every_measurement_and_no_patient() -> None:
    text = estimate(who=patient(name="CANARY")).as_text
    assert "no diagnosis" in text
    assert "Age: 45.5 years" in text
    assert "CANARY" not in text
