"""What a model's artefact answers, in sentences that several papers share; None where it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stroke.application.models import answers_of_update as updates
from stroke.domain.further import FeatureKind, FurtherFeature
from stroke.domain.performance import GAPS
from stroke.domain.risk import ModelDescription

TRAINED_TYPE: Final = "logistic regression on restricted cubic splines"
"""The ``model_type`` of what `stroke model train` makes."""

_UNKNOWN_DATA: Final = "The model was imported: its training data are not known here."
_HEALTH_STATUS: Final = ("smoking_status",)


def trained_here(model: ModelDescription) -> bool:
    """Return whether `stroke model train` made ``model``, so that its method is known."""
    return model.model_type == TRAINED_TYPE and bool(model.training)


def trained_here_before(model: ModelDescription) -> bool:
    """Return whether `stroke model train` made ``model`` before lines moved it, if any did."""
    return updates.type_before(model) == TRAINED_TYPE and bool(model.training)


def no_site(model: ModelDescription) -> str:
    """Say that the training data name no site, which outcomes that a refit was made of may do."""
    return "" if updates.is_refitted(model) else ": the training data name no site"


def data(model: ModelDescription) -> str | None:
    """Say how many patients the model was trained on; and by how many a line has moved it."""
    facts = model.training
    trained = facts and (
        f"{facts.get('rows', 0):,} patients, {facts.get('strokes', 0):,} with a stroke "
        f"(data with the sha256 {str(facts.get('sha256', 'unknown'))[:12]})."
    )
    if not updates.is_recalibrated(model):
        return trained or None
    before = trained or "they are not known here."
    return f"Training data of the model before: {before} Of the update: {updates.patients(model)}"


def criteria(model: ModelDescription) -> str | None:
    """Say which rows of the data were taken."""
    known = data(model)
    if not model.training:  # it was imported
        return known
    return f"All rows{' to train' if updates.is_recalibrated(model) else ''}. {known}"


def limits(model: ModelDescription) -> str:
    """Say what is known to limit the model."""
    known = [
        "One data set; outcomes are not dated." if model.training else _UNKNOWN_DATA,
        "No claim is made for other populations.",
    ]
    if "updated" in model.population:
        known.append("It was updated by patients whose outcome became known: others may differ.")
    if lackable := may_be_missing(model):
        known.append(f"Patients may lack {' and '.join(lackable)}.")
    return " ".join(known)


def may_be_missing(model: ModelDescription) -> tuple[str, ...]:
    """Return what patients may lack, the features included that the model declares for itself."""
    own = (each.name for each in model.further if each.may_be_missing)
    return (*model.may_be_missing, *own)


def further(model: ModelDescription) -> str:
    """Define the features that the model declares for itself; empty where there is none."""
    return "; ".join(f"{each.name} ({_values(each)})" for each in model.further)


def _values(feature: FurtherFeature) -> str:
    if feature.kind is FeatureKind.FLAG:
        return "0 or 1"
    if feature.is_text:
        return f"one of {', '.join(feature.categories)}"
    return f"{feature.low:g} to {feature.high:g} {feature.unit}".rstrip()


def demographic(model: ModelDescription) -> str:
    """Say which of the variables of (b)(11)(iv)(A)(5) to (13) are features."""
    used = [name for name in ("gender", "age") if name in model.features]
    status = [name for name in _HEALTH_STATUS if name in model.features]
    # The program knows what its own features are, and of others no more than their names.
    text = f"{' and '.join(used) or 'None'} as features. " + (
        "Race, ethnicity, language, sexual orientation, gender identity and social determinants of "
        "health are none of the features that the program knows. The model also takes features of "
        f"its own, which may be among these: {further(model)}."
        if model.further
        else "Race, ethnicity, language, sexual orientation, gender identity and social "
        "determinants of health are no features."
    )
    return text + (f" Of health status assessments: {', '.join(status)}." if status else "")


def counts(model: ModelDescription) -> str | None:
    """Say how many training patients there were of each gender, smoking status and age."""
    counted = model.training.get("counts")
    if not isinstance(counted, Mapping):
        return None
    whose = "Training data of the model before. " if updates.is_recalibrated(model) else ""
    parts = [
        f"{name}: " + ", ".join(f"{kind} {each['patients']:,}" for kind, each in kinds.items())
        for name, kinds in counted.items()
    ]
    text = f"{whose}{'; '.join(parts)}."
    # A feature of the model's own may be any of these.
    return text if model.further else f"{text} Race, ethnicity and language were not recorded."


def metrics(model: ModelDescription) -> str | None:
    """Say what cross-validation found."""
    if not model.metrics:
        return None
    text = f"Cross-validated, with 95 % intervals: {updates.figures(model.metrics)}."
    return f"{text}{_whom(model)}"


def gaps(model: ModelDescription) -> tuple[Mapping[str, Any], ...]:
    """Return the gaps between groups that training measured; none where it measured none."""
    return tuple(model.population.get("fairness", ()))


def fairness(model: ModelDescription) -> str | None:
    """Say how far apart cross-validation found the levels of each group."""
    measured = [each for each in gaps(model) if each["estimate"] is not None]
    if not measured:
        return None
    parts = [
        f"{each['group']}, {GAPS[each['measure']]} {updates.estimate(each['estimate'])}"
        for each in measured
    ]
    text = f"Largest differences, cross-validated, with 95 % intervals: {'; '.join(parts)}."
    return f"{text}{_whom(model)}"


def _whom(model: ModelDescription) -> str:
    judged = updates.judged(model)
    return f" Of {judged}." if judged else ""


def interval(model: ModelDescription) -> str | None:
    """Say how the interval of one patient compares with refits of the model."""
    check = model.population.get("interval_check")
    if not check:
        return None
    ratio, coverage = check["standard_error_ratio"], check["coverage"]
    return (
        f"The model was refitted to {check['refits']:,} bootstrap samples. The interval of one "
        f"patient holds {coverage['median']:.1%} of the refits ({coverage['p5']:.1%} to "
        f"{coverage['p95']:.1%} for nine of ten patients). Its standard error is "
        f"{ratio['median']:.2f} times that of the refits ({ratio['p5']:.2f} to "
        f"{ratio['p95']:.2f}). It says how sure the fit is, and nothing of other populations."
    )


def support(model: ModelDescription) -> str | None:
    """Say from how few training patients on an answer carries a warning."""
    rules = model.population.get("support")
    if not rules:
        return None
    return (
        f"An answer is at the edge of the data where fewer than {rules['few']:,} training "
        f"patients had a value at least as extreme, fewer than {rules['few_nearby']:,} of about "
        f"the same age ({rules['nearby_years']:g} years) had one, or fewer than "
        f"{rules['few_of_kind']:,} were of the same kind. It is outside where there was none, or "
        f"fewer than {rules['too_few_of_kind']:,} of the same kind."
    )
