"""`stroke erase prove`: searches every place for what should be gone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stroke.entrypoints.cli.terminal.erasure_options import (
    IdFile,
    Ids,
    log_paths,
    prediction_ids,
    read_values,
)
from stroke.entrypoints.cli.terminal.erasure_text import place_progress, show_proof
from stroke.entrypoints.cli.terminal.options import AsJson
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm

if TYPE_CHECKING:
    from stroke.application.erasure.erasure import Proof
    from stroke.application.erasure.values import SoughtValues
    from stroke.config import PipelineSettings


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

    from stroke.config import PipelineSettings

    settings, wanted = PipelineSettings.load(), prediction_ids(ids or [], file)
    if values == "-" and "-" in (logs or []):
        raise typer.BadParameter("standard input is either values or a log", param_hint="--logs")
    sought = None if values is None else read_values(values)
    with ends_on_sigterm(), log_paths(logs or []) as paths:
        proof = searched(settings, wanted, sought, paths)
    show_proof(proof, as_json=as_json)
    if not proof.is_good(datetime.now(UTC)):
        raise typer.Exit(1)


def searched(
    settings: PipelineSettings,
    ids: set[int],
    sought: SoughtValues | None = None,
    logs: Sequence[Path] = (),
) -> Proof:
    """Return what is found of predictions, and of values in logs, too; show the progress."""
    import asyncio

    with ends_on_sigterm(), place_progress() as advance:

        async def proved() -> Proof:
            from stroke.container.erasure import erasure_of

            async with erasure_of(settings, on_lake=advance("lake"), logs=logs) as erasure:
                return await erasure.prove(
                    ids, sought, on_progress=lambda place, done, total: advance(place)(done, total)
                )

        return asyncio.run(proved())
