"""`stroke pipeline tail`: what is on a topic."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stroke.entrypoints.cli.terminal.options import AsJson
from stroke.entrypoints.cli.terminal.output import print_table
from stroke.entrypoints.cli.terminal.pipeline_runner import run
from stroke.entrypoints.cli.terminal.written_down import as_export

if TYPE_CHECKING:
    from stroke.application.pipeline.consistency import TopicRecord
    from stroke.config import PipelineSettings
    from stroke.container.pipeline import PipelineContainer


def tail(
    *,
    topic: Annotated[
        str | None, typer.Option(help="Its name.", show_default="the topic of change events")
    ] = None,
    start: Annotated[
        int | None,
        typer.Option("--from", min=0, help="The first offset.", show_default="the last records"),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many records.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show the records of a topic of Kafka: the last ones, or those from an offset on.

    The table names each record, its prediction and its size. --json prints a line for each, with
    key and value, which hold what patients said; Avro is decoded by the schema registry. The audit
    trail has an entry for it. The name of a topic that does not exist is answered with those that
    do.

    \b
    stroke pipeline tail
    stroke pipeline tail --from 5120 --limit 1 --json
    stroke pipeline tail --topic dlq.mssql-sink-predictions
    """  # noqa: D301

    async def work(parts: PipelineContainer, settings: PipelineSettings) -> list[TopicRecord]:
        return await parts.topic_records().records(
            topic or settings.topic, start=start, limit=limit
        )

    if as_json:
        from stroke.config import PipelineSettings

        with as_export(PipelineSettings.load().database, "records of a topic"):
            for record in run(work):
                typer.echo(json.dumps(asdict(record), default=_shown))
    else:
        _print(run(work))


def _print(records: Sequence[TopicRecord]) -> None:
    from rich.table import Table

    if not records:
        typer.echo("no records")
        return
    table = Table("record", "time", "prediction", "operation", "bytes")
    for record in records:
        moment = datetime.fromtimestamp(record.timestamp / 1000, UTC)
        key, value = (x if isinstance(x, dict) else {} for x in (record.key, record.value))
        table.add_row(
            f"{record.partition}@{record.offset}",
            f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}",
            str(key.get("id", "")),
            "tombstone" if record.value is None else str(value.get("op", "")),
            f"{record.bytes:,}",
        )
    print_table(table)


def _shown(value: Any) -> str:
    """Return what JSON has no form for: bytes as hexadecimal text, all else as its text."""
    return value.hex() if isinstance(value, bytes) else str(value)
