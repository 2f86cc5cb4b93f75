"""What `stroke model agreement` prints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import typer

from stroke.domain.agreement import AgreementGroup, AgreementReport
from stroke.domain.performance import Estimate
from stroke.domain.replay import CATEGORIES
from stroke.entrypoints.cli.terminal.output import counted

_REASONS = {"lacking": "lack what the shadow needs", "failed": "made the shadow fail"}


def print_agreements(reports: Sequence[AgreementReport], *, as_json: bool) -> None:
    """Print the reports: one JSON object, or some lines for each."""
    if as_json:
        typer.echo(json.dumps({"items": [report.as_dict() for report in reports]}))
        return
    if not reports:
        typer.echo("no shadow has scored a stored prediction: `stroke model shadow NAME`")
    for report in reports:
        typer.echo("\n".join(_lines(report)))


def _lines(report: AgreementReport) -> Iterator[str]:
    yield f"shadow {report.model_version}: asked about {counted(report.predictions, 'prediction')}"
    for version, count in report.answered_by.items():
        yield f"  {count:,} compared with what {version} answered"
    for reason, count in report.not_comparable.items():
        yield f"  {count:,} not comparable: {_REASONS.get(reason, reason)}"
    for group in report.groups:
        yield from _group(group)


def _group(group: AgreementGroup) -> Iterator[str]:
    name = "everybody" if group.group == "all" else f"{group.group} {group.level}"
    if group.mean is None or group.changed is None or group.up is None or group.down is None:
        few = "nobody compared" if not group.compared else f"{group.compared:,}, too few"
        yield f"{name}: {few}"
        return
    yield f"{name}: {counted(group.compared, 'prediction')}"
    mean = ", ".join(f"{each:+z.4f}" for each in group.mean[1:])
    yield f"  difference of the probability: mean {group.mean.value:+z.4f} ({mean})"
    yield "  " + ", ".join(f"{name} {each:+z.4f}" for name, each in group.quantiles.items())
    yield f"  standard deviation {group.standard_deviation:.4f}, largest {group.largest:.4f}"
    yield f"  in another category: {_share(group.changed)}"
    yield f"  in a higher one: {_share(group.up)}; in a lower one: {_share(group.down)}"
    if group.group == "all":
        yield "  answered (rows) by shadow: " + ", ".join(each.value for each in CATEGORIES)
        for category, row in zip(CATEGORIES, group.table, strict=True):
            yield f"  {category.value:>8} " + " ".join(f"{count:>9,}" for count in row)


def _share(found: Estimate) -> str:
    return f"{found.value:.2%} ({found.low:.2%} to {found.high:.2%})"
