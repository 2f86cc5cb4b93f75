"""`stroke`: one command group per module. Heavy imports stay inside the commands."""

from __future__ import annotations

import logging
import sys

import typer

from stroke import __version__
from stroke.domain.errors import StrokeError
from stroke.entrypoints.cli.commands import (
    analytics,
    audit,
    clinical,
    connectors,
    db,
    doctor,
    drift,
    erase,
    keys,
    lake,
    model,
    outcomes,
    performance,
    pipeline,
    predict,
    score,
    serve,
    simulate,
)
from stroke.entrypoints.cli.terminal.said import Lines, say

app = typer.Typer(
    name="stroke",
    help="Stroke-risk prediction: calibrated, explained, durable.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,  # a traceback with locals would show patients
)
app.command()(serve.serve)
app.command()(predict.predict)
app.command()(score.score)
app.command()(simulate.simulate)
app.command()(doctor.doctor)
app.command()(performance.performance)
app.add_typer(model.app, name="model")
app.add_typer(db.app, name="db")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(erase.app, name="erase")
app.add_typer(clinical.app, name="clinical")
app.add_typer(outcomes.app, name="outcomes")
app.add_typer(drift.app, name="drift")
app.add_typer(connectors.app, name="connectors")
app.add_typer(pipeline.app, name="pipeline")
app.add_typer(lake.app, name="lake")
app.add_typer(analytics.app, name="analytics")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"stroke {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line; an expected error is one line on stderr and exit code 1."""
    logging.lastResort = Lines(logging.WARNING)  # where nothing else is configured
    try:
        app()
    except StrokeError as error:
        say(str(error), "error")
        sys.exit(1)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in {"", "stroke"}:
            raise
        from stroke.entrypoints.cli.terminal.extras import what_to_install

        say(what_to_install(package, *sys.argv[1:2]), "error")
        sys.exit(1)


if __name__ == "__main__":
    main()
