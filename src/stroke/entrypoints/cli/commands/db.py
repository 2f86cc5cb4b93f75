"""`stroke db`: the database's schema, and rows from elsewhere."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stroke.entrypoints.cli.terminal.options import AsJson
from stroke.entrypoints.cli.terminal.output import ends_on_sigterm, progress
from stroke.entrypoints.cli.terminal.rejects import RejectFile

if TYPE_CHECKING:
    from stroke.adapters.sql.table_import import ImportTally
    from stroke.config import DatabaseSettings

app = typer.Typer(no_args_is_help=True, help="The database: its schema, and rows from elsewhere.")

Revision = Annotated[str, typer.Argument(metavar="REVISION", help="A revision, head or base.")]


@app.command()
def upgrade(revision: Revision = "head") -> None:
    """Upgrade the schema; an existing table predictions is adopted with its rows.

    Safe to run at every start, and from several processes at once. Waits until the database
    answers (STROKE_DATABASE_WAIT_SECONDS).

    \b
    stroke db upgrade
    MYSQL_HOST=db MYSQL_USER=stroke MYSQL_PASSWORD=... stroke db upgrade
    """  # noqa: D301 -- \b is click's mark for text that is not to be wrapped
    from stroke.adapters.sql import schema

    database = _database()
    url = database.sqlalchemy_url
    schema.wait_until_reachable(url, database.wait_seconds)
    changed = schema.upgrade(url, target=revision)
    now = schema.revision(url)
    typer.echo(f"the schema is {'now' if changed else 'already'} at {now}")


@app.command()
def downgrade(
    revision: Annotated[
        str, typer.Argument(metavar="REVISION", help="A revision, or base, which drops the tables.")
    ],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the SQL; run nothing.")] = False,
) -> None:
    """Take the schema back to an older revision. Newer tables and columns are lost: back up first.

    \b
    stroke db downgrade 0001 --dry-run
    stroke db downgrade 0001 --yes
    """  # noqa: D301
    from stroke.adapters.sql import schema

    url = _database().sqlalchemy_url
    if dry_run:
        typer.echo(schema.downgrade_sql(url, revision).strip())
        return
    if not yes:
        typer.confirm(
            f"Take the schema back to {revision} and lose what it cannot hold?", abort=True
        )
    changed = schema.downgrade(url, revision)
    now = schema.revision(url) or "base"
    typer.echo(f"the schema is {'now' if changed else 'already'} at {now}")


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Show where the database is and which revision its schema has.

    The exit code is 0 if the schema is the one that this version needs, else 1.

    \b
    stroke db status
    stroke db status --json
    """  # noqa: D301
    from stroke.adapters.sql import schema

    url = _database().sqlalchemy_url
    found, needed = schema.revision(url), schema.head()
    shown = url.render_as_string(hide_password=True)
    if as_json:
        typer.echo(
            json.dumps(
                {"database": shown, "revision": found, "head": needed, "current": found == needed}
            )
        )
    else:
        typer.echo(f"database: {shown}\nrevision: {found or 'none'}\nneeded:   {needed}")
        if found != needed:
            typer.echo("run `stroke db upgrade`", err=True)
    if found != needed:
        raise typer.Exit(1)


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A mysqldump (.sql) or a CSV, also with .gz.")
    ],
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite stored rows that differ.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count; store nothing.")] = False,
    rejects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File for rows that were not stored, with reasons, if there are any.  "
            "[default: FILE.rejects.csv]",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import the rows of an existing table predictions into this database, with their ids.

    You may run it again: it skips rows that are stored already, and reports rows whose values
    differ. A CSV names the columns in its first line; an empty cell and \\N are NULL. From a
    dump, only the INSERTs into predictions are read.

    The exit code is 1 if any row was not stored; the side file says which ones and why.

    \b
    mysqldump --single-transaction stroke_predictions predictions > old.sql
    stroke db import old.sql --dry-run
    stroke db import old.sql
    """  # noqa: D301
    rejects = rejects or file.with_suffix(".rejects.csv")
    tally = _import(file, rejects, replace=replace, dry_run=dry_run)
    refused = tally.differing + tally.rejected
    summary = {**asdict(tally), "rejects": str(rejects) if refused else None, "dry_run": dry_run}
    typer.echo(json.dumps(summary) if as_json else _sentence(summary))
    if refused:
        raise typer.Exit(1)


def _import(file: Path, rejects: Path, *, replace: bool, dry_run: bool) -> ImportTally:
    import asyncio

    from stroke.adapters.row_files.files import opened_rows
    from stroke.adapters.sql.engine import create_engine
    from stroke.adapters.sql.table_import import Reject, TableImport

    database = _database()
    engine = create_engine(
        database.sqlalchemy_url, pool_size=1, connect_timeout=database.connect_timeout_seconds
    )
    with (
        ends_on_sigterm(),
        opened_rows(file) as source,
        RejectFile(rejects, ("line", "row", "id", "reason")) as refused,
        progress() as display,
        asyncio.Runner() as runner,
    ):
        bar = display.add_task("importing", total=source.size)

        def refuse(reject: Reject) -> None:
            refused.add(astuple(reject))

        importing = TableImport(engine, replace=replace, dry_run=dry_run, refuse=refuse)
        try:
            return runner.run(
                importing.run(
                    source.rows, progress=lambda: display.update(bar, completed=source.position())
                )
            )
        finally:
            runner.run(engine.dispose())


def _database() -> DatabaseSettings:
    from stroke.config import Settings

    return Settings.load().database


def _sentence(summary: dict[str, Any]) -> str:
    counts = [f"{summary['inserted']:,} inserted", f"{summary['unchanged']:,} stored already"]
    counts += [
        f"{summary[count]:,} {count}"
        for count in ("replaced", "differing", "rejected")
        if summary[count]
    ]
    said = "would be: " if summary["dry_run"] else ""
    if summary["rejects"]:
        counts[-1] += f" (see {summary['rejects']})"
    if summary["ignored_columns"]:
        counts.append(f"columns without a place: {', '.join(summary['ignored_columns'])}")
    return said + ", ".join(counts)
