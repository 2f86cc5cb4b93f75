"""`stroke erase`: takes predictions out of every place, and proves that they are gone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from stroke.entrypoints.cli.terminal.options import AsJson, Yes
from stroke.entrypoints.cli.terminal.output import counted, progress
from stroke.entrypoints.cli.terminal.prediction_ids import (
    log_paths,
    prediction_ids,
    read_subjects,
    read_values,
)
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm

if TYPE_CHECKING:
    from stroke.application.erasure.erasure import Erased, Erasure, Proof
    from stroke.application.erasure.ports import (
        ErasureJob,
        JobResult,
        Retained,
        Trace,
        ValueTrace,
    )
    from stroke.application.erasure.values import SoughtValues
    from stroke.config import PipelineSettings

_HELP = ("-h", "--help")


class _ErasesByDefault(TyperGroup):
    """Takes ``stroke erase ID...`` for ``stroke erase predictions ID...``."""

    default = "predictions"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in _HELP:
            args = [self.default, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ErasesByDefault,
    no_args_is_help=True,
    help="Remove predictions from every place that keeps them: stroke erase ID...",
)

Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Ids of predictions.")]
IdFile = Annotated[
    Path | None, typer.Option("--file", metavar="FILE", help="A file with an id on each line.")
]


SubjectFile = Annotated[
    str | None,
    typer.Option(
        "--subject-key",
        metavar="FILE",
        help="A file (- is standard input) with a patient of a record system on each line: "
        "https://SERVER/Patient/ID, Patient/ID or ID.",
    ),
]


@app.command(_ErasesByDefault.default)
def predictions(
    ids: Ids = None,
    *,
    file: IdFile = None,
    subject_key: SubjectFile = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what is there; change nothing.")
    ] = False,
    yes: Yes = False,
    wait: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="How long to wait for the copies.",
            show_default="STROKE_ERASURE_WAIT_SECONDS",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Erase predictions for good. `stroke erase ID...` does the same.

    Removes each row, its outcome and its idempotency keys from the service's database; then, where
    a pipeline is configured, waits until the copies have heard of it, and takes the predictions
    out of the SQL copy, out of the lake with its history, and out of the dead letters. Where
    STROKE_ERASURE_ANALYSES names folders or databases, they leave the results, checkpoints and
    stream states there, too. Afterwards nobody can read the lake as of an earlier time. Each id is
    an entry of the audit trail.

    You may interrupt it, and run it again with the same ids. If a copy is behind or away, the exit
    code is 1: run it again later.

    --subject-key erases all predictions that were made of charts of some patients. Their ids are
    read from a file or from standard input: a command line is seen by others. The erasure is stored
    as a job first, which the same command goes on with. It prints the ids of the predictions, for
    `prove`; afterwards nobody knows any more whose they were.

    \b
    stroke erase 17 23 --dry-run
    stroke erase predictions --file ids.txt --yes
    stroke erase --subject-key patients.txt --yes
    """  # noqa: D301 -- \b is click's mark for text that is not to be wrapped
    import asyncio

    from stroke.application.erasure.ports import JobResult

    settings = _settings()
    if subject_key is not None:
        if ids or file is not None:
            raise typer.BadParameter("give ids, or --subject-key", param_hint="--subject-key")
        _erase_subjects(settings, subject_key, dry_run=dry_run, yes=yes, as_json=as_json)
        return
    wanted = prediction_ids(ids or [], file)
    if dry_run:
        _show(_searched(settings, wanted), as_json=as_json)
        return
    if not yes:
        said = f"Erase {counted(len(wanted), 'prediction')} from every place, for good?"
        typer.confirm(said, abort=True, err=True)
    seconds = settings.erasure.wait_seconds if wait is None else wait
    with ends_on_sigterm(), _places() as advance:

        async def erased() -> Erased:
            from stroke.container.erasure import erasure_of, write_down_request

            await write_down_request(settings, len(wanted))
            async with erasure_of(settings, on_lake=advance("lake")) as erasure:
                return await erasure.erase(
                    wanted,
                    wait=seconds,
                    on_progress=lambda place, done, total: advance(place)(done, total),
                )

        done = asyncio.run(erased())
    result = JobResult(
        tuple(sorted(done.stored)), tuple(sorted(done.unknown)), done.removed, tuple(done.retained)
    )
    _show_erased(result, as_json=as_json)


def _erase_subjects(
    settings: PipelineSettings, file: str, *, dry_run: bool, yes: bool, as_json: bool
) -> None:
    import asyncio

    subjects = read_subjects(file)
    with ends_on_sigterm():
        if dry_run:

            async def theirs() -> set[int]:
                from stroke.container.erasure import ids_of

                return await ids_of(settings, subjects)

            _show(_searched(settings, asyncio.run(theirs())), as_json=as_json)
            return
        if not yes:
            said = f"Erase all predictions of {counted(len(subjects), 'patient')} for good?"
            typer.confirm(said, abort=True, err=True)

        async def erased() -> JobResult:
            from stroke.container.erasure import attended_erasure

            async with attended_erasure(settings) as erasure:
                await erasure.finish_waiting()
                return await erasure.erase([], subjects)

        _show_erased(asyncio.run(erased()), as_json=as_json)


def _show_erased(done: JobResult, *, as_json: bool) -> None:
    if as_json:
        result = {
            "ids": len(done.erased) + len(done.unknown),
            "erased": list(done.erased),
            "not_found": list(done.unknown),
            "removed": dict(done.removed),
            "kept": _kept(done.retained),
        }
        typer.echo(json.dumps(result))
        return
    typer.echo(
        f"{counted(len(done.erased), 'prediction')} erased, "
        f"{len(done.unknown):,} not in the database"
    )
    for place, count in done.removed.items():
        typer.echo(f"  {place}: {counted(count, 'item')} removed")
    _print_kept(done.retained)


@app.command()
def prove(
    ids: Ids = None,
    *,
    file: IdFile = None,
    values: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A file (- is standard input) with a value on each line, such as a name or a "
            "record number: search for these, too.",
        ),
    ] = None,
    logs: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            help="A log, or a folder of logs (- is standard input), to search, too. May be given "
            "more than once.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Search every place for predictions, and say where something of them is, and until when.

    Searches the service's database, the SQL copy, every object of the lake, those that no snapshot
    has included, the dead letters, what analyses keep (STROKE_ERASURE_ANALYSES), and the events in
    Kafka's topic, which say until when they are kept. Says by when what cannot be searched has
    forgotten rows that were erased: MySQL's binlog, Kafka's topic as a whole, and each backup
    (STROKE_BACKUP_TARGET). The exit code is 1 if something is left that nothing says will be
    forgotten.

    With --values it also searches for a patient's values, whoever's row has them: in every table of
    the database, the SQL copy, every object of the bucket, all topics, and what analyses keep. They
    are read from a file, since others see a command line, and are named by their line only. A
    common name is found with others, too: look at what is found. A number is found in columns of
    numbers, and where a text has it.

    \b
    stroke erase prove 17
    stroke erase prove --file ids.txt --json
    stroke erase prove 17 --values values.txt --logs /var/log/stroke
    docker compose logs | stroke erase prove 17 --logs -
    """  # noqa: D301
    from datetime import UTC, datetime

    settings, wanted = _settings(), prediction_ids(ids or [], file)
    if values == "-" and "-" in (logs or []):
        raise typer.BadParameter("standard input is either values or a log", param_hint="--logs")
    sought = None if values is None else read_values(values)
    with ends_on_sigterm(), log_paths(logs or []) as paths:
        proof = _searched(settings, wanted, sought, paths)
    _show(proof, as_json=as_json)
    if not proof.is_good(datetime.now(UTC)):
        raise typer.Exit(1)


@app.command()
def work(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="End when no erasure waits; exit code 1 if one failed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Carry out the erasures that were asked for with POST /api/v1/erasures, in every place.

    `stroke connectors watch` does the same beside its own work, where STROKE_ERASURE_WORKER is
    `pipeline`. Any number of workers may run: each erasure is carried out by one of them, and by
    another if that one dies. What fails is tried again. Ends with SIGTERM or Ctrl-C. Prints a line
    for each attempt.

    \b
    stroke erase work
    stroke erase work --once --json
    """  # noqa: D301
    import asyncio

    settings = _settings()

    async def worked() -> bool:
        from stroke.container.erasure import erasure_worker

        good = True
        async with erasure_worker(settings) as worker:
            while True:
                if (attempt := await worker.work_once()) is not None:
                    good = good and attempt.trouble is None
                    _print_attempt(attempt, as_json=as_json)
                elif once:
                    return good
                else:
                    await asyncio.sleep(settings.erasure.poll_seconds)

    with ends_on_sigterm():
        if not asyncio.run(worked()):
            raise typer.Exit(1)


def _print_attempt(job: ErasureJob, *, as_json: bool) -> None:
    if as_json:
        said = {"id": job.id, "state": job.state, "ids": len(job.ids), "detail": job.trouble}
        typer.echo(json.dumps(said))
        return
    how = "is done" if job.trouble is None else f"failed, and is tried again: {job.trouble}"
    typer.echo(f"erasure {job.id} of {counted(len(job.ids), 'prediction')} {how}")


def _searched(
    settings: PipelineSettings,
    ids: set[int],
    sought: SoughtValues | None = None,
    logs: Sequence[Path] = (),
) -> Proof:
    import asyncio

    with ends_on_sigterm(), _places() as advance:

        async def searched() -> Proof:
            from stroke.container.erasure import erasure_of

            async with erasure_of(settings, on_lake=advance("lake"), logs=logs) as erasure:
                return await _prove(erasure)

        async def _prove(erasure: Erasure) -> Proof:
            return await erasure.prove(
                ids, sought, on_progress=lambda place, done, total: advance(place)(done, total)
            )

        return asyncio.run(searched())


def _show(proof: Proof, *, as_json: bool) -> None:
    if as_json:
        traces = [
            {"id": trace.prediction_id, **_place_of(place, trace)}
            for place, found in proof.traces.items()
            for trace in found
        ]
        values = [
            {"value": trace.value, **_place_of(place, trace)}
            for place, found in proof.values.items()
            for trace in found
        ]
        searched = {"searched": list(proof.traces), "traces": traces}
        by_value = {"searched_for_values": list(proof.values), "values": values}
        typer.echo(json.dumps({**searched, **by_value, "kept": _kept(proof.retained)}))
        return
    for place, found in proof.traces.items():
        typer.echo(f"{place}: {'nothing' if not found else counted(len(found), 'trace')}")
        for trace in found:
            typer.echo(f"  {trace.prediction_id}: {trace.where}{_until(trace)}")
    for place, values_there in proof.values.items():
        said = (
            "no value" if not values_there else f"{counted(len(values_there), 'trace')} of values"
        )
        typer.echo(f"{place}: {said}")
        for each in values_there:
            typer.echo(f"  value {each.value}: {each.where}{_until(each)}")
    _print_kept(proof.retained)


def _place_of(place: str, trace: Trace | ValueTrace) -> dict[str, str | None]:
    until = None if trace.until is None else trace.until.isoformat()
    return {"place": place, "where": trace.where, "until": until}


def _until(trace: Trace | ValueTrace) -> str:
    return f", until {trace.until:%Y-%m-%d %H:%M} UTC" if trace.until else ""


def _kept(kept: Sequence[Retained]) -> list[dict[str, str | None]]:
    return [{"what": k.what, "until": k.until.isoformat() if k.until else None} for k in kept]


def _print_kept(kept: Sequence[Retained]) -> None:
    for each in kept:
        until = f"until {each.until:%Y-%m-%d %H:%M} UTC" if each.until else "nobody knows how long"
        typer.echo(f"{each.what} keeps rows, {until}")


def _settings() -> PipelineSettings:
    from stroke.config import PipelineSettings

    return PipelineSettings.load()


@contextmanager
def _places() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Give a display of each place's progress."""
    with progress() as display:
        bar = display.add_task("starting", total=None)

        def advance(place: str) -> Callable[[int, int], None]:
            return lambda done, total: display.update(
                bar, description=place, completed=done, total=total
            )

        yield advance
