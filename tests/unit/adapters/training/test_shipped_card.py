"""What cards say of the default model and of its training is what the code does."""

from __future__ import annotations

import json

from stroke.adapters.onnx.manifest import read_manifest
from stroke.adapters.onnx.store import DEFAULT, SHIPPED
from stroke.adapters.training.artefact import CARD, MANIFEST, card
from stroke.adapters.training.spline_regression import (
    FLAGGED_SHARE,
    FOLDS,
    MODEL_TYPE,
    REPEATS,
    SENSITIVITY,
    pipeline,
)
from stroke.adapters.training.splines import CLIP_QUANTILES, KNOT_QUANTILES
from stroke.application.models.answers import TRAINED_TYPE
from stroke.application.models.card import card_of

FOLDER = SHIPPED / DEFAULT


def test_the_shipped_card_is_not_stale() -> None:
    """Where it is, `stroke model train` writes both anew: never change one by hand."""
    manifest = json.loads((FOLDER / MANIFEST).read_text(encoding="utf-8"))

    assert (FOLDER / CARD).read_text(encoding="utf-8") == card(manifest)


def test_the_checklist_says_of_training_what_training_does() -> None:
    tripod = card_of(read_manifest(FOLDER).description).tripod
    said = {each.item: each.answer or "" for each in tripod}
    low, high = (f"{share * 100:g} %" for share in CLIP_QUANTILES)

    assert TRAINED_TYPE == MODEL_TYPE
    assert f"{REPEATS} times {FOLDS}-fold" in said["12a"]
    assert f"{len(KNOT_QUANTILES)} knots" in said["12b"]
    assert f"{low} and {high} quantiles" in said["12b"]
    assert f"C = {pipeline()[-1].C:g}" in said["12c"]
    assert f"find {SENSITIVITY:.0%}".replace("%", " %") in said["15"]
    assert f"top {FLAGGED_SHARE:.0%}".replace("%", " %") in said["15"]
    assert pipeline()[-1].class_weight is None
