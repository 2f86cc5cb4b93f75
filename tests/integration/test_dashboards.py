"""The dashboards that are committed: what their code makes, and SQL that runs on the sink.

The SQL panels are for SQL Server, which cannot run here. Their queries are kept in what it shares
with PostgreSQL: they run on that, with the sink's own table, and parse as T-SQL.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlglot
from sqlalchemy import make_url
from sqlglot import expressions as sql

from components.boards import DASHBOARDS, dashboards, expressions, selectors, sql_queries
from components.containers import ROOT, PostgreSqlServer
from components.processes import environment
from stroke.adapters.sql.tables import predictions
from stroke.adapters.sql_sink.schema import ddl

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC).replace(tzinfo=None)  # as rows hold it
SINCE, UNTIL = "2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z"


def test_the_code_makes_the_committed_dashboards_byte_for_byte(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "boards", "--to", str(tmp_path)]
    subprocess.run(command, env=environment(PYTHONPATH="deploy/grafana"), cwd=ROOT, check=True)

    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_bytes() for path in DASHBOARDS.iterdir()}
    assert made.keys() == {"service.json", "pipeline.json", "host.json", "insights.json"}


def test_every_panel_says_what_it_shows_and_asks_a_source_that_is_provisioned() -> None:
    provisioned = re.findall(
        r"^ +uid: (\S+)$",
        (ROOT / "deploy/grafana/provisioning/datasources/stroke.yaml").read_text(),
        re.MULTILINE,
    )
    for board in dashboards().values():
        for panel in board["panels"]:
            if panel["type"] != "row":
                assert panel["description"].endswith("."), panel["title"]
                assert panel["datasource"]["uid"] in provisioned
                assert panel["targets"]


def test_panels_stand_beside_each_other_and_not_on_each_other() -> None:
    for board in dashboards().values():
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            assert at["x"] + at["w"] <= 24, panel["title"]
            cells = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert not cells & taken, panel["title"]
            taken |= cells


def test_the_series_of_an_expression_are_found() -> None:
    found = selectors('sum by (le) (rate(a_b{x="1",y=~"c{2}|d"}[1m])) or vector(0) - e:f:g')

    assert found == {("a_b", frozenset({"x", "y"})), ("e:f:g", frozenset())}
    assert all(selectors(expression) for _, expression in expressions())


def rows() -> list[dict[str, Any]]:
    """Return patients of three provinces; of the last one too few to be shown."""
    return [
        {
            "id": n,
            "timestamp": NOW - timedelta(days=n % 20),
            "age": 5.0 + n % 90,
            "province": ("Ontario", None, "Quebec")[n % 2] if n < 200 else "Nunavut",
            "probability": (n % 40) / 100,
            "risk_category": "Low" if n % 40 < 20 else "High",
            "model_version": "m1" if n < 100 else "m2",
        }
        for n in range(203)
    ]


@pytest.fixture(scope="module")
def sink(postgresql: PostgreSqlServer) -> str:
    url = make_url(postgresql.new_database())
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)

    async def fill() -> None:
        connection = await asyncpg.connect(address)
        try:
            await connection.execute(ddl(predictions, "predictions", "postgresql"))
            names = list(rows()[0])
            await connection.copy_records_to_table(
                "predictions", columns=names, records=[tuple(row.values()) for row in rows()]
            )
        finally:
            await connection.close()

    asyncio.run(fill())
    return address


def ask(address: str, query: str) -> list[dict[str, Any]]:
    async def run() -> list[dict[str, Any]]:
        connection = await asyncpg.connect(address)
        try:
            return [dict(row) for row in await connection.fetch(_expanded(query))]
        finally:
            await connection.close()

    return asyncio.run(run())


def _expanded(query: str) -> str:
    # As Grafana's SQL Server plugin writes it out.
    return re.sub(r"\$__timeFilter\(([^)]+)\)", rf"\1 BETWEEN '{SINCE}' AND '{UNTIL}'", query)


@pytest.mark.parametrize("where", sql_queries())
def test_a_panel_gets_rows_from_the_sinks_table(sink: str, where: str) -> None:
    found = ask(sink, sql_queries()[where])

    assert found
    total = sum(row["predictions"] for row in found)
    assert 200 <= total <= 203
    assert all(row["predictions"] >= 5 for row in found), "a group so small can be recognised"


@pytest.mark.parametrize("where", sql_queries())
def test_a_panels_query_is_t_sql_to_a_parser_and_names_no_patient(where: str) -> None:
    tree = sqlglot.parse_one(_expanded(sql_queries()[where]), dialect="tsql")

    known = set(predictions.columns.keys())
    aliases = {alias.alias for alias in tree.find_all(sql.Alias)}
    asked = {column.name for column in tree.find_all(sql.Column)}
    assert asked <= known | aliases
    assert not asked & {"id", "name", "idempotency_key", "prediction_data"}


def test_the_panel_of_ages_counts_by_tens(sink: str) -> None:
    (query,) = (text for where, text in sql_queries().items() if where.endswith(": Ages"))

    expected: dict[int, int] = {}
    for row in rows():
        decade = int(row["age"] // 10 * 10)
        expected[decade] = expected.get(decade, 0) + 1
    found = {row["age_from"]: row["predictions"] for row in ask(sink, query)}
    assert found == {decade: count for decade, count in expected.items() if count >= 5}


def test_the_time_range_of_the_dashboard_is_kept(sink: str) -> None:
    (query,) = (text for where, text in sql_queries().items() if where.endswith(": Days"))

    days = [row["day"] for row in ask(sink, query)]
    assert days == sorted({row["timestamp"].date() for row in rows()})
    assert datetime.now(UTC).date() not in days
