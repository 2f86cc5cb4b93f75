"""Insights: how many estimates, how high, for whom, how far from the training data, how right."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from stroke.application.quality.insights import SMALLEST_GROUP, UNKNOWN, Group, Insights
from stroke.application.quality.performance import Minimums
from stroke.domain.access import Scope
from stroke.domain.audit import AuditAction
from stroke.domain.clinical.kept import NO_REASON, AssessmentFilter, CardUse
from stroke.domain.drift import Drift
from stroke.domain.prediction import PredictionFilter
from stroke.entrypoints.api.access import needs, site_of
from stroke.entrypoints.api.auditing import written_down
from stroke.entrypoints.api.pages.shell import Page, PageRoute, html, language_of
from stroke.entrypoints.api.state import api_state
from stroke.entrypoints.ui import charts, words
from stroke.entrypoints.ui.curves import curves
from stroke.entrypoints.ui.languages import Language

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_NAME: Final = "insights"
_SPANS: Final = {"30": 30, "90": 90, "365": 365, "all": None}
_PROVINCES: Final = 8
_MOST_DAYS: Final = 62
_FEWEST_BARS: Final = 12
# By convention 0.1 is a minor shift and 0.25 a major one (Siddiqi, Credit Risk Scorecards, 2006).
_MINOR, _MAJOR = 0.1, 0.25
_MINIMUMS: Final = Minimums()


@router.get("/ui/insights")
@needs(Scope.READ)
@written_down(AuditAction.PREDICTION_LIST)
async def insights(
    request: Request,
    span: Annotated[str, Query(max_length=10)] = "30",
    site: Annotated[str, Query(max_length=64)] = "",
    version: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Counts of what the caller's site has saved; no patient is shown.

    Whoever may see all sites may choose one. Outcomes judge one version of the model at a time.
    """
    state, language = api_state(request), language_of(request)
    days = _SPANS.get(span, _SPANS["30"])
    since = None if days is None else datetime.now(UTC) - timedelta(days=days)
    own = site_of(request)
    within = PredictionFilter(since=since, site=own if own is not None else site or None)
    found = await state.insights.report(within)
    may_judge = Page(request, language, _NAME).may(Scope.OUTCOMES)
    report = None
    if may_judge and found.size:
        report = await state.performance.report(
            within, minimums=_MINIMUMS, model_version=version or None
        )
    judged = None if report is None else report.groups[0]
    used = await state.hospital.card_uses(
        AssessmentFilter(since=since, site=within.site),
    )
    return html(
        request,
        "insights.html",
        _NAME,
        used=[_use(each, language) for each in used],
        span=span if span in _SPANS else "30",
        spans=_spans(language),
        found=found,
        days=_bars(_days(found), language),
        distribution=_distribution(found, language),
        ages=[_row(each, language) for each in found.ages],
        genders=[_row(each, language) for each in found.genders],
        provinces=[_row(each, language) for each in found.provinces[:_PROVINCES]],
        more_provinces=max(len(found.provinces) - _PROVINCES, 0),
        drifts=[_drift(each, language) for each in found.drifts],
        smallest=SMALLEST_GROUP,
        minimums=_MINIMUMS,
        sites=[_row(each, language) for each in found.sites[:_PROVINCES]],
        more_sites=max(len(found.sites) - _PROVINCES, 0),
        site="" if own is not None else site,
        choices=_sites(found, site) if own is None else [],
        version="" if report is None else report.model_version,
        versions=[]
        if report is None
        else sorted({report.model_version, *report.others, state.predictions.model.version}),
        judged=judged,
        curves=None
        if judged is None
        else curves(judged.calibration, judged.decision_curve, language),
        may_judge=may_judge,
        bands=state.predictions.model.bands,
    )


def _use(found: CardUse, language: Language) -> dict[str, Any]:
    """Return what became of a model's cards; of few of them only how many there were."""
    if found.shown < SMALLEST_GROUP:
        return {"model": found.model_version, "shown": found.shown, "shares": None}
    counts = (found.accepted, found.overridden, found.ignored)
    places, at = [], 0.0
    for kind, count in zip(("low", "medium", "other"), counts, strict=True):
        if count:
            places.append((kind, charts.percent(at), charts.percent(count / found.shown)))
        at += count / found.shown
    return {
        "model": found.model_version,
        "shown": found.shown,
        "shares": [_in_percent(count / found.shown, language) for count in counts],
        "places": places,
        "reasons": [(_reason(name, language), count) for name, count in found.reasons.items()],
    }


def _reason(code: str, language: Language) -> str:
    say = language.say
    known = {
        "patient-ineligible": say("Patient not eligible"),
        "action-completed": say("Already done"),
        "known": say("Risk known and treated"),
        "wrong-data": say("A value is wrong"),
        "not-relevant": say("Not relevant now"),
        "other": say("Another reason"),
        NO_REASON: say("No reason given"),
    }
    return known.get(code, code)


def _sites(found: Insights, chosen: str) -> list[str]:
    """Return the sites to choose from; none where no row has one."""
    return sorted({each.label for each in found.sites if each.label != UNKNOWN} | {chosen} - {""})


def _spans(language: Language) -> list[tuple[str, str]]:
    say = language.say
    return [
        ("30", say("The last 30 days")),
        ("90", say("The last 90 days")),
        ("365", say("The last year")),
        ("all", say("All time")),
    ]


def _days(found: Insights) -> list[tuple[date, int, bool]]:
    """Return estimates by day, or by month where there are many days; each day is there."""
    if not found.by_day:
        return []
    first, last = min(found.by_day), max(found.by_day)
    if (last - first).days < _MOST_DAYS:
        days = [first + timedelta(days=each) for each in range((last - first).days + 1)]
        return [(day, found.by_day.get(day, 0), False) for day in days]
    months: dict[date, int] = {}
    month = first.replace(day=1)
    while month <= last:
        months[month] = 0
        month = (month + timedelta(days=32)).replace(day=1)
    for day, count in found.by_day.items():
        months[day.replace(day=1)] += count
    return [(month, count, True) for month, count in months.items()]


def _bars(values: list[tuple[date, int, bool]], language: Language) -> dict[str, Any]:
    top = charts.round_top(max((count for _, count, _ in values), default=1))
    width = 100 / max(len(values), _FEWEST_BARS)
    every = max(len(values) // 5, 1)
    return {
        "top": top,
        "bars": [
            {
                "x": charts.percent((place + 0.15) * width / 100),
                "middle": charts.percent((place + 0.5) * width / 100),
                "width": charts.percent(width * 0.7 / 100),
                "y": charts.percent(1 - count / top),
                "height": charts.percent(count / top),
                "label": language.month(day) if by_month else language.short_day(day),
                "is_told": place % every == 0,
                "count": count,
            }
            for place, (day, count, by_month) in enumerate(values)
        ],
    }


def _distribution(found: Insights, language: Language) -> dict[str, Any]:
    counts = found.distribution
    top = charts.round_top(max(counts))
    width = 100 / len(counts)
    rows = []
    for place, count in enumerate(counts):
        low = 2 * place
        label = (
            language.say("%(low)s and more", low=low)
            if place == len(counts) - 1
            else language.say("%(low)s to %(high)s", low=low, high=low + 2)
        )
        rows.append(
            {
                "x": charts.percent((place + 0.08) * width / 100),
                "width": charts.percent(width * 0.84 / 100),
                "y": charts.percent(1 - count / top),
                "height": charts.percent(count / top),
                "label": label,
                "low": low,
                "count": count,
            }
        )
    return {"top": top, "bars": rows}


def _row(group: Group, language: Language) -> dict[str, Any]:
    places, at = [], 0.0
    for band in ("Low", "Medium", "High"):
        share = group.bands.get(band, 0) / group.size
        if share:
            places.append((band.lower(), charts.percent(at), charts.percent(share)))
        at += share
    return {
        "label": _label(group.label, language),
        "size": group.size,
        "bands": places,
        "high": _in_percent(group.high.value, language) if group.high else "",
        "interval": language.say(
            "%(low)s to %(high)s",
            low=_in_percent(group.high.low, language),
            high=_in_percent(group.high.high, language),
        )
        if group.high
        else "",
    }


def _label(label: str, language: Language) -> str:
    say = language.say
    known = {
        "0 to 39": say("Under 40"),
        "40 to 54": say("40 to 54"),
        "55 to 64": say("55 to 64"),
        "65 to 74": say("65 to 74"),
        "75 and older": say("75 and older"),
        "unknown": say("Unknown"),
        "Female": say("Female"),
        "Male": say("Male"),
        "Other": say("Other"),
    }
    return known.get(label, label)


def _in_percent(share: float, language: Language) -> str:
    return language.number(share * 100, 0)


def _drift(found: Drift, language: Language) -> dict[str, Any]:
    psi = found.psi
    if psi is None or psi <= _MINOR:
        said = language.say("as in the training data")
    elif psi <= _MAJOR:
        said = language.say("moved a little")
    else:
        said = language.say("moved")
    top = max([*found.shares, *found.histogram.expected, 0.01])
    width = 1 / len(found.shares)
    return {
        "title": words.feature(found.feature, language),
        "psi": words.NOTHING if psi is None else language.number(psi, 2),
        "said": said,
        "moved": psi is not None and psi > _MINOR,
        "bars": [
            {
                "x": charts.percent((place + 0.1) * width),
                "width": charts.percent(width * 0.8),
                "y": charts.percent(1 - actual / top),
                "height": charts.percent(actual / top),
                "expected": charts.percent(1 - expected / top),
                "end": charts.percent((place + 0.9) * width),
            }
            for place, (actual, expected) in enumerate(
                zip(found.shares, found.histogram.expected, strict=True)
            )
        ],
        "rows": [
            (name, language.number(100 * expected, 1), language.number(100 * actual, 1))
            for name, expected, actual in zip(
                found.histogram.names, found.histogram.expected, found.shares, strict=True
            )
        ],
    }
