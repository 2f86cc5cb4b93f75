"""`stroke db copy`: all rows of another database, proved at the end."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict
from typing import Annotated

import typer

from stroke.entrypoints.cli.terminal.options import AsJson
from stroke.entrypoints.cli.terminal.output import progress
from stroke.entrypoints.cli.terminal.said import say
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm

# Why rows of a table stay behind.
_LEFT = {
    "audit": "the target has an audit trail of its own: keep the source's by `stroke audit export`",
    "browser_sessions": "people sign in again",
    "platform_reports": "the commands of the pipeline look again",
    "worker_turns": "the workers of the target begin anew",
}


def copy(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="The database to copy from: an SQLite file, or a URL. Other users of the machine "
            "see the password of a URL on the command line: set STROKE_DATABASE_COPY_SOURCE "
            "instead, or STROKE_DATABASE_COPY_SOURCE_FILE to a file that holds the URL.",
            show_default=False,
        ),
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count; store nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy all rows of another database into this one, and prove that both hold the same.

    Predictions, outcomes, scores of shadows, assessments of charts with their feedback, erasure
    jobs, keys and the audit trail keep their ids, times and documents. Stop the service first. You
    may run it again: it copies what is missing, and changes nothing else.

    At the end it compares counts and digests of both databases, range by range. The exit code is 1
    if they are not equal.

    \b
    stroke db upgrade
    stroke db copy stroke.db --dry-run
    stroke db copy stroke.db
    STROKE_DATABASE_COPY_SOURCE_FILE=source.url stroke db copy
    """  # noqa: D301
    from stroke.config import Settings
    from stroke.container.audit import audited
    from stroke.container.database import copy_database
    from stroke.domain.audit import AuditAction
    from stroke.domain.errors import InvalidSetting

    database = Settings.load().database
    if source is None and database.copy_source is not None:
        source = database.copy_source.get_secret_value()
    if source is None:
        raise InvalidSetting(
            "name the database to copy from: SOURCE, or STROKE_DATABASE_COPY_SOURCE for a URL with "
            "a password"
        )
    kept = nullcontext() if dry_run else audited(database, AuditAction.DATA_IMPORT, "database copy")
    with kept, ends_on_sigterm(), progress() as display:
        bar = display.add_task("copying", total=None)
        tally = copy_database(
            source,
            database,
            dry_run=dry_run,
            progress=lambda rows: display.advance(bar, rows),
        )
    unequal = [each for each in tally.ranges if not each.equal]
    if as_json:
        typer.echo(json.dumps({**asdict(tally), "equal": tally.equal, "dry_run": dry_run}))
    else:
        said = "would be copied" if dry_run else "copied"
        for table, count in tally.copied.items():
            counts = f"{count:,} {said}, {tally.unchanged[table]:,} there already"
            for kind, rows in (("differing", tally.differing), ("rejected", tally.rejected)):
                counts += f", {rows[table]:,} {kind}" if rows[table] else ""
            typer.echo(f"{table}: {counts}")
        for table, count in tally.left.items():
            if count:
                say(f"{table}: {count:,} not copied, because {_LEFT[table]}")
        for each in unequal[:20]:
            say(
                f"not equal: {each.table} from {each.first} on: "
                f"{each.source_rows:,} rows here, {each.target_rows:,} in the target",
            )
        typer.echo(f"{len(tally.ranges) - len(unequal)} of {len(tally.ranges)} ranges are equal")
    if not tally.equal:
        raise typer.Exit(1)
