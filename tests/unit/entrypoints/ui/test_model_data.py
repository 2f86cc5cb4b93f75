"""What the page says of a model's data: only what its manifest says, and words as words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fakes.predictions import FakeRiskModel
from stroke.adapters.onnx.manifest import read_manifest
from stroke.adapters.onnx.store import DEFAULT, SHIPPED
from stroke.domain.drift import ReferenceHistogram
from stroke.domain.further import FeatureKind, FurtherFeature
from stroke.domain.risk import ModelDescription
from stroke.entrypoints.ui.languages import languages
from stroke.entrypoints.ui.model_data import few_young_strokes, limits, population

ENGLISH, GERMAN = languages()["en"], languages()["de"]
SHIPPED_MODEL: ModelDescription = read_manifest(SHIPPED / DEFAULT).description
IMPORTED: ModelDescription = FakeRiskModel().description
UPDATED: dict[str, Any] = {
    "parent": "before-1",
    "method": "intercept",
    "patients": 1_449,
    "strokes": 249,
    "data_sha256": "95" * 32,
}
WORDS = ("0", "1", "missing", "from Mars", "2 to 3")
PETS = FurtherFeature("pets", FeatureKind.CATEGORY, categories=WORDS)
FLAG = FurtherFeature("smokes_pipe", FeatureKind.FLAG, may_be_missing=True)


def said(model: ModelDescription) -> str:
    return " ".join(" ".join(each) for each in limits(model, ENGLISH))


def bars(histogram: ReferenceHistogram, *further: FurtherFeature, name: str = "") -> list[str]:
    model = replace(
        IMPORTED, histograms={name or further[0].name: histogram}, further=tuple(further)
    )
    [found] = population(model, ENGLISH)
    return [label for label, _, _ in found["bars"]]


def test_the_limits_of_the_default_model_are_those_of_its_data() -> None:
    assert said(SHIPPED_MODEL) == (
        "No time span: the data say who has had a stroke, not when. "
        "One data set: check the model on your own patients first."
    )
    assert few_young_strokes(SHIPPED_MODEL)


def test_of_an_imported_model_the_page_says_that_nothing_is_known() -> None:
    assert said(IMPORTED) == (
        "Training data: not known here; nor for which span of time the estimate is meant."
    )
    assert not few_young_strokes(IMPORTED)


@pytest.mark.parametrize(
    ("model", "method", "time"),
    [
        (IMPORTED, "intercept", "Training data: not known here"),
        (SHIPPED_MODEL, "intercept", "No time span"),
        (SHIPPED_MODEL, "refit", ""),
    ],
)
def test_an_updated_model_has_more_than_one_data_set(
    model: ModelDescription, method: str, time: str
) -> None:
    text = said(replace(model, population={"updated": UPDATED | {"method": method}}))

    assert text.startswith(time or "Updated:")
    assert "Updated: by people whose outcome became known" in text
    assert "One data set" not in text


def test_many_strokes_of_the_young_are_no_limit() -> None:
    counts = {"age_band": {"0-17": {"patients": 99, "strokes": 4}, "18-34": {"strokes": 6}}}

    assert not few_young_strokes(replace(SHIPPED_MODEL, training={"counts": counts}))


def test_words_of_a_category_are_shown_as_they_are() -> None:
    histogram = ReferenceHistogram((0.2, 0.2, 0.2, 0.2, 0.2, 0.0), labels=WORDS)

    assert bars(histogram, PETS) == list(WORDS)
    married = ReferenceHistogram((0.34, 0.66, 0.0), labels=("No", "Yes"))
    own = FurtherFeature("ever_married", FeatureKind.CATEGORY, categories=("No", "Yes"))
    assert bars(married, own) == ["No", "Yes"]


def test_who_was_not_measured_is_told_from_a_word_missing() -> None:
    histogram = ReferenceHistogram((0.5, 0.5, 0.0), labels=("missing", "1"), missing=0.1)

    assert bars(histogram, replace(PETS, may_be_missing=True)) == [
        "missing",
        "1",
        "not measured",
    ]


def test_flags_are_answered_with_yes_or_no() -> None:
    histogram = ReferenceHistogram((0.9, 0.1, 0.0), labels=("0", "1"), missing=0.2)

    assert bars(histogram, FLAG) == ["no", "yes", "not measured"]
    assert bars(histogram, name="hypertension") == ["no", "yes", "not measured"]


def test_numbers_lie_between_their_cuts_in_the_language() -> None:
    histogram = ReferenceHistogram((0.2, 0.3, 0.5), cuts=(1_000, 2_000.5), missing=0.1)
    model = replace(IMPORTED, histograms={"bmi": histogram})

    [found] = population(model, GERMAN)
    assert [label for label, _, _ in found["bars"]] == [
        "unter 1.000",
        "1.000 bis 2.000,5",
        "ab 2.000,5",
        "nicht gemessen",
    ]
