from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.further import MARRIED, OF_ALL_KINDS
from stroke.entrypoints.ui import words
from stroke.entrypoints.ui.languages import languages
from stroke.entrypoints.ui.words import Frequency, own_value, significant

ENGLISH, GERMAN = languages()["en"], languages()["de"]


@pytest.mark.parametrize(
    ("probability", "said"),
    [
        (0.1816, "Of 100 people like this one, 18 have had a stroke and 82 have not."),
        (0.01, "Of 100 people like this one, 1 has had a stroke and 99 have not."),
        (0.0031, "Of 1,000 people like this one, 3 have had a stroke and 997 have not."),
        (0.0001, "Of 1,000 people like this one, fewer than 1 has had a stroke."),
        (0.9999, "Of 100 people like this one, 99 have had a stroke and 1 has not."),
    ],
)
def test_a_risk_is_said_as_so_many_people_who_have_and_who_have_not(
    probability: float, said: str
) -> None:
    assert words.sentence(Frequency.headline(probability), ENGLISH) == said


@settings(max_examples=40)
@given(st.floats(0, 1))
def test_both_sides_add_up_and_nobody_who_is_at_some_risk_is_certain(probability: float) -> None:
    risk = Frequency.headline(probability)
    assert risk.count + risk.rest == risk.of
    assert abs(risk.count - probability * risk.of) <= 0.5 + 1e-9 or risk.count == risk.of - 1
    assert (risk.count == risk.of) == (probability == 1)


@settings(max_examples=40)
@given(st.floats(0, 1), st.floats(0, 1))
def test_a_difference_is_that_of_the_numbers_that_are_shown(before: float, after: float) -> None:
    first, second = Frequency(before), Frequency(after)
    said = words.difference(first, second, ENGLISH)
    change = second.count - first.count
    if change == 0:
        assert said == "as now"
    else:
        word = "more" if change > 0 else "fewer"
        assert said.endswith(f"{abs(change)} {word} in 100")


@pytest.mark.parametrize(
    ("log_odds", "said"),
    [
        (1.0, "raises strongly"),
        (-1.0, "lowers strongly"),
        (0.25, "raises"),
        (-0.05, "lowers a little"),
        (0.049, "hardly matters"),
        (0.0, "hardly matters"),
    ],
)
def test_an_effect_is_named_by_its_size(log_odds: float, said: str) -> None:
    assert words.effect(log_odds, ENGLISH) == said


def test_measurements_have_their_units() -> None:
    assert words.measured("avg_glucose_level", 228.69, ENGLISH) == "228.69 mg/dL"
    assert words.measured("avg_glucose_level", 228.69, ENGLISH, "mmol/L") == "12.69 mmol/L"
    assert words.measured("bmi", None, ENGLISH) == "not measured"
    assert words.measured("heart_disease", 1, ENGLISH) == "yes"
    assert words.measured("age", 0.5, ENGLISH) == "0.5 years"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0"),
        (96.5, "96.5"),
        (-3.0, "\N{MINUS SIGN}3"),
        (1234.5678, "1,234.57"),
        (1e-9, "1e\N{MINUS SIGN}09"),
        (2.5e12, "2.5e+12"),
    ],
)
def test_a_number_of_any_size_keeps_six_digits(value: float, said: str) -> None:
    assert significant(value, ENGLISH) == said


def test_values_of_a_models_own_features_have_their_units_and_words() -> None:
    waist, diabetes, alcohol = OF_ALL_KINDS
    assert own_value(waist, 96.5, ENGLISH) == "96.5 cm"
    assert own_value(diabetes, 1, GERMAN) == "ja"
    assert own_value(alcohol, None, ENGLISH) == "not measured"
    # The page's catalogue has it; a clinic's has its own words.
    assert own_value(MARRIED, "No", GERMAN) == "Nein"
    assert own_value(waist, "of another program", ENGLISH) == "of another program"
