"""How right the predictions of models were, as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any, Final

from stroke.adapters.report.cells import Cell, Drawn
from stroke.adapters.report.model_quality_plots import calibration_plot, decision_plot
from stroke.adapters.report.plots import as_svg
from stroke.adapters.report.templating import fill
from stroke.adapters.report.wording import decimal, period
from stroke.domain.agreement import AgreementGroup, AgreementReport
from stroke.domain.performance import (
    GAPS,
    MEASURES,
    CurvePoint,
    Estimate,
    GroupPerformance,
    PerformanceReport,
)

_GROUPS: Final = {
    "all": "Everybody",
    "gender": "Gender",
    "age_group": "Age group",
    "smoking_status": "Smoking status",
    "site": "Site",
    "model_variant": "Model variant",
}
_MEASURE_COLUMNS: Final = (
    Cell("measure"),
    *(Cell(name, is_number=True) for name in ("value", "from", "to")),
)
_REFERENCE_COLUMNS: Final = tuple(Cell(name, is_number=True) for name in ("reference", "dropped"))
_GAP_COLUMNS: Final = (Cell("group"), *_MEASURE_COLUMNS, Cell("levels"))
_AGREED_QUANTILES: Final = ("p1", "p25", "p50", "p75", "p99")
_AGREEMENT_COLUMNS: Final = (
    Cell("group"),
    Cell("predictions", is_number=True),
    Cell("mean difference", is_number=True),
    *(Cell(name, is_number=True) for name in _AGREED_QUANTILES),
    Cell("another category", is_number=True),
    Cell("a higher one", is_number=True),
    Cell("a lower one", is_number=True),
)
_COMPARED: Final = ("auc", "oe_ratio", "calibration_slope", "brier")
_DESCRIBED_THRESHOLDS: Final = 5


def render(reports: Sequence[PerformanceReport], agreements: Sequence[AgreementReport] = ()) -> str:
    """Return the page. It has no script, no font, no address, and shows no patient.

    ``agreements`` say how far shadows agree; they follow the models.
    """
    models = [_model(report, f"m{at}") for at, report in enumerate(reports)]
    shadows = [_agreement(report, f"s{at}") for at, report in enumerate(agreements)]
    return fill("model_quality.html.j2", models=models, shadows=shadows)


def _agreement(report: AgreementReport, mark: str) -> dict[str, Any]:
    left_out = "; ".join(f"{count:,} {reason}" for reason, count in report.not_comparable.items())
    answered = "; ".join(f"{count:,} by {name}" for name, count in report.answered_by.items())
    return {
        "id": mark,
        "version": report.model_version,
        "facts": {
            "Asked about": f"{report.predictions:,} predictions",
            "Answered": answered or "none that can be compared",
            "Not comparable": left_out or "none",
        },
        "columns": _AGREEMENT_COLUMNS,
        "rows": [_agreed(group) for group in report.groups],
    }


def _agreed(group: AgreementGroup) -> list[Cell]:
    name = _GROUPS[group.group]
    head = Cell(name if group.group == "all" else f"{name}: {group.level}", is_header=True)
    cells = [head, Cell(f"{group.compared:,}", is_number=True)]
    if group.mean is None or group.changed is None or group.up is None or group.down is None:
        empty = Cell("too few", is_number=True)
        return [*cells, *[empty] * (len(_AGREEMENT_COLUMNS) - len(cells))]
    value, low, high = (f"{each:+z.4f}" for each in group.mean)
    cells.append(Cell(f"{value} ({low} to {high})", is_number=True))
    cells += [Cell(f"{group.quantiles[each]:+z.4f}", is_number=True) for each in _AGREED_QUANTILES]
    for share in (group.changed, group.up, group.down):
        text = f"{share.value:.2%} ({share.low:.2%} to {share.high:.2%})"
        cells.append(Cell(text, is_number=True))
    return cells


def _model(report: PerformanceReport, mark: str) -> dict[str, Any]:
    return {
        "id": mark,
        "version": report.model_version,
        "facts": _facts(report),
        "is_watched": bool(report.dropped),
        "worse": [MEASURES[name].title for name, dropped in report.dropped.items() if dropped],
        "gaps": _gaps(report, f"{mark}f"),
        "whole": _whole(report, mark),
        "subgroups": _subgroups(report),
    }


def _gaps(report: PerformanceReport, mark: str) -> dict[str, Any] | None:
    if not report.gaps:
        return None
    rows = []
    for gap in report.gaps:
        if gap.measure is not None and gap.estimate is not None:
            texts = [Cell(decimal(number, ""), is_number=True) for number in gap.estimate]
            who = Cell(f"{gap.highest} above {gap.lowest}")
            head = Cell(_GROUPS[gap.group], is_header=True)
            rows.append([head, Cell(GAPS[gap.measure]), *texts, who])
    small = [
        f"{_GROUPS[group]}: {', '.join(levels)}"
        for group, levels in {gap.group: gap.left_out for gap in report.gaps}.items()
        if levels
    ]
    return {"id": mark, "columns": _GAP_COLUMNS, "rows": rows, "small": small}


def _facts(report: PerformanceReport) -> dict[str, str]:
    whole = report.groups[0]
    return {
        "Judged": f"{report.made_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        "Predictions made": _made(report),
        "With an outcome": f"{whole.samples:,}",
        **_others(report),
        "Strokes": "too few to tell" if whole.events is None else f"{whole.events:,}",
        "Passed over": f"{report.passed_over:,} without a usable probability",
    }


def _made(report: PerformanceReport) -> str:
    rows = report.groups[0].samples + report.passed_over
    return "at times that are not known" if report.made is None and rows else period(report.made)


def _others(report: PerformanceReport) -> dict[str, str]:
    if not report.others:
        return {}
    counted = (f"{count:,} of {version}" for version, count in report.others.items())
    return {"Of other models, with an outcome": "; ".join(counted)}


def _whole(report: PerformanceReport, mark: str) -> dict[str, Any]:
    group = report.groups[0]
    events = "" if group.events is None else f", {group.events:,} strokes"
    of_whom = "of everybody"
    return {
        "size": f"{group.samples:,} predictions{events}.",
        "label": f"Measures {of_whom}",
        "columns": (*_MEASURE_COLUMNS, *_REFERENCE_COLUMNS),
        "rows": list(_rows(group, report)),
        "plots": _plots(group, of_whom, mark) if group.measures else [],
    }


def _subgroups(report: PerformanceReport) -> dict[str, Any]:
    """Return one table of all groups but everybody, with an interval drawn for each measure."""
    whole, *groups = report.groups
    names = [name for name in _COMPARED if any(name in group.measures for group in groups)]
    scales = {
        name: _scale([g.measures[name] for g in report.groups if name in g.measures])
        for name in names
    }
    columns = [Cell("group"), Cell("predictions", is_number=True), Cell("strokes", is_number=True)]
    for name in names:
        columns += [Cell(MEASURES[name].title, is_number=True), Cell("95 % interval")]
    return {"columns": columns, "rows": [_compared(group, whole, scales) for group in groups]}


def _compared(
    group: GroupPerformance, whole: GroupPerformance, scales: Mapping[str, tuple[float, float]]
) -> list[Cell]:
    events = "too few" if group.events is None else f"{group.events:,}"
    cells = [
        Cell(f"{_GROUPS[group.group]}: {group.level}", is_header=True),
        Cell(f"{group.samples:,}", is_number=True),
        Cell(events, is_number=True),
    ]
    for name, (start, end) in scales.items():
        if name not in group.measures:
            cells += [Cell("too few", is_number=True), Cell("")]
            continue
        value, low, high = group.measures[name]

        def place(number: float, start: float = start, end: float = end) -> float:
            return round(100 * (number - start) / (end - start), 1)

        of_whole = place(whole.measures[name].value) if name in whole.measures else None
        text = f"{decimal(value, '')} ({decimal(low, '')} to {decimal(high, '')})"
        drawn = Drawn(place(value), place(low), place(high), of_whole)
        cells += [Cell(text, is_number=True), Cell("", drawn=drawn)]
    return cells


def _scale(estimates: Sequence[Estimate]) -> tuple[float, float]:
    """Return the ends of a scale that holds all intervals, with a little room."""
    start = min(each.low for each in estimates)
    end = max(each.high for each in estimates)
    room = 0.05 * (end - start) or 0.5  # of one value alone
    return start - room, end + room


def _rows(group: GroupPerformance, report: PerformanceReport) -> Iterator[list[Cell]]:
    for name, estimate in group.measures.items():
        texts = [decimal(number, "") for number in estimate]
        texts.append(decimal(report.references.get(name), "no reference"))
        texts.append({True: "yes", False: "no", None: "not watched"}[report.dropped.get(name)])
        numbers = [Cell(text, is_number=True) for text in texts]
        yield [Cell(MEASURES[name].title, is_header=True), *numbers]


def _plots(group: GroupPerformance, of_whom: str, mark: str) -> list[dict[str, Any]]:
    calibration, decision = f"Calibration {of_whom}", f"Decision curve {of_whom}"
    return [
        {
            "svg": as_svg(lambda: calibration_plot(group.calibration), f"{mark}c"),
            "id": f"{mark}c",
            "title": calibration,
            "text": "Observed over predicted risk of ten groups of equal size, with intervals; on "
            "the diagonal they agree. "
            + "; ".join(f"{p.predicted:.1%}: {p.observed:.1%}" for p in group.calibration),
            "caption": f"{calibration}.",
        },
        {
            "svg": as_svg(lambda: decision_plot(group.decision_curve), f"{mark}d"),
            "id": f"{mark}d",
            "title": decision,
            "text": "Net benefit of treating by the model, of treating everybody and of treating "
            "nobody, over the risk from which one would treat. With treatment "
            + _described_curve(group.decision_curve),
            "caption": f"{decision}.",
        },
    ]


def _described_curve(points: Sequence[CurvePoint]) -> str:
    """Return a few points of a decision curve in words; no table shows its numbers."""
    step = max(len(points) // _DESCRIBED_THRESHOLDS, 1)
    return "; ".join(
        f"from {p.threshold:.1%}: {p.net_benefit:z.4f} by the model, "
        f"{p.treat_all:z.4f} for everybody"
        for p in points[::step]
    )
