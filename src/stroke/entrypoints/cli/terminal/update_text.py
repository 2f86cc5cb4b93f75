"""How the update of a model is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from stroke.domain.model_update import RecalibrationLine, Update
    from stroke.domain.performance import Estimate


def summary_of(parent: str, update: Update, passed_over: Mapping[str, int]) -> dict[str, Any]:
    """Return what a script reads of an update; ``written`` and ``manifest`` come from elsewhere."""
    is_line = update.method.value not in {"none", "refit"}
    return {
        "parent": parent,
        "method": update.method.value,
        "needed": update.is_needed,
        "line": _line(update.line) if is_line else None,
        "tests": [asdict(test) for test in update.tests],
        "left_out": list(update.left_out),
        "patients": update.patients,
        "strokes": update.strokes,
        "shrinkage": None if update.shrinkage is None else asdict(update.shrinkage),
        "passed_over": dict(passed_over),
    }


def print_update(
    parent: str,
    update: Update,
    passed_over: Mapping[str, int],
    manifest: Mapping[str, Any] | None,
) -> None:
    """Print what was chosen and why, and the figures before and after."""
    from rich.table import Table

    from stroke.entrypoints.cli.terminal.output import print_table

    typer.echo(
        f"{parent}: {update.patients:,} patients with an outcome, {update.strokes:,} strokes"
    )
    for reason, count in passed_over.items():
        typer.echo(f"passed over: {count:,} rows, each {reason}")
    table = Table("held against", "statistic", "degrees of freedom", "p")
    for test in update.tests:
        table.add_row(
            test.against.value, f"{test.statistic:.2f}", f"{test.degrees}", f"{test.p_value:.4f}"
        )
    print_table(table)
    for reason in update.left_out:
        typer.echo(reason)
    if (drawn := update.shrinkage) is not None:
        typer.echo(
            f"the site has {drawn.patients:,} patients: {drawn.strokes:,} strokes, where "
            f"{drawn.expected:.1f} were expected by all ({drawn.method.value}). Its own patients "
            f"count by {drawn.weight:.0%}, by what {drawn.sites} sites say of differences: it lies "
            f"{drawn.difference:+.3f} from all (log-odds)"
        )
    if manifest is None:
        typer.echo("no update needed: nothing was written")
        return
    typer.echo(f"chosen: {update.method.value}")
    if update.method.value != "refit":
        line = update.line
        typer.echo(f"intercept {_shown(line.intercept_interval)}")
        known = line.covariance[1][1] > 0
        typer.echo(f"slope     {_shown(line.slope_interval) if known else '1 (not estimated)'}")
    updated = manifest["updated"]
    typer.echo(f"interval of one patient: {updated['interval']}")
    _print_figures(manifest.get("metrics") or {}, updated["before"])


def _print_figures(after: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    from rich.table import Table

    from stroke.entrypoints.cli.terminal.output import print_table

    if not after:
        typer.echo("no cross-validated figures: the site has too few patients of either outcome")
        return
    table = Table("metric", "before", "after, cross-validated")
    for name, each in after.items():
        table.add_row(name, _figures(before.get(name)), _figures(each))
    print_table(table)


def _figures(estimate: Mapping[str, float] | None) -> str:
    if estimate is None:
        return ""
    return f"{estimate['value']:.4f} ({estimate['low']:.4f} to {estimate['high']:.4f})"


def _line(line: RecalibrationLine) -> dict[str, Any]:
    return {
        "intercept": line.intercept_interval._asdict(),
        "slope": line.slope_interval._asdict(),
        "covariance": line.covariance,
    }


def _shown(estimate: Estimate) -> str:
    return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"
