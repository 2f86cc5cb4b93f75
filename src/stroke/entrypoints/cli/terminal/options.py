"""Options that several commands share."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from stroke.domain.errors import InvalidSetting
from stroke.domain.prediction import PredictionFilter
from stroke.entrypoints.cli.terminal.output import STDOUT

MOMENTS: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
"""How a time is written."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
MetricsPort = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="Serve Prometheus metrics here, at STROKE_HTTP_HOST."),
]
Html = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Also write a page with plots; - is stdout.")
]
Since = Annotated[
    datetime | None,
    typer.Option(formats=MOMENTS, help="Only predictions made at or after (UTC)."),
]
Until = Annotated[
    datetime | None, typer.Option(formats=MOMENTS, help="Only predictions made before (UTC).")
]

Site = Annotated[str | None, typer.Option(metavar="SITE", help="Only predictions of this site.")]
MinimumCount = Annotated[int, typer.Option(min=20, help="Smaller groups report only their size.")]
MinimumEvents = Annotated[
    int,
    typer.Option(
        min=2,
        help="Groups with fewer strokes, or fewer patients without one, report no measures.",
    ),
]
FairnessLimit = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        metavar="SHARE",
        help="Exit with 1 when groups lie further apart than this for certain: when the whole "
        "interval of a difference is above it; and when too few patients are there to say so. When "
        "two models are compared, the second counts.",
    ),
]


def rejects_option(holds: str, place: str) -> Any:
    """Return the option for the side file of rows: what it ``holds``, and its usual ``place``."""
    return typer.Option(
        "--rejects",
        metavar="FILE",
        help=f"File for the rows that are left out, if there are any: {holds}.",
        show_default=place,
    )


def made_between(
    since: datetime | None, until: datetime | None, site: str | None = None
) -> PredictionFilter:
    """Return the filter that ``Since``, ``Until`` and ``Site`` ask for."""
    return PredictionFilter(since=in_utc(since), until=in_utc(until), site=site)


def in_utc(moment: datetime | None) -> datetime | None:
    """Return a time of the command line, which is in UTC, as one that says so."""
    return None if moment is None else moment.replace(tzinfo=UTC)


def check_stdout(html: Path | None, *, as_json: bool) -> None:
    """Raise InvalidSetting if page and JSON would both go to stdout."""
    if html == STDOUT and as_json:
        raise InvalidSetting("--json and --html - would share stdout: name a file")
