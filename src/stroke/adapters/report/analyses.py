"""The results of a run as one HTML page that needs nothing else: plots, and their tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from stroke.adapters.report.cells import Cell
from stroke.adapters.report.plots import MOST_BARS, draw
from stroke.adapters.report.templating import fill
from stroke.adapters.report.wording import cell, described, heading, is_number
from stroke.application.analyses.queries import Analysis

MOST_ROWS: Final = 200
"""A longer table shows only its first rows."""

_LARGEST_COUNT: Final = 10**15  # greater numbers are names, such as the id of a snapshot
_VALUES: Final = frozenset(
    {"predictions", "events", "share", "high_risk", "mean_probability", "named_first", "high"}
)


def render(run: Mapping[str, Any], results: Sequence[tuple[Analysis, pa.Table]]) -> str:
    """Return the page of a run's results, without those that have a row per patient.

    ``run`` is the record of the run, which names the results that are left out too.
    """
    shown = [(analysis, rows) for analysis, rows in results if not analysis.patient_level]
    names = {analysis.name for analysis, _ in shown}
    return fill(
        "analyses.html.j2",
        run_facts=_facts(run),
        hidden=[name for name in run["rows"] if name not in names],
        sections=[_section(analysis, rows) for analysis, rows in shown],
    )


def plot(analysis: Analysis, results: pa.Table) -> str:
    """Return the plot of an analysis's rows as a ``figure`` element, "" if it has none."""
    found = _plot(analysis, results)
    return "" if found is None else fill("plot.html.j2", plot=found).strip()


def _facts(run: Mapping[str, Any]) -> dict[str, str]:
    """Return what was read, when, and by which engine."""
    began = datetime.fromisoformat(run["began"]).astimezone(UTC)
    facts = {
        "Predictions": run["predictions"],
        "Rows read" if run["source"] == "db" else "Events read": run["events"],
        "Run": f"{began:%Y-%m-%d %H:%M} UTC, in {run['seconds']:.1f} s",
        "Engine": run["engine"],
        "Source": run["source"],
        **({"Site": run["site"]} if run.get("site") else {}),
        **{heading(name): value for name, value in run["point"].items() if name != "events"},
    }
    return {name: _fact(value) for name, value in facts.items()}


def _fact(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) and abs(value) < _LARGEST_COUNT else str(value)


def _section(analysis: Analysis, results: pa.Table) -> dict[str, Any]:
    columns, rows = results.column_names, results.to_pylist()
    keys = _keys(columns)
    cut = f", the first {MOST_ROWS} of {len(rows):,} rows" if len(rows) > MOST_ROWS else ""
    return {
        "name": analysis.name,
        "title": analysis.title,
        "about": analysis.about,
        "plot": _plot(analysis, results),
        "caption": f"{analysis.table}{cut}",
        "columns": [Cell(heading(name), is_number=name not in keys) for name in columns],
        "rows": [_row(columns, row, keys) for row in rows[:MOST_ROWS]],
    }


def _keys(columns: Sequence[str]) -> list[str]:
    """Return the columns that name a group: those before the first value."""
    first = next((at for at, name in enumerate(columns) if name in _VALUES), len(columns))
    return list(columns[:first])


def _row(columns: Sequence[str], row: Mapping[str, Any], keys: Sequence[str]) -> list[Cell]:
    return [
        Cell(
            cell(name, row[name]),
            is_number=name not in keys and is_number(name, row[name]),
            is_header=name in keys,
        )
        for name in columns
    ]


def _plot(analysis: Analysis, results: pa.Table) -> dict[str, Any] | None:
    rows, keys = results.to_pylist(), _keys(results.column_names)
    svg = draw(rows, keys, analysis.name)
    if svg is None:
        return None
    caption = None
    if len(rows) > MOST_BARS and "low" not in keys and "day" not in keys:
        caption = f"The {MOST_BARS} largest of {len(rows):,} groups."
    return {
        "svg": svg,
        "id": analysis.name,
        "title": analysis.title,
        "text": described(rows, keys),
        "caption": caption,
    }
