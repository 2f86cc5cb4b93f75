"""The calculator: an estimate while the form is filled, which is stored only when it is saved."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from stroke.application.predictions.deployed import Deployed
from stroke.domain.access import Scope
from stroke.domain.errors import NotAuthenticated, StrokeError
from stroke.domain.further import FeatureKind, FurtherFeature
from stroke.domain.patient import BMI, Patient
from stroke.domain.risk import ModelDescription
from stroke.entrypoints.api.access import needs, origin_of
from stroke.entrypoints.api.pages.failures import failure
from stroke.entrypoints.api.pages.shell import (
    HOME,
    Page,
    PageRoute,
    fields_of,
    html,
    is_script,
    language_of,
    part,
)
from stroke.entrypoints.api.problems import KINDS
from stroke.entrypoints.api.rendering import json_response
from stroke.entrypoints.api.state import api_state
from stroke.entrypoints.ui import words
from stroke.entrypoints.ui.estimates import Estimate, WhatIf, changed
from stroke.entrypoints.ui.languages import Language
from stroke.entrypoints.ui.measurements import (
    PREFIX,
    Form,
    field_of,
    glucose_range,
    read_form,
)
from stroke.entrypoints.ui.words import Frequency

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_NAME: Final = "calculator"
_KEY_BYTES: Final = 16
_LONGEST_KEY: Final = 64
# More words than these are a list to unfold.
_MOST_BUTTONS: Final = 4


class OwnField(NamedTuple):
    """The field of a feature that the served model declares for itself."""

    name: str
    title: str
    hint: str
    unit: str
    options: tuple[tuple[str, str], ...]
    """Values with their words; none for a number."""
    unfolds: bool
    signed: bool
    """Whether a number may be below zero, for which some keyboards have no key."""


@router.get(HOME)
@needs(Scope.PREDICT)
async def calculator(request: Request) -> Response:
    """An empty form."""
    deployed = api_state(request).predictions.deployed
    return await _whole(request, _form(request, {}, deployed), deployed=deployed)


@router.get("/ui/estimate")
@router.get("/ui/what-if")
@router.get("/ui/save")
@needs(Scope.PREDICT)
async def back(request: Request) -> Response:
    """Where a browser comes that asks again for what was the answer to a form."""
    return RedirectResponse(Page(request, language_of(request), "").path(HOME), 303)


@router.post("/ui/estimate")
@needs(Scope.PREDICT)
async def estimate(request: Request) -> Response:
    """The estimate of what the form says; nothing is stored."""
    return await _estimated(request, partial(_parts, request))


@router.post("/ui/what-if")
@needs(Scope.PREDICT)
async def what_if(request: Request) -> Response:
    """The estimate of the same person with other values; nothing is stored."""

    def answer(_form: Form, shown: dict[str, Any]) -> dict[str, Any]:
        moved = shown["what_if"]
        return {"result": "" if moved is None else part(request, "what_if.html", what_if=moved)}

    return await _estimated(request, answer)


@router.post("/ui/save")
@needs(Scope.PREDICT)
async def save(request: Request) -> Response:
    """Store the estimate: once, however often the button is pressed."""
    state = api_state(request)
    saved: int | None = None
    failed, status = "", 200
    deployed = state.predictions.deployed
    async with state.admission.one(request):
        form = _form(request, await fields_of(request), deployed)
        patient = None if form.errors else form.patient
        if patient is not None:
            try:
                stored = await state.predictions.predict(
                    patient,
                    idempotency_key=_key(form, patient),
                    origin=origin_of(request),
                    refuse_outside=state.refuse_outside,
                    model=deployed.champion,  # as what the page showed before
                )
            except NotAuthenticated:
                raise
            except StrokeError as error:
                if is_script(request):
                    raise
                # The form comes back with the answer: nothing that was typed is lost.
                failed, status = failure(error, language_of(request)), KINDS[type(error)].status
            else:
                saved = stored.id
        if not is_script(request):
            return await _whole(
                request,
                form,
                saved=saved,
                save_failed=failed,
                status=status,
                deployed=deployed,
            )
        shown = await _shown(request, form, deployed)
    outcome_of_saving = {"saved": saved, "save_failed": failed}
    return json_response(
        _parts(request, form, shown)
        | {"saved": part(request, "saved.html", **outcome_of_saving), "stored": saved is not None}
    )


async def _estimated(
    request: Request, answer: Callable[[Form, dict[str, Any]], dict[str, Any]]
) -> Response:
    """Answer the form that was sent: a script with JSON, a browser without one with the page.

    ``answer`` makes the JSON out of the form and of what the result's template shows.
    """
    deployed = api_state(request).predictions.deployed
    async with api_state(request).admission.one(request):
        form = _form(request, await fields_of(request), deployed)
        if not is_script(request):
            return await _whole(request, form, deployed=deployed)
        shown = await _shown(request, form, deployed)
    return json_response(answer(form, shown))


def _form(request: Request, typed: dict[str, str], deployed: Deployed) -> Form:
    further = deployed.champion.description.further
    return read_form(typed, language_of(request), deployed.may_be_missing, further)


def _key(form: Form, patient: Patient) -> str:
    """Return the idempotency key of saving this patient from this form.

    The same form with the same values is the same estimate; with other values it is another one.
    """
    said = repr((form.get("form_key")[:_LONGEST_KEY], patient))
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()


def _parts(request: Request, form: Form, shown: dict[str, Any]) -> dict[str, Any]:
    language = language_of(request)
    found = form.bmi_from_height
    return {
        "result": part(request, "result.html", **shown),
        "errors": form.errors,
        "missing": form.missing,
        "from_height": "" if found is None else language.say("BMI %(n)s", n=language.number(found)),
    }


async def _shown(request: Request, form: Form, deployed: Deployed) -> dict[str, Any]:
    """Return what the result's template shows."""
    language = language_of(request)
    predictions = api_state(request).predictions
    model = deployed.champion.description
    patient = form.patient
    found = moved = None
    if patient is not None:
        other = changed(patient, form)
        assessed = await predictions.assess(
            [patient] if other is None else [patient, other], deployed=deployed
        )
        estimates = [
            Estimate(each, assessment, model, language, form.glucose_unit)
            for each, assessment in zip((patient, other), assessed, strict=False)
            if each is not None
        ]
        found = estimates[0]
        moved = WhatIf(found, estimates[1] if other is not None else None)
    can_be_empty = (
        *model.may_be_missing,
        *(field_of(each.name) for each in model.further if each.may_be_missing),
    )
    optional = [name for name in can_be_empty if not form.get(name).strip()]
    return {
        "form": form,
        "estimate": found,
        "what_if": moved,
        "missing": _titles(form.missing, language),
        "wrong": _titles(form.errors, language),
        "optional": _titles(optional, language),
        "lacking": _titles(found.assessment.missing if found else (), language),
        "typical": _typical(found, language),
        "calibration": _calibration(model, language),
    }


async def _whole(
    request: Request,
    form: Form,
    *,
    deployed: Deployed,
    saved: int | None = None,
    save_failed: str = "",
    status: int = 200,
) -> Response:
    language = language_of(request)
    shown = await _shown(request, form, deployed)
    if form.is_empty:
        shown["missing"] = _titles(form.missing, language)
    hints = {
        unit: language.say(
            "%(low)s to %(high)s",
            low=language.number(glucose_range(unit).low),
            high=language.number(glucose_range(unit).high),
        )
        for unit in ("mg/dL", "mmol/L")
    }
    may_be_missing = deployed.may_be_missing
    optional = language.say("optional")
    if "avg_glucose_level" in may_be_missing:
        hints = {unit: f"{hint}, {optional}" for unit, hint in hints.items()}
    bmi_hint = language.say(
        "%(low)s to %(high)s", low=language.number(BMI.low), high=language.number(BMI.high)
    )
    if "bmi" in may_be_missing:
        bmi_hint += f", {optional}"
    return html(
        request,
        "calculator.html",
        _NAME,
        code=status,
        form_key=form.get("form_key")[:_LONGEST_KEY] or secrets.token_hex(_KEY_BYTES),
        glucose_hints=hints,
        bmi_hint=bmi_hint,
        own_fields=[_own_field(each, language) for each in deployed.champion.description.further],
        saved=saved,
        save_failed=save_failed,
        may_save=True,
        **shown,
    )


def _own_field(declared: FurtherFeature, language: Language) -> OwnField:
    """Return the field that asks for a feature of the model's own."""
    hints = []
    options: list[tuple[str, str]] = []
    if declared.kind is FeatureKind.NUMBER:
        low, high = (words.significant(each, language) for each in (declared.low, declared.high))
        hints.append(language.say("%(low)s to %(high)s", low=low, high=high))
    elif declared.kind is FeatureKind.FLAG:
        options = [("0", language.say("No")), ("1", language.say("Yes"))]
    else:
        options = [(each, words.in_catalogue(each, language)) for each in declared.categories]
    unfolds = len(options) > _MOST_BUTTONS
    if declared.may_be_missing:
        hints.append(language.say("optional"))
    if options and (declared.may_be_missing or unfolds):
        # A button once pressed stays pressed: what may be missing needs one that says so.
        nothing = language.say("Not known") if declared.may_be_missing else language.say("Choose …")
        options.insert(0, ("", nothing))
    return OwnField(
        field_of(declared.name),
        words.feature(declared.name, language),
        ", ".join(hints),
        declared.unit,
        tuple(options),
        unfolds,
        declared.low < 0,
    )


def _titles(names: Any, language: Language) -> list[str]:
    known = {
        "name": language.say("Name"),
        "country": language.say("Country"),
        "province": language.say("State or province"),
        "height_cm": language.say("Height"),
        "height_ft": language.say("Height"),
        "height_in": language.say("Height"),
        "weight_kg": language.say("Weight"),
        "weight_lb": language.say("Weight"),
    }
    return list(
        dict.fromkeys(
            known.get(name) or words.feature(name.removeprefix(PREFIX), language) for name in names
        )
    )


def _typical(found: Estimate | None, language: Language) -> str:
    if found is None:
        return ""
    odds = 2.718281828459045**found.assessment.baseline_log_odds
    return words.in_words(Frequency(odds / (1 + odds), found.risk.of), language)


def _calibration(model: ModelDescription, language: Language) -> str:
    """Return how right the model was, in one sentence; "" where its manifest does not say."""
    slope, auc = model.metrics.get("calibration_slope"), model.metrics.get("auc")
    rows, strokes = model.training.get("rows"), model.training.get("strokes")
    if not (slope and auc and rows and strokes is not None):
        return ""
    return language.say(
        "Calibration slope %(slope)s (%(slope_low)s to %(slope_high)s; 1 is right), AUC %(auc)s "
        "(%(auc_low)s to %(auc_high)s; 0.5 is chance, 1 is perfect), of %(rows)s people with "
        "%(strokes)s strokes in one data set.",
        slope=language.number(slope["value"], 2),
        slope_low=language.number(slope["low"], 2),
        slope_high=language.number(slope["high"], 2),
        auc=language.number(auc["value"], 2),
        auc_low=language.number(auc["low"], 2),
        auc_high=language.number(auc["high"], 2),
        rows=language.number(rows),
        strokes=language.number(strokes),
    )
