"""`stroke analytics stream`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from stroke.entrypoints.cli.terminal.analytics_options import Master, Minimum, Names, Output
from stroke.entrypoints.cli.terminal.options import AsJson
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm

if TYPE_CHECKING:
    from stroke.application.analyses.runs import AnalyticsRun


def stream(
    names: Names = None,
    *,
    output: Output,
    checkpoint: Annotated[
        str,
        typer.Option(
            envvar="STROKE_ANALYTICS_CHECKPOINT",
            metavar="DIR|s3://...",
            help="Where the stream keeps how far it is, and the latest row of each prediction, "
            "without names. On a cluster it must be a place that all workers know.",
        ),
    ],
    every: Annotated[
        float,
        typer.Option(min=1, metavar="SECONDS", help="Seconds between two updates of the tables."),
    ] = 60,
    once: Annotated[
        bool, typer.Option("--once", help="End when the tables hold all that is on Kafka now.")
    ] = False,
    minimum_count: Minimum = 10,
    records: Annotated[
        int,
        typer.Option("--records-at-once", min=1, help="Most Kafka records in one update."),
    ] = 1_000_000,
    master: Master = None,
    as_json: AsJson = False,
) -> None:
    """Keep the tables as current as the topic on Kafka, with Spark.

    Reads only committed events and counts each one once: a stream that was stopped or killed
    continues where it stopped. Prints a line for each update.

    \b
    stroke analytics stream --output postgresql://me:secret@host/reports --checkpoint s3://lake/stream
    stroke analytics stream --output reports --checkpoint /var/lib/stroke/stream --once
    """  # noqa: D301
    from stroke.application.analyses.queries import analyses, chosen
    from stroke.config import PipelineSettings
    from stroke.container.spark import analytics_stream, lake_session

    wanted = chosen(names or [], analyses(minimum=minimum_count))
    settings = PipelineSettings.load()

    def print_run(run: AnalyticsRun) -> None:
        said = run.as_json()
        typer.echo(
            json.dumps(said)
            if as_json
            else f"{run.ended:%Y-%m-%d %H:%M:%S} {run.events:,} new events, "
            f"{run.predictions:,} predictions, {said['seconds']:.1f} s"
        )

    with (
        ends_on_sigterm(),
        lake_session(settings, "stroke analytics stream", master=master) as session,
    ):
        analytics_stream(
            settings,
            session,
            wanted,
            output=output,
            checkpoint=checkpoint,
            records_at_once=records,
            on_run=print_run,
        ).run(every_seconds=None if once else every)
