"""Calibration, decision curve and groups as charts: geometry in percent, numbers as they are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from stroke.domain.performance import CalibrationPoint, CurvePoint, Estimate
from stroke.entrypoints.ui import charts, words
from stroke.entrypoints.ui.languages import Language

_ROWS: Final = 10
_FEWEST_STEPS: Final = 4
# From chance, with room below it for intervals, to perfect.
_AUC: Final = (0.4, 1.0)
# Half as many strokes as expected, to twice as many, on the scale of the logarithm.
_RATIO: Final = (0.5, 2.0)


class Tick(NamedTuple):
    """A mark of an axis: where it is on a horizontal one, on a vertical one, and what it says."""

    x: str
    y: str
    label: str


class Point(NamedTuple):
    """A point of the calibration, with its interval from ``low`` to ``high``."""

    x: str
    y: str
    low: str
    high: str


@dataclass(frozen=True, slots=True)
class Curves:
    """Both plots. Lines are what SVG takes in a box of 100 by 100; tables have the numbers."""

    points: Sequence[Point]
    calibration: Sequence[CalibrationPoint]
    risks: Sequence[Tick]
    """Ticks of both axes of the calibration, which has one scale: the diagonal is right."""
    model: str
    everybody: str
    decision: Sequence[CurvePoint]
    thresholds: Sequence[Tick]
    benefits: Sequence[Tick]


def curves(
    calibration: Sequence[CalibrationPoint], decision: Sequence[CurvePoint], language: Language
) -> Curves | None:
    """Return the plots; None without points."""
    if not calibration or not decision:
        return None
    reach = max(max(each.predicted, each.high) for each in calibration)
    end = min(charts.round_top(max(reach, 0.05)), 1.0)
    most = charts.round_top(
        max([each.net_benefit for each in decision] + [each.treat_all for each in decision])
    )
    right = max(each.threshold for each in decision)

    def line(values: Iterable[tuple[float, float]]) -> str:
        # What is below no use is drawn at no use; the table has its number.
        return " ".join(
            f"{100 * x / right:.2f},{100 - 100 * min(max(y, 0.0), most) / most:.2f}"
            for x, y in values
        )

    return Curves(
        points=[
            Point(
                charts.percent(each.predicted / end),
                charts.percent(1 - each.observed / end),
                charts.percent(1 - each.low / end),
                charts.percent(1 - each.high / end),
            )
            for each in calibration
        ],
        calibration=calibration,
        risks=_ticks(end, language),
        model=line((each.threshold, each.net_benefit) for each in decision),
        everybody=line((each.threshold, each.treat_all) for each in decision),
        decision=decision[:: max(len(decision) // _ROWS, 1)],
        thresholds=_ticks(right, language),
        benefits=_ticks(most, language),
    )


def _ticks(end: float, language: Language) -> list[Tick]:
    """Return marks at round numbers, in 100, from 0 up to ``end``: four to nine of them."""
    step = charts.round_top(end / _FEWEST_STEPS)
    while end / step < _FEWEST_STEPS:
        step /= 2
    return [
        Tick(
            charts.percent(place * step / end),
            charts.percent(1 - place * step / end),
            language.number(round(place * step * 100, 6)),
        )
        for place in range(int(end / step + 1e-9) + 1)
    ]


class Whisker(NamedTuple):
    """An estimate on a scale: its place and its interval's, and both in numbers."""

    at: str
    low: str
    high: str
    value: str
    interval: str


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One level of a group; without whiskers where it is too small."""

    level: str
    samples: int
    events: int | None
    auc: Whisker | None
    ratio: Whisker | None


class Plots(NamedTuple):
    """What a model's page draws of its cross-validation."""

    curves: Curves | None
    groups: Sequence[tuple[str, Sequence[GroupRow]]]
    """By the name of the group."""
    chance: str
    """Where an AUC of 0.5 lies."""
    as_expected: str
    """Where a ratio of 1 lies."""


def cross_validated(found: Mapping[str, Any] | None, language: Language) -> Plots | None:
    """Return the plots of ``cross_validated`` in a manifest; None for a model without it."""
    if not found:
        return None
    by_group: dict[str, list[GroupRow]] = {}
    for each in found["groups"]:
        by_group.setdefault(_title(each["group"], language), []).append(_row(each, language))
    return Plots(
        curves(
            [CalibrationPoint(**each) for each in found["calibration"]],
            [CurvePoint(**each) for each in found["decision_curve"]],
            language,
        ),
        list(by_group.items()),
        charts.percent(_place(0.5, _AUC)),
        charts.percent(_place(0.0, _logs(_RATIO))),
    )


def auc_of(found: Mapping[str, Any] | None, level: str) -> Estimate | None:
    """Return the AUC within an age band; None where it is not known."""
    for each in (found or {}).get("groups", ()):
        if (each["group"], each["level"]) == ("age_band", level) and "auc" in each["measures"]:
            return Estimate(**each["measures"]["auc"])
    return None


def _title(group: str, language: Language) -> str:
    return language.say("Age") if group == "age_band" else words.feature(group, language)


def _level(group: str, level: str, language: Language) -> str:
    if group == "gender":
        return words.sex(level, language)
    if group == "smoking_status":
        return words.smoking(level, language)
    low, _, high = level.partition("-")
    if not high:
        return language.say("%(n)s and older", n=level.rstrip("+"))
    return language.say("%(low)s to %(high)s", low=low, high=high)


def _row(found: Mapping[str, Any], language: Language) -> GroupRow:
    measures = {name: Estimate(**each) for name, each in found["measures"].items()}
    auc, ratio = measures.get("auc"), measures.get("oe_ratio")
    return GroupRow(
        _level(found["group"], found["level"], language),
        found["samples"],
        found["events"],
        None if auc is None else _whisker(auc, auc, _AUC, language),
        None if ratio is None else _ratio(ratio, language),
    )


def _ratio(found: Estimate, language: Language) -> Whisker:
    return _whisker(Estimate(*_logs(found)), found, _logs(_RATIO), language)


def _whisker(
    scaled: Estimate, exact: Estimate, scale: Sequence[float], language: Language
) -> Whisker:
    at, low, high = (charts.percent(_place(each, scale)) for each in scaled)
    said = language.say(
        "%(low)s to %(high)s",
        low=language.number(exact.low, 2),
        high=language.number(exact.high, 2),
    )
    return Whisker(at, low, high, language.number(exact.value, 2), said)


def _place(value: float, scale: Sequence[float]) -> float:
    return (value - scale[0]) / (scale[1] - scale[0])


def _logs(values: Iterable[float]) -> list[float]:
    # A ratio of 0 has no logarithm; it lies far below the scale's end.
    return [math.log(max(each, 1e-9)) for each in values]
