"""`stroke db`: the database's schema, and rows from elsewhere."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict, astuple
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stroke.application.predictions.file_rows import DumpKind
from stroke.entrypoints.cli.commands.db_copy import copy
from stroke.entrypoints.cli.terminal.options import AsJson, Yes, rejects_option
from stroke.entrypoints.cli.terminal.output import counted, print_notes, progress
from stroke.entrypoints.cli.terminal.rejects import RejectFile
from stroke.entrypoints.cli.terminal.said import say
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm

if TYPE_CHECKING:
    from stroke.application.predictions.file_rows import ImportTally, RejectedRow
    from stroke.config import DatabaseSettings
    from stroke.domain.audit import AuditHead

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
    from stroke.container.database import (
        migrating,
        schema_revision,
        upgrade_schema,
        wait_for_database,
    )

    database = migrating(_database())
    wait_for_database(database)
    changed = upgrade_schema(database, revision)
    now = schema_revision(database)
    typer.echo(f"the schema is {'now' if changed else 'already'} at {now}")


@app.command()
def downgrade(
    revision: Annotated[
        str, typer.Argument(metavar="REVISION", help="A revision, or base, which drops the tables.")
    ],
    *,
    yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the SQL; run nothing.")] = False,
    drop_trail: Annotated[
        bool, typer.Option("--drop-trail", help="Also drop an audit trail that has entries.")
    ] = False,
) -> None:
    """Take the schema back to an older revision. Newer tables and columns are lost: back up first.

    An entry of the audit trail says so. Revisions before 0008 have no audit trail: one with entries
    is dropped only with --drop-trail, which prints the end of its chain. Keep its entries first.

    \b
    stroke db downgrade 0017 --dry-run
    stroke db downgrade 0017 --yes
    stroke audit export -o trail.jsonl && stroke db downgrade 0001 --drop-trail
    """  # noqa: D301
    from stroke.container.database import downgrade_sql, schema_revision
    from stroke.container.downgrades import downgrade_schema, drops_entries

    database = _database()
    if dry_run:
        typer.echo(downgrade_sql(database, revision).strip())
        if drops_entries(database, revision):
            say("this drops the audit trail, which needs --drop-trail", "warning")
        return
    if not yes:
        typer.confirm(
            f"Take the schema back to {revision} and lose what it cannot hold?", abort=True
        )
    changed = downgrade_schema(
        database, revision, drop_trail=drop_trail, on_drop=_say_what_is_dropped
    )
    now = schema_revision(database) or "base"
    typer.echo(f"the schema is {'now' if changed else 'already'} at {now}")


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Show where the database is and which revision its schema has.

    The exit code is 0 if the schema is the one that this version needs, else 1.

    \b
    stroke db status
    stroke db status --json
    """  # noqa: D301
    from stroke.container.database import needed_revision, schema_revision
    from stroke.domain.errors import SchemaOutdated, wrong_schema

    database = _database()
    found, needed = schema_revision(database), needed_revision()
    shown = database.sqlalchemy_url.render_as_string(hide_password=True)
    if as_json:
        typer.echo(
            json.dumps(
                {"database": shown, "revision": found, "head": needed, "current": found == needed}
            )
        )
    else:
        typer.echo(f"database: {shown}\nrevision: {found or 'none'}\nneeded:   {needed}")
        if found != needed:
            wrong = wrong_schema(found, needed)
            mends = type(wrong) is SchemaOutdated
            say("run `stroke db upgrade`" if mends else str(wrong))
    if found != needed:
        raise typer.Exit(1)


class _Account(StrEnum):
    SERVICE = "service"
    MIGRATIONS = "migrations"
    DEBEZIUM = "debezium"


@app.command()
def grants(
    account: Annotated[_Account, typer.Argument(help="Whose rights.")],
    *,
    user: Annotated[str, typer.Option("--user", metavar="NAME", help="The account's name.")],
    host: Annotated[
        str, typer.Option("--host", metavar="HOST", help="From where it connects.")
    ] = "%",
) -> None:
    """Print what an account of MySQL needs, as GRANT statements, and no more.

    The service's account can then add entries to the audit trail, and neither change nor remove
    them, nor change the schema. Run the statements as root, after `stroke db upgrade`: those of the
    service name its tables. STROKE_DATABASE_MIGRATION_URL names the account that upgrades.

    \b
    stroke db grants service --user stroke | deploy/stack.sh mysql
    """  # noqa: D301
    from stroke.container.database import account_grants

    for statement in account_grants(_database(), account.value, user, host=host):
        typer.echo(f"{statement};")


app.command()(copy)


@app.command()
def purge(
    *,
    older_than: Annotated[
        str,
        typer.Option(metavar="TIME", help="Such as 90d or 7y; years are those of the calendar."),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many there are; erase nothing.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Erase the predictions that were made longer ago than that, from every place.

    They leave the same places as with `stroke erase`: the database, the SQL copy, the lake with its
    history, dead letters, and what analyses keep. STROKE_ERASURE_PURGE_ROWS of them go at once.
    Rows without a time stay. Each id is an entry of the audit trail.

    You may interrupt it, and run it again: it goes on with what was begun, and so does any worker
    (`stroke erase work`). If a copy is behind or away, the exit code is 1: run it again later.

    \b
    stroke db purge --older-than 7y --dry-run
    stroke db purge --older-than 7y --yes --json
    """  # noqa: D301
    import asyncio
    from datetime import UTC, datetime

    from stroke.application.erasure.purge import Purged
    from stroke.config import PipelineSettings
    from stroke.container.erasure import purge_of
    from stroke.entrypoints.cli.terminal.durations import before

    settings, moment = PipelineSettings.load(), before(datetime.now(UTC), older_than)

    async def counted_rows() -> int:
        async with purge_of(settings) as purging:
            return await purging.count(moment)

    total = asyncio.run(counted_rows())
    if dry_run:
        if as_json:
            typer.echo(json.dumps({"before": moment.isoformat(), "predictions": total}))
        else:
            typer.echo(f"{counted(total, 'prediction')} made before {moment:%Y-%m-%d %H:%M} UTC")
        return
    if not yes:
        said = f"Erase {counted(total, 'prediction')} from every place, for good?"
        typer.confirm(said, abort=True, err=True)
    with ends_on_sigterm(), progress() as display:
        bar = display.add_task("erasing", total=total)

        async def purged() -> Purged:
            async with purge_of(settings) as purging:
                return await purging.run(
                    moment, on_progress=lambda done: display.update(bar, completed=done)
                )

        done = asyncio.run(purged())
    kept = [{"what": k.what, "until": k.until and k.until.isoformat()} for k in done.retained]
    if as_json:
        summary = {"before": moment.isoformat(), "predictions": done.predictions}
        typer.echo(json.dumps({**summary, "removed": done.removed, "kept": kept}))
        return
    typer.echo(f"{counted(done.predictions, 'prediction')} erased")
    for place, count in done.removed.items():
        typer.echo(f"  {place}: {counted(count, 'item')} removed")


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A dump (.sql), a CSV, also packed (.gz), or a Parquet file."
        ),
    ],
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite stored rows that differ.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count; store nothing.")] = False,
    dump_of: Annotated[
        DumpKind | None,
        typer.Option(help="The database that wrote the dump, if the dump does not say it."),
    ] = None,
    rejects: Annotated[
        Path | None, rejects_option("line, row, id and reason of each", "FILE.rejects.csv")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import the rows of an existing table predictions into this database, with their ids.

    You may run it again: it skips rows that are stored already, and reports rows whose values
    differ. A CSV names the columns in its first line; an empty cell, NULL and \\N are NULL. From
    a dump (of MySQL, MariaDB or SQLite), only the INSERTs into predictions are read.

    The exit code is 1 if any row was not stored; the side file says which ones and why.

    \b
    mysqldump --single-transaction stroke_predictions predictions > old.sql
    stroke db import old.sql --dry-run
    stroke db import old.sql
    """  # noqa: D301
    rejects = rejects or file.with_suffix(".rejects.csv")
    tally = _import(file, rejects, dump_of, replace=replace, dry_run=dry_run)
    refused = tally.differing + tally.rejected
    summary = {**asdict(tally), "rejects": str(rejects) if refused else None, "dry_run": dry_run}
    typer.echo(json.dumps(summary) if as_json else _sentence(summary))
    if refused:
        raise typer.Exit(1)


def _import(
    file: Path, rejects: Path, dump_of: DumpKind | None, *, replace: bool, dry_run: bool
) -> ImportTally:
    import asyncio

    from stroke.container.audit import audited
    from stroke.container.imports import prediction_rows, table_import
    from stroke.domain.audit import AuditAction

    database = _database()
    with (
        nullcontext() if dry_run else audited(database, AuditAction.DATA_IMPORT, "predictions"),
        ends_on_sigterm(),
        prediction_rows(file, dump_of) as source,
        RejectFile(rejects, ("line", "row", "id", "reason")) as refused,
        progress() as display,
    ):
        print_notes(source.notes)
        bar = display.add_task("importing", total=source.size)

        def refuse(row: RejectedRow) -> None:
            refused.add(astuple(row))

        async def stored() -> ImportTally:
            making = table_import(database, replace=replace, dry_run=dry_run, refuse=refuse)
            async with making as importing:
                return await importing.run(
                    source.rows, progress=lambda: display.update(bar, completed=source.position())
                )

        return asyncio.run(stored())


def _say_what_is_dropped(end: AuditHead) -> None:
    said = f"its chain ends at {end.number}:{end.digest}" if end.digest else "its end is lost"
    say(f"the audit trail is dropped: {said}", "warning")


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
    said = f"{summary['rows']:,} rows: {'would be: ' if summary['dry_run'] else ''}"
    if summary["rejects"]:
        counts[-1] += f" (see {summary['rejects']})"
    if summary["ignored_columns"]:
        counts.append(f"columns without a place: {', '.join(summary['ignored_columns'])}")
    return said + ", ".join(counts)
