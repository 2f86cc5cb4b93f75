"""What `stroke performance` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import typer

from stroke.domain.performance import GAPS, MEASURES, Gap, GroupPerformance, PerformanceReport
from stroke.entrypoints.cli.terminal.output import counted
from stroke.entrypoints.cli.terminal.said import say

_NO_OUTCOME = "no prediction of this model has an outcome"
_IMPORT = "`stroke outcomes import CSV`, or PUT /api/v1/predictions/{id}/outcome"


def print_reports(reports: Sequence[PerformanceReport], *, as_json: bool) -> None:
    """Print the reports: one JSON object, or a table for each."""
    if as_json:
        typer.echo(json.dumps({"reports": [as_dict(report) for report in reports]}))
        return
    for report in reports:
        typer.echo("\n".join(_lines(report)))


def as_dict(report: PerformanceReport) -> dict[str, Any]:
    """Return a report as JSON has it."""
    return {
        "model_version": report.model_version,
        "made_at": report.made_at.isoformat(),
        "since": _iso(report.within.since),
        "until": _iso(report.within.until),
        "first_made_at": _iso(report.made.first if report.made else None),
        "last_made_at": _iso(report.made.last if report.made else None),
        "other_versions": dict(report.others),
        "passed_over": report.passed_over,
        "references": dict(report.references),
        "dropped": dict(report.dropped),
        "gaps": [gap_as_dict(gap) for gap in report.gaps],
        "groups": [_group(group) for group in report.groups],
    }


def gap_as_dict(gap: Gap) -> dict[str, Any]:
    """Return a gap between the levels of a group as JSON has it."""
    return {
        "group": gap.group,
        "measure": gap.measure,
        "estimate": None if gap.estimate is None else gap.estimate._asdict(),
        "highest": gap.highest,
        "lowest": gap.lowest,
        "left_out": list(gap.left_out),
    }


def gap_lines(gaps: Sequence[Gap]) -> list[str]:
    """Return the gaps in words, with a warning for what is too small to be judged."""
    lines = []
    for gap in gaps:
        if gap.measure is None or gap.estimate is None:
            lines.append(f"  {gap.group:15} too few patients to compare its levels")
            continue
        value, low, high = gap.estimate
        lines.append(
            f"  {gap.group:15} {GAPS[gap.measure]:32} {value:.4f}  ({low:.4f} to {high:.4f})  "
            f"{gap.highest} above {gap.lowest}"
        )
    small = {gap.group: gap.left_out for gap in gaps if gap.left_out}
    lines += [f"  too small, left out: {group} {', '.join(each)}" for group, each in small.items()]
    return lines


def is_unfair(gaps: Sequence[Gap], limit: float | None) -> bool:
    """Return whether ``gaps`` break ``limit``: one is above it for certain, or none is known.

    What judged nothing must not pass, and says so on stderr. None is no limit.
    """
    if limit is None:
        return False
    if all(gap.estimate is None for gap in gaps):
        say(
            "no group has two levels with enough patients: --fairness-limit cannot be judged",
            "error",
        )
        return True
    return any(gap.exceeds(limit) for gap in gaps)


def _group(group: GroupPerformance) -> dict[str, Any]:
    return {
        "group": group.group,
        "level": group.level,
        "samples": group.samples,
        "events": group.events,
        "measures": {name: each._asdict() for name, each in group.measures.items()},
        "calibration": [point._asdict() for point in group.calibration],
        "decision_curve": [point._asdict() for point in group.decision_curve],
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _period(report: PerformanceReport) -> str:
    made = report.made
    if made is None:
        rows = report.groups[0].samples + report.passed_over
        return ": the times of its predictions are not known" if rows else ""
    first, last = (f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" for moment in made)
    return f": predictions made from {first} to {last} UTC"


def _without_outcomes(report: PerformanceReport) -> str:
    if not report.others:
        return f"{_NO_OUTCOME}: {_IMPORT}"
    others = ", ".join(f"{count:,} of {version}" for version, count in report.others.items())
    return f"{_NO_OUTCOME}; others have: {others} (--model-version, --all-versions)"


def _lines(report: PerformanceReport) -> list[str]:
    lines = [f"model {report.model_version}{_period(report)}"]
    for group in report.groups:
        name = "all" if group.group == group.level else f"{group.group} {group.level}"
        events = "" if group.events is None else f", {counted(group.events, 'stroke')}"
        lines.append(f"\n{name}: {counted(group.samples, 'prediction')} with an outcome{events}")
        if not group.samples:
            lines.append(f"  {_without_outcomes(report)}")
        elif not group.measures:
            lines.append("  too few for measures")
        for measure, (value, low, high) in group.measures.items():
            line = f"  {MEASURES[measure].title:30} {value:z9.4f}  ({low:z.4f} to {high:z.4f})"
            if group.group == "all" and measure in report.references:
                line += f"  reference {report.references[measure]:z.4f}"
            if group.group == "all" and report.dropped.get(measure):
                line += "  DROPPED"
            lines.append(line)
    if report.gaps:
        lines += ["\nlargest differences between groups", *gap_lines(report.gaps)]
    if report.passed_over:
        lines.append(f"\n{report.passed_over:,} without a usable probability were passed over")
    return lines
