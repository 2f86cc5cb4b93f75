"""What the page says of the data of a model: who was in them, and what follows of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from stroke.application.models import answers_of_update as updates
from stroke.domain.drift import SCORE, ReferenceHistogram
from stroke.domain.further import FeatureKind, FurtherFeature
from stroke.domain.risk import ModelDescription
from stroke.entrypoints.ui import charts, words
from stroke.entrypoints.ui.languages import Language

_FLAGS: Final = ("hypertension", "heart_disease")
_YOUNG: Final = ("0-17", "18-34")
_FEW_STROKES: Final = 10
"""Of fewer in the young nobody learns a risk: performance takes groups from so many on, too."""

Point = tuple[str, str]
"""What a limit is about, and what it says."""


def limits(model: ModelDescription, language: Language) -> list[Point]:
    """Return what limits a model, as far as its manifest says it."""
    say = language.say
    points: list[Point] = []
    if not model.training:
        text = say("not known here; nor for which span of time the estimate is meant.")
        points.append((say("Training data:"), text))
    # A refit learned from outcomes that came in later: of many times and places perhaps.
    elif not updates.is_refitted(model):
        points.append((say("No time span:"), say("the data say who has had a stroke, not when.")))
    if updates.patients(model) is not None:
        text = say("by people whose outcome became known; others may differ.")
        points.append((say("Updated:"), text))
    elif model.training:
        points.append((say("One data set:"), say("check the model on your own patients first.")))
    return points


def few_young_strokes(model: ModelDescription) -> bool:
    """Return whether the training data are known to have few strokes of children and the young."""
    known = model.training.get("counts", {}).get("age_band")
    if not known:
        return False
    strokes: int = sum(known.get(band, {}).get("strokes", 0) for band in _YOUNG)
    return strokes < _FEW_STROKES


def population(model: ModelDescription, language: Language) -> list[dict[str, Any]]:
    """Return who was in the training data: a title and bars for each feature."""
    declared = {each.name: each for each in model.further}
    return [
        _people(name, histogram, declared.get(name), language)
        for name, histogram in model.histograms.items()
        if name != SCORE
    ]


def _people(
    name: str, histogram: ReferenceHistogram, own: FurtherFeature | None, language: Language
) -> dict[str, Any]:
    top = max([*histogram.expected, 0.01])
    bins = _bins(name, histogram, own, language)
    return {
        "title": words.feature(name, language),
        "bars": [
            (label, language.number(share * 100, 0), charts.percent(share / top))
            for label, share in zip(bins, histogram.expected, strict=True)
            if share > 0
        ],
    }


def _bins(
    name: str, histogram: ReferenceHistogram, own: FurtherFeature | None, language: Language
) -> list[str]:
    """Return what the page calls the bins, by what they are: a word may read like a number."""
    missing = [] if histogram.missing is None else [language.say("not measured")]
    if histogram.labels:
        labels = [_level(name, label, own, language) for label in histogram.labels]
        return [*labels, language.say("anything else"), *missing]
    cuts = [language.number(cut) for cut in histogram.cuts]
    between = [
        language.say("%(low)s to %(high)s", low=low, high=high) for low, high in pairwise(cuts)
    ]
    return [
        language.say("below %(n)s", n=cuts[0]),
        *between,
        language.say("from %(n)s", n=cuts[-1]),
        *missing,
    ]


def _level(name: str, label: str, own: FurtherFeature | None, language: Language) -> str:
    if name == "gender":
        return words.sex(label, language)
    if name == "smoking_status":
        return words.smoking(label, language)
    is_flag = name in _FLAGS if own is None else own.kind is FeatureKind.FLAG
    if is_flag and label in ("0", "1"):
        return words.yes_no(int(label), language)
    return words.in_catalogue(label, language)
