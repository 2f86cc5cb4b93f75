"""`stroke drift`: compares stored predictions with the model's training data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from stroke.domain.prediction import PredictionFilter
from stroke.entrypoints.cli.terminal.options import (
    AsJson,
    Html,
    Since,
    Site,
    Until,
    check_stdout,
    made_between,
)
from stroke.entrypoints.cli.terminal.output import counted, opened, progress
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm

if TYPE_CHECKING:
    from stroke.application.quality.drift import DriftReport

app = typer.Typer(no_args_is_help=True, help="Predictions against the model's training data.")


@app.callback()
def _group() -> None:
    """Keep `report` a command of its own."""


@app.command()
def report(
    *,
    since: Since = None,
    until: Until = None,
    site: Site = None,
    threshold: Annotated[
        float, typer.Option(min=0, help="A higher index counts as drift: 0.1 is minor, 0.25 major.")
    ] = 0.25,
    minimum: Annotated[
        int, typer.Option(min=1, help="With fewer predictions, no verdict is given.")
    ] = 1000,
    as_json: AsJson = False,
    html: Html = None,
) -> None:
    """Compare stored predictions of the served model with its training data.

    Prints the population stability index of each measurement and of the score, from the
    histograms in the model's manifest. The exit code is 1 if one is above --threshold.

    \b
    stroke drift report --since 2026-11-01
    stroke drift report --json | jq '.features[] | select(.drifted) | .feature'
    stroke drift report --html drift.html
    """  # noqa: D301 -- \b is click's mark for text that is not to be wrapped
    check_stdout(html, as_json=as_json)
    within = made_between(since, until, site)
    with ends_on_sigterm():
        found = _report(within)
        if html is not None:
            from stroke.container.pages import drift_page

            with opened(html) as stream:
                stream.write(drift_page(found, threshold=threshold, minimum=minimum).encode())
        if as_json or html is None:
            _print(found, threshold=threshold, minimum=minimum, as_json=as_json)
        if any(each.is_beyond(threshold, minimum) for each in found.drifts):
            raise typer.Exit(1)


def _report(within: PredictionFilter) -> DriftReport:
    import asyncio

    from stroke.config import Settings
    from stroke.container.quality import drift_service
    from stroke.container.service import Container

    parts = Container(settings=Settings.load())

    async def once() -> DriftReport:
        try:
            await parts.repository().check()
            await parts.follower().look()  # the champion, if a model was promoted
            with progress() as display:
                bar = display.add_task("reading", total=None)
                return await drift_service(parts).report(
                    within, on_progress=lambda read: display.update(bar, completed=read)
                )
        finally:
            await parts.engine().dispose()

    return asyncio.run(once())


def _print(found: DriftReport, *, threshold: float, minimum: int, as_json: bool) -> None:
    if as_json:
        features = [
            {
                "feature": each.feature,
                "psi": each.psi,
                "samples": each.samples,
                "unknown": each.observed.unknown,
                "drifted": each.is_beyond(threshold, minimum),
                "bins": each.histogram.names,
                "expected": each.histogram.expected,
                "actual": each.shares,
            }
            for each in found.drifts
        ]
        summary = {
            "model_version": found.model_version,
            "predictions": found.predictions,
            "first_made_at": found.made.first.isoformat() if found.made else None,
            "last_made_at": found.made.last.isoformat() if found.made else None,
        }
        typer.echo(json.dumps(summary | {"features": features}))
        return
    typer.echo(f"model {found.model_version}: {counted(found.predictions, 'prediction')}")
    for each in found.drifts:
        psi = "     -" if each.psi is None else f"{each.psi:z6.4f}"
        line = f"  {each.feature:20} PSI {psi}  of {each.samples:,}"
        if each.observed.unknown:
            line += f", {each.observed.unknown:,} unknown"
        if each.is_beyond(threshold, minimum):
            line += "  DRIFTED"
        elif each.samples < minimum:
            line += f"  too few to say (fewer than {minimum:,})"
        typer.echo(line)
