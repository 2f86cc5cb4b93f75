"""`stroke pipeline sink-schema`: the table that the SQL sink writes to."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from stroke.entrypoints.cli.terminal.options import Yes
from stroke.entrypoints.cli.terminal.written_down import as_change_of_copy


class SinkDialectName(StrEnum):
    """The SQL dialect of a sink."""

    MSSQL = "mssql"
    POSTGRESQL = "postgresql"


def sink_schema(
    *,
    dialect: Annotated[
        SinkDialectName | None,
        typer.Option(
            help="SQL dialect.",
            show_default="the configured sink's",
        ),
    ] = None,
    apply: Annotated[
        bool,
        typer.Option("--apply", help="Run it on the configured sink; an existing table stays."),
    ] = False,
    rebuild: Annotated[
        bool,
        typer.Option("--rebuild", help="Drop the table, and make it anew without its rows."),
    ] = False,
    yes: Yes = False,
) -> None:
    """Print the statement that creates the SQL sink's table, or run it.

    Run it before the sink's connector: the connector alone would create a table that loses text.

    \b
    stroke pipeline sink-schema --dialect mssql
    stroke pipeline sink-schema --apply
    stroke pipeline sink-schema --rebuild    then: stroke pipeline repair --replica sql
    """  # noqa: D301
    import asyncio

    from stroke.config import PipelineSettings
    from stroke.container.sink import create_sink_table, rebuild_sink_table, sink_ddl

    settings = PipelineSettings.load()
    sink = settings.sink
    if rebuild:
        if not yes:
            typer.confirm(f"Drop {sink.table} of the copy with its rows?", abort=True, err=True)
        with as_change_of_copy(settings.database, "rebuild: sql"):
            asyncio.run(rebuild_sink_table(sink))
        typer.echo(
            f"the table {sink.table} was made anew, without rows: restart the SQL sink "
            "(`stroke connectors restart`), then `stroke pipeline repair --replica sql`"
        )
        return
    if apply:
        made = asyncio.run(create_sink_table(sink))
        typer.echo(f"the table {sink.table} {'was made' if made else 'is there already'}")
        return
    chosen = dialect or SinkDialectName(sink.sqlalchemy_url.get_backend_name())
    typer.echo(sink_ddl(sink, chosen.value))
