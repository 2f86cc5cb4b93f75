"""`stroke erase`: takes predictions out of every place, and proves that they are gone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from stroke.entrypoints.cli.commands.erase_prove import prove, searched
from stroke.entrypoints.cli.terminal.erasure_options import (
    IdFile,
    Ids,
    SubjectFile,
    prediction_ids,
    read_subjects,
)
from stroke.entrypoints.cli.terminal.erasure_text import (
    kept_as_json,
    place_progress,
    print_kept,
    show_proof,
)
from stroke.entrypoints.cli.terminal.options import AsJson, Yes
from stroke.entrypoints.cli.terminal.output import counted
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm

if TYPE_CHECKING:
    from stroke.application.erasure.erasure import Erased
    from stroke.application.erasure.ports import ErasureJob, JobResult
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
    from stroke.config import PipelineSettings

    settings = PipelineSettings.load()
    if subject_key is not None:
        if ids or file is not None:
            raise typer.BadParameter("give ids, or --subject-key", param_hint="--subject-key")
        _erase_subjects(settings, subject_key, dry_run=dry_run, yes=yes, as_json=as_json)
        return
    wanted = prediction_ids(ids or [], file)
    if dry_run:
        show_proof(searched(settings, wanted), as_json=as_json)
        return
    if not yes:
        said = f"Erase {counted(len(wanted), 'prediction')} from every place, for good?"
        typer.confirm(said, abort=True, err=True)
    seconds = settings.erasure.wait_seconds if wait is None else wait
    with ends_on_sigterm(), place_progress() as advance:

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


app.command()(prove)


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

            show_proof(searched(settings, asyncio.run(theirs())), as_json=as_json)
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
            "kept": kept_as_json(done.retained),
        }
        typer.echo(json.dumps(result))
        return
    typer.echo(
        f"{counted(len(done.erased), 'prediction')} erased, "
        f"{len(done.unknown):,} not in the database"
    )
    for place, count in done.removed.items():
        typer.echo(f"  {place}: {counted(count, 'item')} removed")
    print_kept(done.retained)


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

    from stroke.config import PipelineSettings

    settings = PipelineSettings.load()

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
