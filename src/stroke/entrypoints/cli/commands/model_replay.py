"""`stroke model replay`."""

from __future__ import annotations

from datetime import datetime
from time import perf_counter
from typing import Annotated

import typer

from stroke.entrypoints.cli.terminal.options import MOMENTS, AsJson, in_utc
from stroke.entrypoints.cli.terminal.output import print_notes, progress
from stroke.entrypoints.cli.terminal.replay_text import print_replay
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm


def replay(
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="A name in the store, a version, champion, challenger, a folder or an .onnx file.",
            show_default="the champion",
        ),
    ] = None,
    *,
    source: Annotated[
        str,
        typer.Option(
            metavar="db|iceberg|kafka|FILE|DIR|s3://...",
            help="The service's database, the change log in S3, the topic, a CSV or Parquet file "
            "of predictions, or Avro files.",
        ),
    ] = "db",
    since: Annotated[
        datetime | None,
        typer.Option(formats=MOMENTS, help="Only predictions made at or after (UTC)."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=MOMENTS, help="Only predictions made before (UTC).")
    ] = None,
    outcomes: Annotated[
        bool | None,
        typer.Option(
            "--outcomes/--no-outcomes",
            help="Look outcomes up in the service's database; a file has its own column stroke.",
            show_default="only with --source db",
        ),
    ] = None,
    rounding: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Count probabilities of the same version as the same when they differ by at most "
            "N units in the last place. Another kind of processor may round in another way.",
        ),
    ] = 0,
    worst: Annotated[
        int, typer.Option(min=0, max=10_000, help="How many of the largest differences to list.")
    ] = 10,
    as_json: AsJson = False,
) -> None:
    """Score stored predictions again, and say what is different.

    In rows that the same version made, probability, category and factors must be the same to the
    last bit; the ids of rows that differ are listed, and the exit code is then 1. For rows that
    other versions made, the differences are summed up: their distribution, the largest ones by
    id, who moves to another category and, where outcomes are known, the net reclassification. No
    name and no measurement is printed. Memory does not grow with the rows.

    Without --model it is the champion of the deployment that the service's database has, and the
    model of SAVED_MODEL where no model was ever promoted, or the database cannot be read.

    \b
    stroke model replay --since 2026-11-01
    stroke model replay --model candidate --source iceberg --json | jq .others.table
    stroke model replay --model challenger --source scored.csv
    """  # noqa: D301 -- \b is click's mark for text that is not to be wrapped
    from stroke.application.models.replay import ReplayOptions
    from stroke.config import Settings
    from stroke.container.replay import DATABASE
    from stroke.container.replay import replay as replayed

    options = ReplayOptions(
        since=in_utc(since), until=in_utc(until), rounding=rounding, worst=worst
    )
    started = perf_counter()
    with ends_on_sigterm(), progress() as display:
        bar = display.add_task("replaying", total=None)
        report = replayed(
            Settings.load(),
            source,
            options,
            model=model,
            with_outcomes=source == DATABASE if outcomes is None else outcomes,
            on_progress=lambda done, total: display.update(bar, completed=done, total=total),
            note=lambda said: print_notes([said]),
        )
    print_replay(report, seconds=perf_counter() - started, as_json=as_json)
    if report.same.different:
        raise typer.Exit(1)
