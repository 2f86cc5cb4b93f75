"""`stroke doctor`: a running stack, examined end to end."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from stroke.application.doctor.findings import Finding, State, is_well
from stroke.entrypoints.cli.terminal.options import AsJson
from stroke.entrypoints.cli.terminal.output import progress
from stroke.entrypoints.cli.terminal.reports import ReportKeeper
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm

if TYPE_CHECKING:
    from rich.table import Table

    from stroke.config import PipelineSettings

_SHORTEST: Final = 60.0
# One for the commit that is under way, one for the next, one for luck.
_COMMITS: Final = 3
_UNFOLDED: Final = 1000
_STYLES: Final = {
    State.FAILED: "bold red",
    State.NOT_CHECKED: "yellow",
    State.NOT_CONFIGURED: "dim",
}


def doctor(
    *,
    as_json: AsJson = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=3600,
            help="Seconds within which the canary must reach a copy.",
            show_default="60, or three commits of the lake",
        ),
    ] = None,
) -> None:
    """Check a running platform: every part, the connectors, the metrics, and one test prediction.

    The test prediction (the canary) is of an invented patient whose country is `stroke doctor`.
    The doctor follows it by its id to MySQL and into both copies, erases it, and checks that it
    is gone. A check that fails stops no other. A part that is not configured is not a failure.

    The exit code is 0 if nothing failed, and 1 otherwise.

    \b
    stroke doctor
    stroke doctor --json | jq -r '.findings[] | select(.state == "failed").check'
    """  # noqa: D301
    import asyncio

    from stroke.config import PipelineSettings

    settings = PipelineSettings.load()
    waits = timeout or max(_SHORTEST, float(_COMMITS * settings.lake.commit_seconds))
    with ends_on_sigterm():
        findings = asyncio.run(_examine(settings, waits))
    if as_json:
        shown = {"well": is_well(findings), "findings": [asdict(one) for one in findings]}
        typer.echo(json.dumps(shown))
    else:
        _print(findings)
    if not is_well(findings):
        raise typer.Exit(1)


async def _examine(settings: PipelineSettings, waits: float) -> list[Finding]:
    from datetime import UTC, datetime

    from stroke.container.doctor import doctor_of
    from stroke.container.platform import doctor_report

    with progress() as display:
        bar = display.add_task("examining", total=None)

        def tell(finding: Finding) -> None:
            display.update(bar, description=f"{finding.check}: {finding.state}")

        async with doctor_of(settings, waits=waits) as examining:
            findings = await examining.examine(tell)
    report = doctor_report(findings, datetime.now(UTC))
    await ReportKeeper().keep(settings.database, report)
    return findings


def _print(findings: Sequence[Finding]) -> None:
    from rich.console import Console

    # A pipe or a log has no width to fold at, and a folded line cannot be searched for.
    width = None if sys.stdout.isatty() else _UNFOLDED
    console = Console(markup=False, emoji=False, highlight=False, width=width)
    console.print(_table(findings))
    counts = {state: sum(one.state is state for one in findings) for state in State}
    console.print(", ".join(f"{count} {state}" for state, count in counts.items() if count))


def _table(findings: Sequence[Finding]) -> Table:
    from rich.table import Table

    table = Table("check", "state", "what was seen", "what to do")
    for one in findings:
        table.add_row(one.check, one.state, one.detail, one.remedy, style=_STYLES.get(one.state))
    return table
