"""What `stroke model compare` prints."""

from __future__ import annotations

import json
from typing import Any

import typer

from stroke.domain.model_comparison import ComparisonReport, Difference, GroupComparison
from stroke.domain.performance import ALL, MEASURES, Estimate
from stroke.entrypoints.cli.terminal.output import counted
from stroke.entrypoints.cli.terminal.performance_text import gap_as_dict, gap_lines


def print_comparison(report: ComparisonReport, *, as_json: bool) -> None:
    """Print a report as text, or as one JSON object."""
    typer.echo(json.dumps(as_dict(report)) if as_json else "\n".join(_lines(report)))


def as_dict(report: ComparisonReport) -> dict[str, Any]:
    """Return a report as JSON has it."""
    return {
        "first_version": report.first_version,
        "second_version": report.second_version,
        "passed_over": dict(report.passed_over),
        "detectable_auc_difference": report.detectable,
        "learned_from": list(report.learned_from),
        "groups": [_group(group) for group in report.groups],
        "first_gaps": [gap_as_dict(gap) for gap in report.first_gaps],
        "second_gaps": [gap_as_dict(gap) for gap in report.second_gaps],
    }


def _group(group: GroupComparison) -> dict[str, Any]:
    return {
        "group": group.group,
        "level": group.level,
        "samples": group.samples,
        "events": group.events,
        "first": {name: each._asdict() for name, each in group.first.items()},
        "second": {name: each._asdict() for name, each in group.second.items()},
        "differences": {name: _difference(each) for name, each in group.differences.items()},
        "decision_curve": [
            {
                "threshold": point.threshold,
                "first": point.first,
                "second": point.second,
                "difference": _difference(point.difference),
            }
            for point in group.decision_curve
        ],
    }


def _difference(difference: Difference) -> dict[str, Any]:
    return {**difference.estimate._asdict(), "verdict": difference.verdict.value}


def _lines(report: ComparisonReport) -> list[str]:
    lines = [
        f"first:  {report.first_version}",
        f"second: {report.second_version}",
    ]
    lines += [
        f"WARNING: {version} was trained on these data: what it reaches here is too good"
        for version in report.learned_from
    ]
    for reason, count in report.passed_over.items():
        lines.append(f"  {count:,} passed over: the row {reason}")
    for group in report.groups:
        lines += _of_group(group)
        if group.group == ALL and report.detectable is not None:
            lines.append(
                "  a difference of AUC below "
                f"{report.detectable:.4f} would be missed in more than 1 of 5 such samples"
            )
    for title, gaps in (("first", report.first_gaps), ("second", report.second_gaps)):
        if gaps:
            lines += [f"\nlargest differences between groups, {title} model", *gap_lines(gaps)]
    return lines


def _of_group(group: GroupComparison) -> list[str]:
    name = ALL if group.group == ALL else f"{group.group} {group.level}"
    events = "" if group.events is None else f", {counted(group.events, 'stroke')}"
    lines = [f"\n{name}: {counted(group.samples, 'patient')}{events}"]
    if not group.differences:
        return [*lines, "  too few for measures: the data cannot tell"]
    if group.group == ALL:
        lines += [
            f"  {MEASURES[measure].title:30} {_in_words(group.first[measure])}   "
            f"{_in_words(group.second[measure])}"
            for measure in MEASURES
            if measure in group.first and measure in group.second
        ]
        lines.append("  second less first, on the same patients")
    lines += [
        f"  {MEASURES[measure].title:30} {_in_words(each.estimate, sign='+')}  {each.verdict}"
        for measure, each in group.differences.items()
        if group.group == ALL or measure in {"auc", "brier"}
    ]
    if group.group == ALL:
        lines.append("  net benefit, second less first")
        lines += [
            f"  {f'from a risk of {point.threshold:.1%}':30} "
            f"{_in_words(point.difference.estimate, sign='+')}  {point.difference.verdict}"
            for point in group.decision_curve
        ]
    return lines


def _in_words(estimate: Estimate, sign: str = "") -> str:
    value, low, high = (f"{number:{sign}z.4f}" for number in estimate)
    return f"{value:>8} ({low} to {high})"
