"""Options that the commands of `stroke analytics` share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from stroke.entrypoints.cli.terminal.options import MOMENTS
from stroke.entrypoints.cli.terminal.output import progress

if TYPE_CHECKING:
    from stroke.application.analyses.ports import Progress


class Engine(StrEnum):
    """What runs the analyses."""

    DUCKDB = "duckdb"
    SPARK = "spark"


Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME",
        help="Which analyses.",
        show_default="all that have no row per patient",
    ),
]
Output = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        envvar="STROKE_ANALYTICS_OUTPUT",
        metavar="DIR|s3://...|URL",
        help="A folder or S3 prefix for Parquet files, or a database's URL for tables.",
    ),
]
Source = Annotated[
    str,
    typer.Option(
        metavar="iceberg|db|DIR|s3://...|kafka",
        help="The change log in S3, the service's database, a folder or S3 prefix of Avro files "
        "with change events, as an older deployment's S3 sink left them, or what the topic on "
        "Kafka holds.",
    ),
]
OnEngine = Annotated[
    Engine, typer.Option("--engine", help="DuckDB in this process, or Spark (needs Java).")
]
Master = Annotated[
    str | None,
    typer.Option(
        envvar="STROKE_SPARK_MASTER",
        metavar="URL",
        help="Spark's cluster (spark://host:7077).",
        show_default="Spark's own configuration, or else the cores of this machine",
    ),
]
Top = Annotated[int, typer.Option(min=1, help="Number of predictions in `top-risks`.")]
Minimum = Annotated[
    int, typer.Option("--minimum-count", min=1, help="Smaller groups report no rates.")
]
AsOf = Annotated[
    datetime | None,
    typer.Option(
        formats=MOMENTS,
        help="The change log as it was at a time (UTC).",
    ),
]
Memory = Annotated[
    int,
    typer.Option(min=128, metavar="MIB", help="Memory that DuckDB may use before it uses disk."),
]


@contextmanager
def bar() -> Iterator[Progress]:
    """Show what a run does, and how far it is."""
    with progress() as display:
        shown = display.add_task("reading", total=None)

        def show(what: str, done: int, total: int | None) -> None:
            display.update(shown, description=what, completed=done, total=total)

        yield show
