"""`stroke analytics report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stroke.domain.errors import InvalidSetting
from stroke.entrypoints.cli.terminal.analytics_options import AsOf, Memory, Minimum, Source, bar
from stroke.entrypoints.cli.terminal.options import Site, in_utc
from stroke.entrypoints.cli.terminal.output import opened
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm


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
    site: Site = None,
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
    from stroke.config import PipelineSettings
    from stroke.container.analytics import page_of_a_run, page_of_results

    if results is not None and (as_of is not None or site is not None):
        raise InvalidSetting("--as-of and --site are for a run now: --results are what they are")
    settings = PipelineSettings.load()
    with ends_on_sigterm():
        if results is None:
            with bar() as show_progress:
                page = page_of_a_run(
                    settings,
                    source=source,
                    as_of=in_utc(as_of),
                    site=site,
                    minimum=minimum_count,
                    memory_mib=memory,
                    on_progress=show_progress,
                )
        else:
            page = page_of_results(settings, results)
        with opened(html) as stream:
            stream.write(page.encode())
