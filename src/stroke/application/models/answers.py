"""What a model's artefact answers, in sentences that several papers share; None where it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stroke.domain.performance import GAPS
from stroke.domain.risk import ModelDescription

TRAINED_TYPE: Final = "logistic regression on restricted cubic splines"
"""The ``model_type`` of what `stroke model train` makes."""

_UNKNOWN_DATA: Final = "The model was imported: its training data are not known here."
_HEALTH_STATUS: Final = ("smoking_status",)


def trained_here(model: ModelDescription) -> bool:
    """Return whether `stroke model train` made ``model``, so that its method is known."""
    return model.model_type == TRAINED_TYPE and bool(model.training)


def data(model: ModelDescription) -> str | None:
    """Say how many patients the model was trained on."""
    facts = model.training
    if not facts:
        return None
    return (
        f"{facts.get('rows', 0):,} patients, {facts.get('strokes', 0):,} with a stroke "
        f"(data with the sha256 {str(facts.get('sha256', 'unknown'))[:12]})."
    )


def update(model: ModelDescription) -> str | None:
    """Say what an update by outcomes made of which model."""
    known = model.population.get("updated")
    if not known:
        return None
    made = (
        "all coefficients were fitted anew"
        if known["method"] == "refit"
        else f"its log-odds are {known['intercept']:.4f} + {known['slope']:.4f} times those of the "
        "model before"
    )
    drawn = known["shrinkage"]
    of_site = f" of the site {known['site']}" if known["site"] and not drawn else ""
    shrunk = (
        f" It is for the site {known['site']}, whose own {drawn['patients']:,} patients count by "
        f"{drawn['weight']:.0%}; the rest is of all sites."
        if drawn
        else ""
    )
    return (
        f"Made of {known['parent']} by the outcomes{of_site} of {known['patients']:,} patients, "
        f"{known['strokes']:,} with a stroke (data with the sha256 {known['data_sha256'][:12]}): "
        f"{made}. Likelihood-ratio tests at {known['alpha']:g} chose this.{shrunk} The interval of "
        f"one patient is {known['interval']}."
    )


def limits(model: ModelDescription) -> str:
    """Say what is known to limit the model."""
    known = [
        "One data set; outcomes are not dated." if model.training else _UNKNOWN_DATA,
        "No claim is made for other populations.",
    ]
    if "updated" in model.population:
        known.append("It was updated by patients whose outcome became known: others may differ.")
    if model.may_be_missing:
        known.append(f"Patients may lack {' and '.join(model.may_be_missing)}.")
    return " ".join(known)


def demographic(model: ModelDescription) -> str:
    """Say which of the variables of (b)(11)(iv)(A)(5) to (13) are features."""
    used = [name for name in ("gender", "age") if name in model.features]
    status = [name for name in _HEALTH_STATUS if name in model.features]
    text = (
        f"{' and '.join(used) or 'None'} as features. Race, ethnicity, language, sexual "
        "orientation, gender identity and social determinants of health are no features."
    )
    return text + (f" Of health status assessments: {', '.join(status)}." if status else "")


def counts(model: ModelDescription) -> str | None:
    """Say how many training patients there were of each gender, smoking status and age."""
    counted = model.training.get("counts")
    if not isinstance(counted, Mapping):
        return None
    parts = [
        f"{name}: " + ", ".join(f"{kind} {each['patients']:,}" for kind, each in kinds.items())
        for name, kinds in counted.items()
    ]
    return "; ".join(parts) + ". Race, ethnicity and language were not recorded."


def metrics(model: ModelDescription) -> str | None:
    """Say what cross-validation found."""
    if not model.metrics:
        return None
    named = [f"{name} {estimate(each)}" for name, each in model.metrics.items()]
    return f"Cross-validated, with 95 % intervals: {', '.join(named)}."


def gaps(model: ModelDescription) -> tuple[Mapping[str, Any], ...]:
    """Return the gaps between groups that training measured; none where it measured none."""
    return tuple(model.population.get("fairness", ()))


def fairness(model: ModelDescription) -> str | None:
    """Say how far apart cross-validation found the levels of each group."""
    measured = [each for each in gaps(model) if each["estimate"] is not None]
    if not measured:
        return None
    parts = [
        f"{each['group']}, {GAPS[each['measure']]} {estimate(each['estimate'])}"
        for each in measured
    ]
    return f"Largest differences, cross-validated, with 95 % intervals: {'; '.join(parts)}."


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


def estimate(figure: Mapping[str, float]) -> str:
    """Write a value with its interval."""
    return f"{figure['value']:.4f} ({figure['low']:.4f} to {figure['high']:.4f})"
