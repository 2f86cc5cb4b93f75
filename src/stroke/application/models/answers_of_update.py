"""What the manifest of an updated model answers of its update; None where there was none.

An update by a line keeps the training data of the model before, which are not the patients by
whose outcomes it was updated: they choose the line, and are whom its measures are of. A refit is
trained on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stroke.domain.model_update import Method
from stroke.domain.risk import ModelDescription

RECALIBRATED: Final = ", recalibrated"
"""What is behind the ``model_type`` of the model before, once a line has moved it."""

Known = Mapping[str, Any]


def update(model: ModelDescription) -> str | None:
    """Say what an update by outcomes made of which model."""
    known = _known(model)
    if known is None:
        return None
    drawn = known["shrinkage"]
    of_site = f" of the site {known['site']}" if known["site"] and not drawn else ""
    shrunk = (
        f" It is for the site {known['site']}, whose own {drawn['patients']:,} patients count by "
        f"{drawn['weight']:.0%}; the rest is of all sites."
        if drawn
        else ""
    )
    return (
        f"Made of {known['parent']} by the outcomes{of_site} of {_patients(known)}: "
        f"{_made(known)}. Likelihood-ratio tests at {known['alpha']:g} chose this.{shrunk} The "
        f"interval of one patient is {known['interval']}."
    )


def patients(model: ModelDescription) -> str | None:
    """Say by whose outcomes the model was updated."""
    known = _known(model)
    return None if known is None else f"{_patients(known)}."


def judged(model: ModelDescription) -> str | None:
    """Say whom the measures are of, where those are not the training data."""
    known = _known(model)
    if known is None or is_refitted(model):
        return None
    if drawn := known["shrinkage"]:
        return (
            f"the {drawn['patients']:,} patients of the site {known['site']}, "
            f"{drawn['strokes']:,} with a stroke, among those of the update"
        )
    return f"the patients of the update: {_patients(known)}"


def is_refitted(model: ModelDescription) -> bool:
    """Return whether an update fitted all coefficients anew."""
    known = _known(model)
    return known is not None and known["method"] == Method.REFIT


def is_recalibrated(model: ModelDescription) -> bool:
    """Return whether an update moved the model by a line."""
    return _known(model) is not None and not is_refitted(model)


def type_before(model: ModelDescription) -> str:
    """Return the type of the model that lines have moved, or the model's own."""
    return model.model_type.removesuffix(RECALIBRATED)


def how(model: ModelDescription) -> str | None:
    """Say by which tests the update was chosen, and what they left out."""
    known = _known(model)
    if known is None:
        return None
    tests = "; ".join(
        f"against {_named(each['against'])}, {each['statistic']:.2f} on {each['degrees']} "
        f"{'degree' if each['degrees'] == 1 else 'degrees'} of freedom (p = {each['p_value']:.3g})"
        for each in known["tests"]
    )
    tested = f" Its tests: {tests}." if tests else ""
    left_out = f" Left out: {'; '.join(known['left_out'])}." if known["left_out"] else ""
    return f"{update(model)} The method is called: {known['method']}.{tested}{left_out}"


def recalibration(model: ModelDescription) -> str | None:
    """Say by which line the model was recalibrated; None where none moved it."""
    known = _known(model)
    if known is None or is_refitted(model):
        return None
    return f"Recalibrated by the outcomes of {_patients(known)}: {_made(known)}."


def results(model: ModelDescription) -> str | None:
    """Say how the model before and this one measure on the patients of the update."""
    known = _known(model)
    if known is None:
        return None
    before = (
        f"The model before, on the patients of the update: {figures(known['before'])}."
        if known["before"]
        else "The model before was not measured on the patients of the update: it had learned from "
        "them, or they are too few."
    )
    after = (
        f"This model, cross-validated on them: {figures(model.metrics)}."
        if model.metrics
        else "They are too few to measure this model."
    )
    return f"{before} {after}"


def figures(metrics: Known) -> str:
    """Write measures with their intervals."""
    return ", ".join(f"{name} {estimate(each)}" for name, each in metrics.items())


def estimate(figure: Mapping[str, float]) -> str:
    """Write a value with its interval."""
    return f"{figure['value']:.4f} ({figure['low']:.4f} to {figure['high']:.4f})"


def _known(model: ModelDescription) -> Known | None:
    found: Known | None = model.population.get("updated")
    return found or None


def _patients(known: Known) -> str:
    return (
        f"{known['patients']:,} patients, {known['strokes']:,} with a stroke (data with the sha256 "
        f"{known['data_sha256'][:12]})"
    )


def _made(known: Known) -> str:
    if known["method"] == Method.REFIT:
        return "all coefficients were fitted anew"
    return (
        f"its log-odds are {known['intercept']:.4f} + {known['slope']:.4f} times those of the "
        "model before"
    )


def _named(method: str) -> str:
    return "the model as it was" if method == Method.NONE else f"a new {method}"
