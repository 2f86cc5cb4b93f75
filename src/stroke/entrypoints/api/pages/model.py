"""The model's card, for readers: what it is, how right it was, for whom, and what it is not for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from datetime import UTC
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from stroke.application.models.answers import trained_here_before
from stroke.application.models.deployments import Asker, Wish
from stroke.domain.access import Scope
from stroke.domain.agreement import AgreementGroup
from stroke.domain.deployment import DeploymentAction
from stroke.domain.errors import (
    DeploymentChanged,
    DeploymentRefused,
    InvalidModel,
    ModelNotFound,
    ModelStoreUnavailable,
    StoreUnavailable,
)
from stroke.domain.features import AGE_GROUPS
from stroke.domain.performance import Estimate
from stroke.domain.prediction import PredictionFilter
from stroke.domain.risk import ModelDescription, ModelVariant
from stroke.entrypoints.api.access import caller_of, for_all_sites, needs, site_of
from stroke.entrypoints.api.pages.shell import (
    MODEL_SCOPES,
    Page,
    PageRoute,
    fields_of,
    html,
    language_of,
    to,
)
from stroke.entrypoints.api.state import ApiState, api_state
from stroke.entrypoints.request_id import CURRENT
from stroke.entrypoints.ui import model_data, words
from stroke.entrypoints.ui.curves import auc_of, cross_validated
from stroke.entrypoints.ui.estimates import hardly_ranks_the_old
from stroke.entrypoints.ui.languages import Language

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_NAME: Final = "model"
_PATH: Final = "/ui/model"
_NUMBER: Final = re.compile("[0-9]{1,15}")  # of a deployment


@router.get(_PATH)
@needs(*MODEL_SCOPES)
async def model(request: Request, done: Annotated[str, Query(max_length=20)] = "") -> Response:
    """What the manifest says, in words; and what is served, for those who may change it."""
    say = language_of(request).say
    said = {"promote": say("The model is promoted."), "rollback": say("The model is rolled back.")}
    return await _page(request, said=said.get(done, ""))


@router.post(f"{_PATH}/deployment")
@needs(Scope.MODELS)
@for_all_sites
async def change(request: Request) -> Response:
    """Promote a model, or roll back to the one before; the reason goes into the history."""
    typed, caller = await fields_of(request), caller_of(request)
    language = language_of(request)
    if wrong := _wrong(typed, language):
        return await _page(request, typed=typed, wrong=wrong)
    action = typed["action"]
    wish = Wish(
        DeploymentAction(action),
        typed.get("model", "") if action == "promote" else None,
        reason=typed["reason"].strip(),
        after=int(typed["after"]),
    )
    asker = Asker(f"{caller.kind}:{caller.id}", caller.site, CURRENT.get())
    try:
        await api_state(request).deployments.change(wish, asker)
    except DeploymentChanged:
        wrong = language.say("Somebody else has changed the models meanwhile. Look again.")
        return await _page(request, typed=typed, wrong=wrong)
    except DeploymentRefused as error:
        return await _page(request, typed=typed, wrong=str(error), is_translated=False)
    # Their texts may name a path of the server's.
    except (InvalidModel, ModelNotFound, ModelStoreUnavailable):
        wrong = language.say("This model cannot be served: “stroke model verify” says why.")
        return await _page(request, typed=typed, wrong=wrong)
    return to(request, f"{_PATH}?done={action}")


def _wrong(typed: Mapping[str, str], language: Language) -> str:
    """Return the first thing that is wrong with the form, empty where nothing is."""
    if typed.get("action") not in ("promote", "rollback"):
        return language.say("Choose one of these.")
    if not typed.get("reason", "").strip():
        return language.say("Say why: it stays in the history of the models.")
    if not _NUMBER.fullmatch(typed.get("after", "")):  # of what was served when it was made
        return language.say("Something that was sent cannot be read.")
    return ""


async def _page(
    request: Request,
    *,
    typed: Mapping[str, str] | None = None,
    wrong: str = "",
    is_translated: bool = True,
    said: str = "",
) -> Response:
    language = language_of(request)
    state = api_state(request)
    served = state.predictions.model
    found = served.population.get("cross_validated")
    page = Page(request, language, _NAME)
    sees_served = page.may(Scope.MODELS)
    return html(
        request,
        "model.html",
        _NAME,
        code=HTTPStatus.CONFLICT if wrong else HTTPStatus.OK,
        model=served,
        metrics=_metrics(served, language),
        companions=[_companion(each, language) for each in served.companions],
        population=model_data.population(served, language),
        limits=model_data.limits(served, language),
        few_young_strokes=model_data.few_young_strokes(served),
        never_resampled=trained_here_before(served),
        features=[words.feature(name, language) for name in served.features],
        hardly_ranks=hardly_ranks_the_old(served),
        auc_of_the_old=_in_brackets(auc_of(found, "75+"), language),
        validated=cross_validated(found, language),
        deployed=await _deployed(state, language) if sees_served else None,
        may_deploy=not state.changes_need_all_sites or page.may(Scope.ALL_SITES),
        agreements=await _agreements(request, language) if sees_served else [],
        typed=typed or {},
        wrong=wrong,
        is_translated=is_translated,
        said=said,
    )


async def _deployed(state: ApiState, language: Language) -> dict[str, Any]:
    """Return what is served as what, and what may be promoted."""
    present = await state.deployments.present()
    try:
        listed = await asyncio.to_thread(state.models)
    except ModelStoreUnavailable:
        listed = []  # a roll-back needs no store
    roles = [(language.say("answers"), present.champion)]
    if present.challenger is not None:
        roles.append((language.say("answers some"), present.challenger))
    roles += [(language.say("only compared"), each) for each in present.shadows]
    return {
        "number": present.number,
        "roles": [
            {
                "role": role,
                "version": each.version,
                "share": "" if each.share is None else language.number(each.share * 100),
                "since": "" if each.since is None else language.moment(each.since, UTC),
                "by": each.by or "",
                "reason": each.reason or "",
            }
            for role, each in roles
        ],
        "choices": sorted({each.version for each in listed} - {present.champion.version}),
        "former": present.former[-1] if present.former else "",
    }


async def _agreements(request: Request, language: Language) -> list[dict[str, Any]]:
    """Return how far each shadow agrees, of the newest predictions that the caller may count.

    Nothing where the database takes too long to say so: the page has more to show.
    """
    state = api_state(request)
    within = PredictionFilter(site=site_of(request))
    present = await state.deployments.present()
    try:
        reports = [
            await state.agreement.report(shadow.version, within, most=state.shown)
            for shadow in present.shadows
        ]
    except StoreUnavailable:
        return []
    return [
        {
            "version": report.model_version,
            "predictions": report.predictions,
            "left_out": sum(report.not_comparable.values()),
            "rows": [_agreed(group, language) for group in report.groups],
        }
        for report in reports
        if report.predictions
    ]


def _agreed(group: AgreementGroup, language: Language) -> dict[str, Any]:
    in_words: Mapping[str, Callable[[str], str]] = {
        "all": lambda _: language.say("Everybody"),
        "gender": lambda level: words.sex(level, language),
        "smoking_status": lambda level: words.smoking(level, language),
        "age_group": lambda level: _ages(level, language),
    }
    row: dict[str, Any] = {"level": in_words[group.group](group.level), "size": group.compared}
    for name, found in (("mean", group.mean), ("up", group.up), ("down", group.down)):
        if found is not None:
            value, low, high = (each * 100 for each in found)
            row[name] = {
                "value": language.signed(value, 2) if name == "mean" else language.number(value, 1),
                "interval": language.say(
                    "%(low)s to %(high)s",
                    low=language.signed(low, 2) if name == "mean" else language.number(low, 1),
                    high=language.signed(high, 2) if name == "mean" else language.number(high, 1),
                ),
            }
    return row


def _ages(level: str, language: Language) -> str:
    if level not in AGE_GROUPS.labels:
        return level
    place = AGE_GROUPS.labels.index(level)
    cuts = [language.number(each) for each in AGE_GROUPS.cuts]
    if place == 0:
        return language.say("below %(n)s", n=cuts[0])
    if place == len(cuts):
        return language.say("from %(n)s", n=cuts[-1])
    return language.say("%(low)s to %(high)s", low=cuts[place - 1], high=cuts[place])


def _in_brackets(found: Estimate | None, language: Language) -> str:
    if found is None:
        return ""
    auc, low, high = (language.number(each, 2) for each in found)
    return language.say("(AUC %(auc)s, %(low)s to %(high)s)", auc=auc, low=low, high=high)


def _metrics(served: ModelDescription, language: Language) -> list[tuple[str, str, str, str]]:
    """Return the measures: name, value, interval, and what the number means."""
    say = language.say
    known = {
        "auc": ("AUC", say("tells who had a stroke from who had not; 0.5 is chance, 1 is perfect")),
        "average_precision": (
            say("Average precision"),
            say("the same, for a rare event; chance is the share of strokes"),
        ),
        "brier": (say("Brier score"), say("mean squared error of the estimate; 0 is perfect")),
        "log_loss": (say("Log loss"), say("punishes sure mistakes; 0 is perfect")),
        "calibration_slope": (
            say("Calibration slope"),
            say("1 is right; below 1 the estimates are too extreme"),
        ),
        "calibration_intercept": (
            say("Calibration intercept"),
            say("0 is right; below 0 the estimates are too high"),
        ),
        "ece": (
            say("Expected calibration error"),
            say("mean distance of estimated and observed risk; 0 is right"),
        ),
        "observed_to_expected": (
            say("Observed / expected"),
            say("strokes that happened for each that was expected; 1 is right"),
        ),
    }
    rows = []
    for name, found in served.metrics.items():
        title, meaning = known.get(name, (name.replace("_", " "), ""))
        rows.append((title, *_figure(found, language), meaning))
    return rows


def _figure(found: Any, language: Language) -> tuple[str, str]:
    if not isinstance(found, dict) or "value" not in found:
        return str(found), ""
    decimals = 3
    value = language.number(found["value"], decimals)
    if "low" not in found or "high" not in found:
        return value, ""
    return value, language.say(
        "%(low)s to %(high)s",
        low=language.number(found["low"], decimals),
        high=language.number(found["high"], decimals),
    )


def _companion(variant: ModelVariant, language: Language) -> dict[str, Any]:
    accuracy, lacked = variant.accuracy, variant.lacked
    return {
        "missing": ", ".join(words.feature(name, language) for name in variant.missing),
        "medium": language.number(variant.bands.medium * 100, 1),
        "high": language.number(variant.bands.high * 100, 1),
        "auc": words.NOTHING if accuracy is None else language.number(accuracy.auc, 3),
        "lost": words.NOTHING
        if accuracy is None
        else language.say(
            "%(lost)s (%(low)s to %(high)s)",
            lost=language.signed(-accuracy.auc_lost, 3),
            low=language.signed(-accuracy.auc_lost_high, 3),
            high=language.signed(-accuracy.auc_lost_low, 3),
        ),
        "lacked": words.NOTHING
        if lacked is None
        else language.say(
            "%(patients)s people, %(strokes)s strokes, %(expected)s expected",
            patients=language.number(lacked.patients),
            strokes=language.number(lacked.strokes),
            expected=language.number(lacked.expected, 0),
        ),
    }
