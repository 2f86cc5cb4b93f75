"""`stroke outcomes`: records whether patients had a stroke."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stroke.entrypoints.cli.terminal.options import AsJson, rejects_option
from stroke.entrypoints.cli.terminal.output import print_notes, progress
from stroke.entrypoints.cli.terminal.rejects import RejectFile
from stroke.entrypoints.cli.terminal.scoring_options import refuse_same_file
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm

if TYPE_CHECKING:
    from stroke.application.predictions.outcome_import import OutcomeTally

app = typer.Typer(no_args_is_help=True, help="What became of the patients.")


@app.callback()
def _group() -> None:
    """Keep `import` a command of its own, though it is the only one."""


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="CSV", help="A CSV file with a header, also with .gz.")
    ],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and count; store nothing.")] = (
        False
    ),
    rejects: Annotated[
        Path | None, rejects_option("line and reason of each", "CSV.rejects.csv")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import outcomes: whether the patient had a stroke, when, and the source.

    The CSV needs the columns prediction_id, stroke (1 or 0, yes or no), date (YYYY-MM-DD: day of
    the stroke, or the last day known to be free of one) and source (where this is known from,
    never a name); other columns are ignored. You may run it again: an outcome that is stored
    already changes nothing. A different outcome, or a later row of the file, replaces it.

    Bad rows are left out, and a side file lists their lines and reasons; the exit code is then
    1.

    \b
    stroke outcomes import register.csv --dry-run
    stroke outcomes import register.csv --json
    """  # noqa: D301 -- \b is click's mark for text that is not to be wrapped
    rejects = rejects or file.with_suffix(".rejects.csv")
    refuse_same_file("the input and --rejects must be different files", file, rejects)
    tally = _import(file, rejects, dry_run=dry_run)
    summary = {
        **asdict(tally),
        "rejects": str(rejects) if tally.rejected else None,
        "dry_run": dry_run,
    }
    typer.echo(json.dumps(summary) if as_json else _sentence(summary))
    if tally.rejected:
        raise typer.Exit(1)


def _import(file: Path, rejects: Path, *, dry_run: bool) -> OutcomeTally:
    import asyncio

    from stroke.config import Settings
    from stroke.container.audit import audited
    from stroke.container.imports import outcome_import, outcome_rows
    from stroke.container.service import Container
    from stroke.domain.audit import AuditAction

    settings = Settings.load()
    container = Container(settings=settings)
    with (
        nullcontext()
        if dry_run
        else audited(settings.database, AuditAction.DATA_IMPORT, "outcomes"),
        ends_on_sigterm(),
        outcome_rows(file) as source,
        RejectFile(rejects, ("line", "reason")) as refused,
        progress() as display,
        asyncio.Runner() as runner,
    ):
        print_notes(source.notes)
        bar = display.add_task("importing", total=source.size)
        importing = outcome_import(
            container,
            dry_run=dry_run,
            refuse=lambda line, reason: refused.add((line, reason)),
        )
        try:
            runner.run(container.repository().check())
            return runner.run(
                importing.run(
                    source.rows, progress=lambda: display.update(bar, completed=source.position())
                )
            )
        finally:
            runner.run(container.engine().dispose())


def _sentence(summary: dict[str, Any]) -> str:
    counts = [f"{summary[what]:,} {what}" for what in ("new", "changed", "unchanged", "rejected")]
    if summary["rejects"]:
        counts[-1] += f" (see {summary['rejects']})"
    would_be = "would be: " if summary["dry_run"] else ""
    return f"{summary['rows']:,} rows: {would_be}{', '.join(counts)}"
