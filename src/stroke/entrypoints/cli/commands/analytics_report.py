"""`stroke analytics report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stroke.domain.errors import InvalidSetting
from stroke.entrypoints.cli.terminal.analytics_options import AsOf, Memory, Minimum, Source, bar
from stroke.entrypoints.cli.terminal.options import in_utc
from stroke.entrypoints.cli.terminal.output import opened
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from stroke.application.analyses.queries import Analysis

    Results = tuple[dict[str, Any], list[tuple[Analysis, pa.Table]]]


def report(
    *,
    html: Annotated[
        Path, typer.Option("--html", metavar="FILE", help="The page's file; - is stdout.")
    ],
    results: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|s3://...",
            help="What `stroke analytics run` wrote, with either engine.",
            show_default="a run now",
        ),
    ] = None,
    source: Source = "iceberg",
    as_of: AsOf = None,
    minimum_count: Minimum = 10,
    memory: Memory = 1024,
) -> None:
    """Make one HTML page of the analyses: plots, tables, and what was read.

    The page is complete in itself: no script, no font, no address. It shows no patient: analyses
    with a row per patient are only named. With --results nothing is computed, and the other
    options have no effect.

    \b
    stroke analytics report --html report.html
    stroke analytics report --html report.html --source db
    stroke analytics report --html report.html --results s3://reports/stroke
    """  # noqa: D301
    from stroke.adapters.report.analyses import render

    with ends_on_sigterm():
        if results is None:
            run, tables = _computed(source, in_utc(as_of), minimum_count, memory)
        elif as_of is not None:
            raise InvalidSetting("--as-of is for a run now: --results are what they are")
        else:
            run, tables = _read(results)
        page = render(run, tables)
        with opened(html) as stream:
            stream.write(page.encode())


def _computed(source: str, as_of: datetime | None, minimum: int, memory: int) -> Results:
    from stroke.adapters.duckdb.engine import DuckDbEngine
    from stroke.adapters.results.memory import KeptResults
    from stroke.application.analyses.queries import analyses, chosen
    from stroke.config import PipelineSettings
    from stroke.container.analytics import analytics_service, embedded_analytics

    kept = KeptResults()
    with DuckDbEngine(memory_mib=memory) as engine, bar() as told:
        settings = PipelineSettings.load()
        reading = embedded_analytics(settings, engine, source=source, as_of=as_of)
        service = analytics_service(
            settings, reading, engine_name="duckdb", source=source, output=kept
        )
        wanted = chosen([], analyses(minimum=minimum))
        service.run(wanted, with_name=False, on_progress=told)
    return kept.run, kept.tables


def _read(address: str) -> Results:
    from stroke.application.analyses.queries import analyses
    from stroke.config import PipelineSettings
    from stroke.container.analytics import folder_results

    folder = folder_results(PipelineSettings.load().lake, address)
    run = folder.read_run()
    written = [each for each in analyses() if each.name in run["rows"] and not each.patient_level]
    return run, [(each, folder.read(each)) for each in written]
