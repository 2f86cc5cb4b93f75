"""`stroke analytics`: the tables that people report from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stroke.entrypoints.cli.commands import analytics_report, analytics_stream
from stroke.entrypoints.cli.terminal.analytics_options import (
    AsOf,
    Engine,
    Master,
    Memory,
    Minimum,
    Names,
    OnEngine,
    Output,
    Source,
    Top,
    bar,
)
from stroke.entrypoints.cli.terminal.options import AsJson, Site, in_utc
from stroke.entrypoints.cli.terminal.said import say
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm
from stroke.entrypoints.cli.terminal.written_down import as_export

if TYPE_CHECKING:
    from stroke.application.analyses.runs import AnalyticsRun
    from stroke.application.analyses.service import AnalyticsService
    from stroke.config import PipelineSettings

app = typer.Typer(no_args_is_help=True, help="The tables that people report from.")
app.command()(analytics_report.report)
app.command()(analytics_stream.stream)


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List the analyses, and what each one shows.

    \b
    stroke analytics list
    stroke analytics list --json | jq -r '.analyses[].table'
    """  # noqa: D301
    from stroke.application.analyses.queries import analyses

    if as_json:
        shown = [
            {
                "name": each.name,
                "table": each.table,
                "title": each.title,
                "about": each.about,
                "patient_level": each.patient_level,
                "needs_events": each.needs_events,
            }
            for each in analyses()
        ]
        typer.echo(json.dumps({"analyses": shown}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "what it tells", "patients")
    for each in analyses():
        table.add_row(each.name, each.about, "by name only" if each.patient_level else "")
    Console().print(table)


@app.command()
def run(
    names: Names = None,
    *,
    output: Output,
    source: Source = "iceberg",
    engine: OnEngine = Engine.DUCKDB,
    as_of: AsOf = None,
    site: Site = None,
    top: Top = 100,
    minimum_count: Minimum = 10,
    with_name: Annotated[
        bool, typer.Option("--with-name", help="Put names into tables with a row per patient.")
    ] = False,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|s3://...",
            help="Keep the latest row of each prediction here, without names, and read only what "
            "is new in the change log the next time.",
        ),
    ] = None,
    memory: Memory = 1024,
    master: Master = None,
    as_json: AsJson = False,
) -> None:
    """Make the tables, from the change log or directly from the service's database.

    Writes one Parquet file (or table) for each analysis, and a record of the run. Both engines give
    the same rows; DuckDB needs no JVM, Spark is for data that outgrow one machine. Analyses with a
    row per patient run only if they are named; the audit trail has an entry for them.

    With --checkpoint, a run continues where the last one ended. If it cannot be sure what is new,
    it reads everything and says why. A checkpoint has a row per patient: keep it where such data
    may be stored.

    \b
    stroke analytics run --source db --output reports
    stroke analytics run --output s3://reports/stroke --as-of 2026-11-01
    stroke analytics run --output reports --checkpoint /var/lib/stroke/analytics
    stroke analytics run --source s3://old/topics/mysql.stroke.predictions --output reports
    stroke analytics run --engine spark --master spark://spark-master:7077 --output s3://reports/now
    stroke analytics run --site north --output reports/north
    stroke analytics run risk-by-gender top-risks --output postgresql://me:secret@host/reports
    """  # noqa: D301
    from stroke.application.analyses.queries import analyses, chosen
    from stroke.config import PipelineSettings

    known = analyses(with_name=with_name, top=top, minimum=minimum_count)
    wanted = chosen(names or [], known)
    settings = PipelineSettings.load()
    options = {
        "source": source,
        "output": output,
        "as_of": in_utc(as_of),
        "checkpoint": checkpoint,
        "site": site,
    }
    if engine is Engine.SPARK:
        opened = _on_spark(settings, master, options)
    else:
        opened = _in_process(settings, memory, options)
    taken = [each.name for each in wanted if each.patient_level]
    taken += ["checkpoint"] if checkpoint is not None else []
    kept = as_export(settings.database, f"analyses: {' '.join(taken)}") if taken else nullcontext()
    with ends_on_sigterm(), kept, opened as service, bar() as show_progress:
        done = service.run(wanted, with_name=with_name, on_progress=show_progress)
    _print_run(done, as_json=as_json)


@contextmanager
def _in_process(
    settings: PipelineSettings, memory: int, options: Mapping[str, Any]
) -> Iterator[AnalyticsService[Any]]:
    from stroke.container.analytics import duckdb_analytics

    with duckdb_analytics(settings, memory_mib=memory, **options) as service:
        yield service


@contextmanager
def _on_spark(
    settings: PipelineSettings, master: str | None, options: Mapping[str, Any]
) -> Iterator[AnalyticsService[Any]]:
    from stroke.container.spark import lake_session, spark_analytics

    with (
        lake_session(settings, "stroke analytics run", master=master) as session,
        spark_analytics(settings, session, **options) as service,
    ):
        yield service


def _print_run(done: AnalyticsRun, *, as_json: bool) -> None:
    from stroke.application.analyses.changes import not_events

    said = done.as_json()
    if as_json:
        typer.echo(json.dumps(said))
        return
    for name in done.skipped:
        say(f"{name}: left out, the database keeps no events")
    if skipped := not_events(done.point):
        say(skipped)
    if done.note:
        say(done.note)
    read = "rows" if done.source == "db" else "new events" if done.since else "events"
    typer.echo(
        f"{len(done.rows)} analyses of {done.predictions:,} predictions "
        f"({done.events:,} {read} read) in {said['seconds']:.1f} s"
    )
