"""What the card says of models with features of their own, and of updated ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stroke.adapters.onnx.manifest import read_manifest
from stroke.adapters.onnx.store import DEFAULT, SHIPPED
from stroke.application.models.applied_card import as_applied_card
from stroke.application.models.card import ModelCard, as_markdown, card_of
from stroke.application.models.tripod import ChecklistItem, Status
from stroke.domain.further import FeatureKind, FurtherFeature
from stroke.domain.risk import ModelDescription

SHIPPED_MODEL: ModelDescription = read_manifest(SHIPPED / DEFAULT).description
OWN = (
    FurtherFeature("waist", FeatureKind.NUMBER, 40, 200, unit="cm", may_be_missing=True),
    FurtherFeature("on_statins", FeatureKind.FLAG),
    FurtherFeature("ever_married", FeatureKind.CATEGORY, categories=("No", "Yes")),
)
WITH_OWN: ModelDescription = replace(
    SHIPPED_MODEL,
    features=(*SHIPPED_MODEL.features, *(each.name for each in OWN)),
    further=OWN,
)
DEFINED = "waist (40 to 200 cm); on_statins (0 or 1); ever_married (one of No, Yes)"
BEFORE = {"auc": {"value": 0.85, "low": 0.82, "high": 0.88}}
AFTER = {"auc": {"value": 0.84, "low": 0.81, "high": 0.87}}
UPDATED: dict[str, Any] = {
    "parent": "stroke-spline-lr-cabc5afbc888",
    "parent_sha256": "ca" * 32,
    "method": "intercept and slope",
    "intercept": 0.5,
    "slope": 1.25,
    "covariance": [[0.01, 0.0], [0.0, 0.01]],
    "data_sha256": "95" * 32,
    "patients": 1_449,
    "strokes": 249,
    "site": None,
    "alpha": 0.05,
    "tests": [
        {"against": "none", "statistic": 173.41, "degrees": 2, "p_value": 2.21e-38},
        {"against": "intercept", "statistic": 4.8, "degrees": 1, "p_value": 0.0284},
    ],
    "left_out": ["no refit: too few strokes"],
    "shrinkage": None,
    "before": BEFORE,
    "interval": "the parent's, widened",
}
RECALIBRATED: ModelDescription = replace(
    SHIPPED_MODEL,
    model_type=f"{SHIPPED_MODEL.model_type}, recalibrated",
    metrics=AFTER,
    population={**SHIPPED_MODEL.population, "updated": UPDATED},
)
OF_AN_IMPORT: ModelDescription = replace(
    RECALIBRATED, model_type="imported ONNX graph, recalibrated", training={}
)
REFITTED: ModelDescription = replace(
    SHIPPED_MODEL,
    population={
        "updated": UPDATED
        | {"method": "refit", "intercept": None, "slope": None, "covariance": None, "tests": []}
    },
)


def attributes(card: ModelCard) -> dict[str, str]:
    return {each.paragraph: each.answer or "" for each in card.attributes}


def items(model: ModelDescription) -> dict[str, ChecklistItem]:
    return {each.item: each for each in card_of(model).tripod}


def test_features_of_a_models_own_are_named_and_nothing_is_denied_of_them() -> None:
    said = attributes(card_of(WITH_OWN))["(4)(ii)"]

    assert DEFINED in said
    assert "are no features" not in said
    assert "not recorded" not in attributes(card_of(WITH_OWN))["(4)(iii)"]
    assert DEFINED in as_applied_card(card_of(WITH_OWN))


def test_the_checklist_defines_features_of_a_models_own() -> None:
    found = items(WITH_OWN)

    assert found["9a"].status is Status.PARTLY
    assert "added: waist, on_statins, ever_married" in (found["9a"].answer or "")
    assert f"Of the model's own: {DEFINED}" in (found["9b"].answer or "")
    assert "No treatment is a feature" not in (found["6c"].answer or "")
    assert "on_statins" in (found["6c"].answer or "")
    assert "straight line" in (found["12b"].answer or "")
    assert "a missing category as the reference" in (found["11"].answer or "")


def test_a_feature_of_a_models_own_that_may_be_missing_is_said_to() -> None:
    alone = replace(WITH_OWN, companions=())

    assert "waist may be missing" in (items(alone)["27a"].answer or "")
    assert "Patients may lack waist." in attributes(card_of(alone))["(3)(ii)"]
    assert "waist" not in (items(SHIPPED_MODEL)["27a"].answer or "")


def test_the_checklist_says_how_a_line_was_found_and_what_it_did() -> None:
    found = items(RECALIBRATED)

    assert "Made of stroke-spline-lr-cabc5afbc888" in (found["12f"].answer or "")
    assert "4.80 on 1 degree of freedom (p = 0.0284)" in (found["12f"].answer or "")
    assert "no refit: too few strokes" in (found["12f"].answer or "")
    assert found["13"].status is Status.ANSWERED
    assert "0.5000 + 1.2500 times" in (found["13"].answer or "")
    assert "No resampling" in (found["13"].answer or "")
    assert found["24"].answer == (
        "The model before, on the patients of the update: auc 0.8500 (0.8200 to 0.8800). "
        "This model, cross-validated on them: auc 0.8400 (0.8100 to 0.8700)."
    )
    assert "1,449 patients" in (found["16"].answer or "")


def test_of_an_import_only_the_update_is_known() -> None:
    found = items(OF_AN_IMPORT)

    assert found["13"].status is Status.PARTLY
    assert "class imbalance" in found["13"].remains
    assert "resampling" not in (found["13"].answer or "")
    assert "not known here. Of the update: 1,449" in attributes(card_of(OF_AN_IMPORT))["(4)(i)"]


def test_a_refit_is_an_update_and_says_so() -> None:
    found = items(REFITTED)

    assert "fitted anew" in (found["12f"].answer or "")
    assert "a version never changes" not in (found["12f"].answer or "")
    assert "auc 0.8500" in (found["24"].answer or "")
    assert found["13"].answer == "None: no resampling, and no class weights."
    assert "name no site" not in (found["12d"].answer or "")


def test_patients_of_the_update_are_kept_apart_from_the_training_data() -> None:
    card = card_of(RECALIBRATED)
    said = attributes(card)

    assert said["(4)(i)"] == (
        "All rows to train. Training data of the model before: 5,110 patients, 249 with a stroke "
        "(data with the sha256 644d473b05d2). Of the update: 1,449 patients, 249 with a stroke "
        "(data with the sha256 959595959595)."
    )
    assert "Of the patients of the update: 1,449 patients" in said["(7)(i)"]
    assert "Of the patients of the update: 1,449 patients" in said["(7)(ii)"]
    assert said["(4)(iii)"].startswith("Training data of the model before.")
    assert "Of the model before the update. Training patients" in as_markdown(card)
    tested = as_applied_card(card).split("<TestingDataDescription>")[1]
    assert tested.startswith("the patients of the update: 1,449 patients")


@pytest.mark.parametrize("model", [SHIPPED_MODEL, REFITTED])
def test_measures_of_what_was_trained_are_of_the_training_data(model: ModelDescription) -> None:
    card = card_of(model)

    assert card.judged is None
    assert "the update" not in attributes(card)["(7)(i)"]
    assert attributes(card)["(4)(i)"] == (
        "All rows. 5,110 patients, 249 with a stroke (data with the sha256 644d473b05d2)."
    )


def test_measures_of_a_site_are_of_its_own_patients() -> None:
    drawn = {
        "method": "intercept",
        "sites": 3,
        "patients": 120,
        "strokes": 9,
        "expected": 7.0,
        "difference": 0.2,
        "weight": 0.4,
        "variance": 0.1,
    }
    small = UPDATED | {"site": "clinic-a", "shrinkage": drawn}
    model = replace(RECALIBRATED, population={"updated": small})

    assert "Of the 120 patients of the site clinic-a" in attributes(card_of(model))["(7)(i)"]


def test_what_was_not_measured_before_is_not_made_up() -> None:
    model = replace(RECALIBRATED, population={"updated": UPDATED | {"before": {}}}, metrics={})

    said = items(model)["24"].answer or ""
    assert "was not measured" in said
    assert "too few to measure this model" in said
