"""`stroke lake`: the upkeep of the Iceberg table of change events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stroke.entrypoints.cli.terminal.erasure_options import prediction_ids
from stroke.entrypoints.cli.terminal.options import AsJson, Yes
from stroke.entrypoints.cli.terminal.output import counted, progress
from stroke.entrypoints.cli.terminal.said import say
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm
from stroke.entrypoints.cli.terminal.written_down import as_change_of_lake

if TYPE_CHECKING:
    from stroke.application.pipeline.lake_upkeep import Compaction, LakeState, Orphan, Orphans
    from stroke.config import LakeSettings, PipelineSettings

app = typer.Typer(no_args_is_help=True, help="The Iceberg table of change events: its upkeep.")

DryRun = Annotated[bool, typer.Option("--dry-run", help="Count; change nothing.")]


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Show the number of files, rows, bytes and snapshots, and the sink's position.

    \b
    stroke lake status
    stroke lake status --json | jq .data_files
    """  # noqa: D301
    from stroke.container.lake_upkeep import lake_state

    settings = _settings()
    state = lake_state(settings)
    if as_json:
        typer.echo(json.dumps(_state_as_json(state)))
    else:
        _print_state(_name(settings.lake), state)


@app.command()
def create() -> None:
    """Create the table of change events if it is missing. The Iceberg sink does not create it.

    `stroke connectors apply` does this itself. Use it if a Kubernetes operator applies connectors.

    \b
    stroke lake create
    """  # noqa: D301
    import asyncio

    from stroke.container.pipeline import PipelineContainer

    settings = _settings()
    made = asyncio.run(PipelineContainer(settings=settings).change_log().ensure_table())
    typer.echo(f"the table {_name(settings.lake)} {'was made' if made else 'is there already'}")


@app.command()
def compact(
    *,
    all_days: Annotated[
        bool, typer.Option("--all", help="Also merge the current day (UTC).")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Merge the many small files that the sink writes into few, day by day.

    You may run it while the sink runs, and interrupt it: all files of a day change at once, or
    none. The small files stay on S3 until `stroke lake expire` removes the snapshots that hold
    them. Works for Parquet only.

    \b
    stroke lake compact --dry-run
    stroke lake compact
    """  # noqa: D301
    from stroke.container.lake_upkeep import compact_lake

    settings = _settings()
    kept = as_change_of_lake(settings.database, "compact", dry_run=dry_run)
    with kept, ends_on_sigterm(), _bar("compacting") as advance:
        done = compact_lake(settings, open_days=all_days, dry_run=dry_run, on_progress=advance)
    if as_json:
        typer.echo(json.dumps({**asdict(done), "dry_run": dry_run}))
    else:
        typer.echo(_compaction(done, dry_run=dry_run))


@app.command()
def expire(
    *,
    older_than_days: Annotated[
        float, typer.Option(min=0, help="Remove only snapshots that are older.")
    ] = 7.0,
    keep: Annotated[
        int, typer.Option(min=1, help="Number of newest snapshots to keep, however old.")
    ] = 10,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Remove old snapshots, and delete the files that only they use.

    The current rows stay. The sink's last snapshot stays, however old it is, because it holds the
    position from which the sink continues.

    \b
    stroke lake expire --dry-run
    stroke lake expire --older-than-days 3 --keep 5
    """  # noqa: D301
    from stroke.container.lake_upkeep import expire_snapshots

    settings, what = _settings(), f"expire: older than {older_than_days:g} days, {keep} kept"
    kept = as_change_of_lake(settings.database, what, dry_run=dry_run)
    with kept, ends_on_sigterm(), _bar("deleting files") as advance:
        done = expire_snapshots(
            settings,
            older_than=timedelta(days=older_than_days),
            keep=keep,
            dry_run=dry_run,
            on_progress=advance,
        )
    if as_json:
        typer.echo(json.dumps({**asdict(done), "dry_run": dry_run}))
    elif dry_run:
        typer.echo(f"would be: {done.snapshots:,} snapshots forgotten, {done.kept:,} kept")
    else:
        typer.echo(
            f"{done.snapshots:,} snapshots forgotten, {done.kept:,} kept; "
            f"{done.files:,} files deleted"
        )


@app.command()
def erase(
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="Ids of erased predictions.")
    ] = None,
    *,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="A file with an id on each line.")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Remove what the table holds of erased predictions: all of their events, and the history.

    An event has the row before and after a change, so the table still has every value of a row
    that was deleted. Erase the prediction in the service first (DELETE), and wait until the lake
    has heard of it. What stays is that the id was deleted. All older snapshots go, with their
    files: afterwards nobody can read the table as of an earlier time.

    You may run it while the sink runs, interrupt it, and run it again.

    \b
    stroke lake erase 17 23 --dry-run
    stroke lake erase --file ids.txt --yes
    """  # noqa: D301 -- \b is click's mark for text that is not to be wrapped
    from stroke.container.audit import erased_where_there
    from stroke.container.lake_upkeep import erase_from_lake

    wanted = prediction_ids(ids or [], file)
    if not (yes or dry_run):
        typer.confirm(
            f"Remove {counted(len(wanted), 'prediction')} and all older snapshots for good?",
            abort=True,
        )
    settings, what = _settings(), f"{counted(len(wanted), 'prediction')} in the lake"
    kept = nullcontext() if dry_run else erased_where_there(settings.database, what)
    with kept, ends_on_sigterm(), _bar("rewriting files") as advance:
        done = erase_from_lake(settings, wanted, dry_run=dry_run, on_progress=advance)
    if as_json:
        typer.echo(json.dumps({"ids": len(wanted), **asdict(done), "dry_run": dry_run}))
        return
    counts = f"{counted(done.events, 'event')} of {counted(done.files, 'file')}"
    if dry_run:
        typer.echo(f"would be: {counts} removed")
    else:
        typer.echo(f"{counts} removed; {counted(done.snapshots, 'snapshot')} forgotten")


@app.command()
def orphans(
    *,
    older_than_hours: Annotated[
        float,
        typer.Option(
            min=1, help="Only files older than this, and older than the sink's last commit."
        ),
    ] = 72.0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete them.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the files that killed writers left in the table's folder, or delete them with --yes.

    A file with events that the table lacks is kept, and said: a catalog that was restored does
    not know what was committed since (`stroke lake roll-forward`).

    The sink's newest files are in no snapshot yet: leave --older-than-hours well above the
    longest time that Connect was ever down.

    An upload that a killed writer did not finish is not a file yet. To remove such uploads, give
    the bucket a lifecycle rule that aborts incomplete multipart uploads.

    \b
    stroke lake orphans
    stroke lake orphans --yes
    """  # noqa: D301
    from stroke.container.lake_upkeep import delete_lake_orphans, lake_orphans

    settings = _settings()
    found = lake_orphans(settings, older_than=timedelta(hours=older_than_hours))
    if yes and found.files:
        kept = as_change_of_lake(settings.database, f"delete {counted(len(found.files), 'orphan')}")
        with kept, ends_on_sigterm(), _bar("deleting files") as advance:
            delete_lake_orphans(settings, found.files, on_progress=advance)
    if as_json:
        said: dict[str, object] = {"files": _as_json(found.files), "deleted": yes}
        if found.kept:
            said["kept"] = _as_json(found.kept)
        typer.echo(json.dumps(said))
    else:
        _print_orphans(found.files, deleted=yes)
    _print_kept(found)


@app.command("roll-forward")
def roll_forward(
    *,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Let a restored catalog name the newest state of the table that its folder holds.

    A backup of MySQL holds the catalog as it was. Without this, the table lacks all that the sink
    wrote since the backup. Stop the connectors first. The exit code is 1 if the catalog is behind
    and --yes is missing, or if the sink has written on since: then the events of both states are
    kept, and `stroke pipeline repair` sends the rows that differ.

    \b
    stroke lake roll-forward --dry-run
    stroke lake roll-forward --yes
    """  # noqa: D301
    from stroke.container.lake_upkeep import lake_rewind, roll_lake_forward

    settings = _settings()
    found = lake_rewind(settings)
    if found.newest is None:
        typer.echo("the catalog names the newest state of the table")
        return
    typer.echo(f"the catalog is {found.commits:,} commits behind {found.newest.location}")
    if found.has_diverged:
        say("the sink has written on from the older state: neither holds all")
        raise typer.Exit(1)
    if dry_run:
        return
    if not yes:
        typer.confirm("Let it name that state?", abort=True, err=True)
    with as_change_of_lake(settings.database, "roll forward"):
        roll_lake_forward(settings, found)
    typer.echo("the catalog names the newest state of the table now")


@app.command("set-back")
def set_back(
    *,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Let no time in the table be after this clock's, so that the sink can commit again.

    Use it after a clock that was ahead was set back, when this clock is right. Otherwise the sink
    fails until the time is reached that stands in the table. Only the times of the table's states
    change: no row, no file of rows and no position of the sink. Restart the sink afterwards with
    `stroke connectors restart --only-failed`. Works for a jdbc catalog only.

    \b
    stroke lake set-back --dry-run
    stroke lake set-back --yes
    """  # noqa: D301
    from stroke.container.lake_upkeep import lake_ahead, set_lake_back

    settings = _settings()
    ahead = lake_ahead(settings)
    if not ahead:
        typer.echo("no time in the table is after this clock's")
        return
    typer.echo(f"the newest time in the table is {ahead.total_seconds():,.0f} s after this clock's")
    if dry_run:
        return
    if not yes:
        typer.confirm("Set the times back to this clock's?", abort=True, err=True)
    with as_change_of_lake(settings.database, "set back"):
        set_lake_back(settings)
    typer.echo("no time in the table is after this clock's now")


def _settings() -> PipelineSettings:
    from stroke.config import PipelineSettings

    return PipelineSettings.load()


def _name(lake: LakeSettings) -> str:
    return f"{lake.namespace}.{lake.table}"


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    with progress() as display:
        bar = display.add_task(f"{what}: looking", total=None)
        yield lambda done, total: display.update(bar, description=what, completed=done, total=total)


def _state_as_json(state: LakeState) -> dict[str, object]:
    oldest, newest = state.oldest_snapshot, state.newest_snapshot
    return {
        "location": state.location,
        "format": state.file_format,
        "data_files": state.data_files,
        "delete_files": state.delete_files,
        "rows": state.rows,
        "bytes": state.size,
        "snapshots": state.snapshots,
        "oldest_snapshot": oldest and oldest.isoformat(),
        "newest_snapshot": newest and newest.isoformat(),
        "cluster": state.lineage.cluster_id,
        "offsets": {
            f"{place.topic}-{place.partition}": offset
            for place, offset in state.lineage.offsets.items()
        },
    }


def _print_state(name: str, state: LakeState) -> None:
    mean = state.size // state.data_files if state.data_files else 0
    typer.echo(f"table:     {name} at {state.location}")
    typer.echo(f"rows:      {state.rows:,}")
    typer.echo(
        f"files:     {state.data_files:,} ({state.file_format}), {_bytes(state.size)}, "
        f"{_bytes(mean)} each; {state.delete_files:,} delete files"
    )
    since = f", since {state.oldest_snapshot:%Y-%m-%d %H:%M} UTC" if state.oldest_snapshot else ""
    typer.echo(f"snapshots: {state.snapshots:,}{since}")
    offsets = ", ".join(
        f"{place.topic}-{place.partition}@{offset}"
        for place, offset in state.lineage.offsets.items()
    )
    cluster = state.lineage.cluster_id
    typer.echo(f"written:   {f'from Kafka cluster {cluster}' if cluster else 'never'} {offsets}")


def _compaction(done: Compaction, *, dry_run: bool) -> str:
    if not done.days:
        return "nothing to compact"
    counts = (
        f"{done.files_before:,} files of {done.days:,} days become {done.files_after:,} "
        f"({done.rows:,} rows, {_bytes(done.bytes_before)}"
    )
    return f"would be: {counts})" if dry_run else f"{counts} become {_bytes(done.bytes_after)})"


def _print_orphans(found: list[Orphan], *, deleted: bool) -> None:
    for each in found:
        typer.echo(f"s3://{each.path}")
    said = "deleted" if deleted else "could be deleted (--yes)" if found else ""
    size = _bytes(sum(each.size for each in found))
    say(f"{len(found):,} orphans, {size} {said}".rstrip())


def _as_json(files: list[Orphan]) -> list[dict[str, object]]:
    return [{"path": f"s3://{each.path}", "bytes": each.size} for each in files]


def _print_kept(found: Orphans) -> None:
    if not found.kept:
        return
    why = (
        "the table's folder holds a newer state than the catalog names: "
        "`stroke lake roll-forward --dry-run`"
        if found.catalog_is_behind
        else "they hold events that the table lacks, or are metadata that may name them"
    )
    say(f"{len(found.kept):,} files are kept, because {why}")


def _bytes(count: int) -> str:
    from rich.filesize import decimal

    return decimal(count)
