"""How right models were, as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final

from stroke.adapters.report.page import STYLE
from stroke.adapters.report.performance_plots import calibration_plot, decision_plot
from stroke.adapters.report.plots import as_svg, labelled
from stroke.domain.performance import MEASURES, GroupPerformance, PerformanceReport

_GROUPS: Final = {"all": "Everybody", "gender": "Gender", "age_group": "Age group"}
_METHODS: Final = (
    "Intervals hold 95 %: DeLong's for the AUC, Wilson's for shares, Wald's for slope, intercept "
    "and observed / expected, normal ones for the Brier score and net benefit, a bootstrap for "
    "the calibration error. A model is calibrated when slope and observed / expected are 1 and the "
    "intercept is 0."
)


def render(reports: Sequence[PerformanceReport]) -> str:
    """Return the page. It has no script, no font, no address, and no patient."""
    sections = "".join(_report(report, f"m{at}") for at, report in enumerate(reports))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<title>Stroke-risk predictions: how right they were</title>"
        f"<style>{STYLE}</style></head>\n<body><header>"
        "<h1>How right the predictions were</h1>"
        "<p>Predictions whose outcome is known, held against it. Of groups that are too small "
        f"only the size is told. {escape(_METHODS)}</p></header>\n"
        f"<main>{sections}</main></body></html>\n"
    )


def _report(report: PerformanceReport, mark: str) -> str:
    whole = report.groups[0]
    facts = {
        "Judged": f"{report.made_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        "Predictions made": f"{_day(report.within.since, 'from the first')} to "
        f"{_day(report.within.until, 'the last')}",
        "With an outcome": f"{whole.samples:,}",
        "Strokes": "too few to tell" if whole.events is None else f"{whole.events:,}",
        "Passed over": f"{report.passed_over:,} without a usable probability",
    }
    listed = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    groups = "".join(
        _group(group, report, f"{mark}g{at}") for at, group in enumerate(report.groups)
    )
    return (
        f'<section aria-labelledby="{mark}"><h2 id="{mark}">Model {escape(report.model_version)}'
        f"</h2><dl>{listed}</dl>{_verdict(report)}{groups}</section>\n"
    )


def _verdict(report: PerformanceReport) -> str:
    if not report.dropped:
        return "<p>There are too few outcomes to say whether a measure has dropped.</p>"
    worse = [MEASURES[name].title for name, dropped in report.dropped.items() if dropped]
    if not worse:
        return "<p>No watched measure is worse than its reference.</p>"
    return f"<p><strong>Worse than the reference: {escape(', '.join(worse))}.</strong></p>"


def _group(group: GroupPerformance, report: PerformanceReport, mark: str) -> str:
    title = _GROUPS[group.group] + ("" if group.group == group.level else f": {group.level}")
    head = f'<h3 id="{mark}">{escape(title)}</h3>'
    events = "" if group.events is None else f", {group.events:,} strokes"
    size = f"<p>{group.samples:,} predictions{events}.</p>"
    if not group.measures:
        return f"{head}{size}<p>Too few for measures.</p>"
    said = "of everybody" if group.group == group.level else f"of {title}"
    return (
        head
        + size
        + _table(group, report, said)
        + labelled(
            as_svg(lambda: calibration_plot(group.calibration), f"{mark}c"),
            f"{mark}ct",
            f"Calibration {said}",
            "Observed over predicted risk of ten groups of equal size, with intervals; on the "
            "diagonal they agree. "
            + "; ".join(f"{p.predicted:.1%}: {p.observed:.1%}" for p in group.calibration),
        )
        + labelled(
            as_svg(lambda: decision_plot(group.decision_curve), f"{mark}d"),
            f"{mark}dt",
            f"Decision curve {said}",
            "Net benefit of treating by the model, of treating everybody and of treating nobody, "
            "over the risk from which one would treat.",
        )
    )


def _table(group: GroupPerformance, report: PerformanceReport, said: str) -> str:
    whole = group.group == group.level
    columns = ["measure", "value", "from", "to", *(["reference", "dropped"] if whole else [])]
    head = "".join(
        f'<th scope="col"{"" if name == "measure" else " class=number"}>{name}</th>'
        for name in columns
    )
    rows = []
    for name, estimate in group.measures.items():
        cells = [f"{number:.4f}" for number in estimate]
        if whole:
            reference = report.references.get(name)
            cells.append("none" if reference is None else f"{reference:.4f}")
            cells.append({True: "yes", False: "no", None: "not watched"}[report.dropped.get(name)])
        numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
        rows.append(f'<tr><th scope="row">{escape(MEASURES[name].title)}</th>{numbers}</tr>')
    label = escape(f"Measures {said}")
    return (
        f'<div class="table" role="region" tabindex="0" aria-label="{label}"><table>'
        f"<caption>{label}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _day(moment: datetime | None, otherwise: str) -> str:
    return otherwise if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
