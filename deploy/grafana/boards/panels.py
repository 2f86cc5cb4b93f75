"""What the dashboards are made of: panels of Prometheus and of SQL Server, with one look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from grafana_foundation_sdk.builders import (
    barchart,
    bargauge,
    dashboard,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog import builder as cog
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardLinkType,
    DataSourceRef,
    Panel,
)

PROMETHEUS: Final = DataSourceRef(type_val="prometheus", uid="prometheus")
SQL_SERVER: Final = DataSourceRef(type_val="mssql", uid="sql-server")
_WIDTH: Final = 24
_HEIGHT: Final = 8

Expressions: TypeAlias = Mapping[str, str] | str
PanelBuilder: TypeAlias = cog.Builder[Panel]


class SqlQuery(variants.Dataquery):
    """A query of Grafana's SQL Server data source, for which the SDK has no type.

    The fields are those that Grafana's own editor stores for a query in its code mode.
    """

    def __init__(self, sql: str) -> None:
        self.sql = sql

    def to_json(self) -> dict[str, object]:
        """Return the query as it stands in the dashboard."""
        return {
            "refId": "A",
            "datasource": SQL_SERVER,
            "rawQuery": True,
            "editorMode": "code",
            "format": "table",
            "rawSql": self.sql,
        }


class _Sql(cog.Builder[variants.Dataquery]):
    def __init__(self, sql: str) -> None:
        self._sql = sql

    def build(self) -> variants.Dataquery:
        return SqlQuery(self._sql)


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard; ``uid`` is its file's name, too."""

    uid: str
    built: Dashboard

    def text(self) -> str:
        """Return its JSON, the same bytes for the same code."""
        return JSONEncoder(sort_keys=True, indent=2).encode(self.built) + "\n"


def board(uid: str, title: str, description: str, rows: Mapping[str, list[PanelBuilder]]) -> Board:
    """Return a dashboard of ``rows``, each a title with its panels."""
    made = (
        dashboard.Dashboard(title)
        .uid(f"stroke-{uid}")
        .description(description)
        .tags(["stroke"])
        .readonly()
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("utc")
        .link(
            dashboard.DashboardLink("stroke")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["stroke"])
            .keep_time(True)
        )
    )
    for name, panels in rows.items():
        made = made.with_row(dashboard.Row(name))
        for panel in panels:
            made = made.with_panel(panel)
    return Board(uid, made.build())


def lines(
    title: str, expressions: Expressions, *, unit: str, about: str, span: int = _WIDTH // 3
) -> timeseries.Panel:
    """Return lines over time, one or more for each expression; names may use ``{{label}}``."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .datasource(PROMETHEUS)
        .unit(unit)
        .min(0)
        .height(_HEIGHT)
        .span(span)
        .fill_opacity(8)
    )
    for name, expression in _named(expressions).items():
        panel = panel.with_target(_query(name, expression).range())
    return panel


def number(
    title: str, expression: str, *, unit: str, about: str, span: int = _WIDTH // 6
) -> stat.Panel:
    """Return what an expression is now, in large figures."""
    return (
        stat.Panel()
        .title(title)
        .description(about)
        .datasource(PROMETHEUS)
        .unit(unit)
        .height(_HEIGHT // 2)
        .span(span)
        .with_target(_query("", expression).instant())
    )


def bars(
    title: str, expression: str, name: str, *, unit: str, about: str, span: int = _WIDTH // 3
) -> bargauge.Panel:
    """Return a bar for each series of an expression, as it is now."""
    return (
        bargauge.Panel()
        .title(title)
        .description(about)
        .datasource(PROMETHEUS)
        .unit(unit)
        .min(0)
        .height(_HEIGHT)
        .span(span)
        .with_target(_query(name, expression).instant())
    )


def sql_bars(title: str, sql: str, *, about: str, span: int = _WIDTH // 3) -> barchart.Panel:
    """Return a bar for each row of a query: its first column names it."""
    return (
        barchart.Panel()
        .title(title)
        .description(about)
        .datasource(SQL_SERVER)
        .height(_HEIGHT)
        .span(span)
        .with_target(_Sql(sql))
    )


def sql_table(title: str, sql: str, *, about: str, span: int = _WIDTH // 3) -> table.Panel:
    """Return the rows of a query."""
    return (
        table.Panel()
        .title(title)
        .description(about)
        .datasource(SQL_SERVER)
        .height(_HEIGHT)
        .span(span)
        .with_target(_Sql(sql))
    )


def _named(expressions: Expressions) -> Mapping[str, str]:
    return {"": expressions} if isinstance(expressions, str) else expressions


def _query(name: str, expression: str) -> prometheus.Dataquery:
    query = prometheus.Dataquery().expr(expression)
    return query.legend_format(name) if name else query
