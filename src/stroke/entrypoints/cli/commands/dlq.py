"""`stroke pipeline dlq`: records that a connector could not take."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from stroke.domain.errors import InvalidData
from stroke.entrypoints.cli.terminal.options import AsJson, Yes
from stroke.entrypoints.cli.terminal.output import print_table
from stroke.entrypoints.cli.terminal.pipeline_runner import run
from stroke.entrypoints.cli.terminal.said import say
from stroke.entrypoints.cli.terminal.written_down import as_change_of_copy

if TYPE_CHECKING:
    from rich.table import Table

    from stroke.application.pipeline.consistency import DeadLetter
    from stroke.application.pipeline.dead_letters import DeadLetterService
    from stroke.config import DatabaseSettings, PipelineSettings
    from stroke.container.pipeline import PipelineContainer

_T = TypeVar("_T")
# Seconds: the watcher may have restarted a sink that fails a moment ago.
_PATIENCE = 15.0

app = typer.Typer(no_args_is_help=True, help="Records that a connector could not write.")

Connector = Annotated[
    str | None,
    typer.Argument(metavar="CONNECTOR", help="By its name or its file's.", show_default="all"),
]


@app.command("list")
def list_(
    connector: Connector = None,
    *,
    settled: Annotated[
        bool, typer.Option("--all", help="Also list letters that were handled already.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List dead letters: their origin, their prediction and the error, never their values.

    The exit code is 1 if any dead letter waits.

    \b
    stroke pipeline dlq list
    stroke pipeline dlq list sqlserver-sink --all --json
    """  # noqa: D301
    letters = _run(lambda service, _: service.letters(connector, settled=settled))
    if as_json:
        typer.echo(json.dumps({"letters": [asdict(letter) for letter in letters]}))
    else:
        _print(letters)
    if any(not letter.settled for letter in letters):
        raise typer.Exit(1)


@app.command()
def replay(
    connector: Connector = None,
    *,
    letter: Annotated[
        list[int] | None,
        typer.Option("--letter", help="Only this letter of CONNECTOR; may be repeated."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List; send nothing.")] = False,
    skip_unreadable: Annotated[
        bool,
        typer.Option(
            "--skip-unreadable", help="Also count letters without a readable id as handled."
        ),
    ] = False,
) -> None:
    """Send the rows of dead letters through the pipeline again, as MySQL has them now.

    Fix the cause first, or they come back. Rows that exist are sent by an incremental snapshot;
    for other rows a deletion is sent. A letter whose key cannot be read stays, and makes the
    exit code 1.

    \b
    stroke pipeline dlq replay --dry-run
    stroke pipeline dlq replay sqlserver-sink
    stroke pipeline dlq replay s3-sink --letter 3 --skip-unreadable
    """  # noqa: D301
    if letter and connector is None:
        raise typer.BadParameter("letters are numbered by sink: name the CONNECTOR, too")

    from stroke.container.audit import written_down
    from stroke.domain.audit import AuditAction

    async def work(service: DeadLetterService, settings: PipelineSettings) -> bool:
        chosen = _only(await service.letters(connector), letter or [])
        if dry_run:
            _print(chosen)
            return True
        what = f"replay: {' '.join(sorted({each.connector for each in chosen}))}"
        async with (
            written_down(settings.database, AuditAction.COPY_CHANGE, what)
            if chosen
            else nullcontext()
        ):
            replay = await service.replay(chosen, skip_unreadable=skip_unreadable)
        typer.echo(
            f"{len(replay.sent):,} rows sent again, {len(replay.deleted):,} deletions sent, "
            f"{len(replay.skipped):,} unreadable letters skipped"
        )
        if replay.unreadable:
            say(
                f"{len(replay.unreadable):,} letters have no readable id, so no row can be sent: "
                "look at them with `stroke pipeline dlq list`, then --skip-unreadable",
            )
        return not replay.unreadable

    if not _run(work):
        raise typer.Exit(1)


@app.command()
def park(
    connector: Annotated[
        str, typer.Argument(metavar="CONNECTOR", help="A sink, by its name or its file's.")
    ],
    *,
    through: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Park all records up to this offset that the sink has not committed.",
            show_default="only the records that fail",
        ),
    ] = None,
    at_most: Annotated[
        int, typer.Option(min=1, max=10_000, help="Stop after so many records that fail.")
    ] = 100,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Name the first record that fails; park nothing.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Find the records on which a sink fails, and move it past them, keeping a copy of each.

    Use it for records that fail in the sink itself; Connect parks those that fail earlier. The
    sink gets one record at a time until it fails: this record is copied to the dead-letter
    topic, and no other. Then it continues, up to the next one that fails. Nothing is parked if
    the cause is the database behind the sink, or the sink fails on three records in a row for an
    unknown cause. The lake's sink names the record itself; where it does not, --through is needed.
    If the sink does not fail, the next record is parked. `replay` sends the rows again.

    \b
    stroke connectors status
    stroke pipeline dlq park sqlserver-sink --dry-run
    stroke pipeline dlq park sqlserver-sink
    stroke pipeline dlq park s3-sink --through 5120
    """  # noqa: D301
    if dry_run:
        record, why = _run(lambda service, _: service.find(connector, patience=_PATIENCE))
        typer.echo(f"{connector} fails on {record}: {why}")
        return
    if not yes:
        typer.confirm(f"Move {connector} past records that it has not taken?", abort=True)

    async def name(
        service: DeadLetterService, settings: PipelineSettings
    ) -> tuple[str, DatabaseSettings]:
        return service.name_of(connector), settings.database

    async def work(service: DeadLetterService, _: PipelineSettings) -> list[DeadLetter]:
        return await service.park(connector, through=through, at_most=at_most, patience=_PATIENCE)

    sink, database = _run(name)  # what was typed could be anything
    with as_change_of_copy(database, f"park: {sink}"):
        letters = _run(work)
    typer.echo(
        f"{len(letters):,} records parked; {letters[-1].connector} goes on after offset "
        f"{letters[-1].offset}"
    )
    for letter in letters:
        typer.echo(f"  {letter.record}: {letter.cause or letter.reason}")


def _only(waiting: Sequence[DeadLetter], numbers: Sequence[int]) -> list[DeadLetter]:
    """Return the letters of these numbers, or all for none."""
    missing = set(numbers) - {each.letter for each in waiting}
    if missing:
        raise InvalidData(f"no letter that waits has the number {min(missing)}")
    return [each for each in waiting if not numbers or each.letter in numbers]


def _print(letters: Sequence[DeadLetter]) -> None:
    if letters:
        print_table(_table(letters))
    else:
        typer.echo("no dead letters")


def _table(letters: Sequence[DeadLetter]) -> Table:
    from rich.table import Column, Table

    # A name that is cut, or broken, is no name. The place of a record has no such room.
    whole = [Column("letter", no_wrap=True), Column("connector", no_wrap=True)]
    folded = [
        Column(heading, overflow="fold")
        for heading in ("from", "prediction", "stage", "reason", "settled")
    ]
    table = Table(*whole, *folded)
    for each in letters:
        table.add_row(
            str(each.letter),
            each.connector,
            f"{each.topic}-{each.partition}@{each.offset}",
            "unreadable" if each.prediction_id is None else str(each.prediction_id),
            each.stage,
            each.cause or each.reason.rpartition(".")[2],
            "yes" if each.settled else "no",
        )
    return table


def _run(work: Callable[[DeadLetterService, PipelineSettings], Coroutine[Any, Any, _T]]) -> _T:
    from stroke.container.pipeline import use_schema_account

    async def with_service(parts: PipelineContainer, settings: PipelineSettings) -> _T:
        use_schema_account(parts, settings)  # deletions that are sent anew set the counter back
        try:
            return await work(parts.dead_letter_service(), settings)
        finally:
            await parts.source_engine().dispose()

    return run(with_service)
