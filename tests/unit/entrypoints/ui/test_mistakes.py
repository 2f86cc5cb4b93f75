"""Every mistake that the domain finds in a patient has words in each language."""

from __future__ import annotations

import math
from typing import Any

import pytest

from builders.further import OF_ALL_KINDS, WORK
from builders.predictions import patient
from stroke.domain.errors import InvalidPatient
from stroke.domain.further import FeatureKind, FurtherFeature
from stroke.entrypoints.ui.languages import languages
from stroke.entrypoints.ui.mistakes import mistake

ENGLISH, GERMAN = languages()["en"], languages()["de"]


def reason(**changes: Any) -> str:
    with pytest.raises(InvalidPatient) as caught:
        patient(**changes)
    [violation] = caught.value.violations
    return violation.reason


@pytest.mark.parametrize(
    ("changes", "english", "german"),
    [
        ({"age": 670}, "must be 0 to 120 years", "muss 0 bis 120 Jahre sein"),
        ({"age": "x"}, "must be a number", "muss eine Zahl sein"),
        ({"age": math.nan}, "must be a number", "muss eine Zahl sein"),
        ({"hypertension": 2}, "must be 0 or 1", "muss 0 oder 1 sein"),
        ({"avg_glucose_level": 1}, "mg/dL", "mg/dL"),
        ({"bmi": 1}, "must be", "muss"),
        ({"gender": "X"}, "must be one of", "muss eines von diesen sein: 'Male'"),
        ({"smoking_status": "X"}, "must be one of", "'never smoked'"),
        ({"name": "x" * 101}, "at most 100 characters", "höchstens 100 Zeichen"),
        ({"country": "x\x00"}, "letters, digits and signs", "Buchstaben, Ziffern und Zeichen"),
        ({"province": 7}, "must be text", "muss Text sein"),
    ],
)
def test_a_mistake_is_said_in_the_language_of_the_page(
    changes: dict[str, Any], english: str, german: str
) -> None:
    found = reason(**changes)

    assert english in str(mistake(found, ENGLISH))
    assert german in str(mistake(found, GERMAN))


def test_what_has_no_words_is_left_to_be_shown_as_it_is() -> None:
    assert mistake("a quote that does not end", GERMAN) is None


NARROW = FurtherFeature("troponin", FeatureKind.NUMBER, -2.5, 0.0000012, "\u00b5g / L")
QUOTES = FurtherFeature("drinks", FeatureKind.CATEGORY, categories=("doesn't", 'a "little"'))


@pytest.mark.parametrize(
    "declared", [*OF_ALL_KINDS, WORK, NARROW, QUOTES], ids=lambda each: each.name
)
@pytest.mark.parametrize("value", [None, "x", 1e9, math.nan])
def test_every_mistake_in_a_feature_of_a_models_own_has_words(
    declared: FurtherFeature, value: object
) -> None:
    found = declared.reason(value)
    assert found is not None
    assert "muss" in str(mistake(found, GERMAN))


def test_a_range_is_said_with_its_sign_and_the_whole_unit() -> None:
    found = str(NARROW.reason(7))
    assert mistake(found, GERMAN) == "muss \N{MINUS SIGN}2,5 bis 0,000001 \u00b5g / L sein"
