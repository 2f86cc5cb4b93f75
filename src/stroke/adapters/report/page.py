"""A run's results as one HTML page that needs nothing else: plots in it, and tables beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

import pyarrow as pa

from stroke.adapters.report.plots import MOST_BARS, draw
from stroke.adapters.report.wording import cell, described, heading, is_number
from stroke.application.analyses.queries import Analysis

MOST_ROWS: Final = 200
"""Of longer tables the page has the first rows."""

_LARGEST_COUNT: Final = 10**15  # greater numbers name something, as a snapshot's id does
_VALUES: Final = frozenset(
    {"predictions", "events", "share", "high_risk", "mean_probability", "named_first", "high"}
)
STYLE: Final = """
:root { color-scheme: light; }
body { font: 1rem/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 0; }
main, header, footer { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { line-height: 1.2; margin-bottom: .5rem; }
h2 { margin-top: 3rem; border-top: 1px solid #767676; padding-top: 1rem; }
a { color: #004f7c; }
nav ul { columns: 16rem; padding-left: 1.2rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 1rem 0; } svg { width: 100%; height: auto; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: #4d4d4d; padding-bottom: .3rem; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #ddd; }
th.number, td.number { text-align: right; }
tbody th { font-weight: 400; }
@media print { h2 { break-after: avoid; } figure, tr { break-inside: avoid; } }
@media print { nav { display: none; } }
"""


def render(run: Mapping[str, Any], results: Sequence[tuple[Analysis, pa.Table]]) -> str:
    """Return the page of a run's results, without those that have a row per patient.

    ``run`` is the record of the run, which names them too.
    """
    shown = [(analysis, rows) for analysis, rows in results if not analysis.patient_level]
    links = "".join(f'<li><a href="#{a.name}">{escape(a.title)}</a></li>' for a, _ in shown)
    sections = "".join(_section(analysis, rows) for analysis, rows in shown)
    names = {analysis.name for analysis, _ in shown}
    hidden = [name for name in run["rows"] if name not in names]
    left_out = f"<p>Not shown, since they have a row per patient: {escape(', '.join(hidden))}.</p>"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<title>Stroke-risk predictions: report</title>"
        f"<style>{STYLE}</style></head>\n<body><header>"
        "<h1>Stroke-risk predictions</h1>"
        "<p>What the model predicted, not what happened: predictions have no outcome. "
        "“High” is the model's highest category of risk.</p>"
        f"{_facts(run)}{left_out if hidden else ''}"
        f'<nav aria-label="Analyses"><ul>{links}</ul></nav></header>\n'
        f"<main>{sections}</main></body></html>\n"
    )


def _facts(run: Mapping[str, Any]) -> str:
    """Return what was read, when, and by what."""
    began = datetime.fromisoformat(run["began"]).astimezone(UTC)
    facts = {
        "Predictions": run["predictions"],
        "Rows read" if run["source"] == "db" else "Events read": run["events"],
        "Run": f"{began:%Y-%m-%d %H:%M} UTC, in {run['seconds']:.1f} s",
        "Engine": run["engine"],
        "Source": run["source"],
        **{heading(name): value for name, value in run["point"].items() if name != "events"},
    }
    pairs = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(_fact(value))}</dd>" for name, value in facts.items()
    )
    return f"<dl>{pairs}</dl>"


def _fact(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) and abs(value) < _LARGEST_COUNT else str(value)


def _section(analysis: Analysis, rows: pa.Table) -> str:
    found = rows.to_pylist()
    keys = _keys(rows.column_names)
    return (
        f'<section aria-labelledby="{analysis.name}">'
        f'<h2 id="{analysis.name}">{escape(analysis.title)}</h2>'
        f"<p>{escape(analysis.about)}</p>{plot(analysis, rows)}"
        f"{_table(analysis, rows.column_names, found, keys)}</section>\n"
    )


def _keys(columns: Sequence[str]) -> list[str]:
    """Return the columns that name a group: those before the first value."""
    first = next((at for at, name in enumerate(columns) if name in _VALUES), len(columns))
    return list(columns[:first])


def plot(analysis: Analysis, results: pa.Table) -> str:
    """Return the plot of an analysis's rows as a ``figure`` element, nothing if it has none."""
    rows, keys = results.to_pylist(), _keys(results.column_names)
    svg = draw(rows, keys, analysis.name)
    if svg is None:
        return ""
    text = escape(described(rows, keys))
    named = f"{analysis.name}-title {analysis.name}-text"
    svg = svg.replace("<svg ", f'<svg role="img" aria-labelledby="{named}" ', 1)
    begin = svg.index(">") + 1
    titles = (
        f'<title id="{analysis.name}-title">{escape(analysis.title)}</title>'
        f'<desc id="{analysis.name}-text">{text}</desc>'
    )
    note = ""
    if len(rows) > MOST_BARS and "low" not in keys and "day" not in keys:
        note = f"<figcaption>The {MOST_BARS} largest of {len(rows):,} groups.</figcaption>"
    return f"<figure>{svg[:begin]}{titles}{svg[begin:]}{note}</figure>"


def _table(
    analysis: Analysis,
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    keys: Sequence[str],
) -> str:
    head = "".join(
        f'<th scope="col"{_numbered(name not in keys)}>{escape(heading(name))}</th>'
        for name in columns
    )
    body = "".join(_row(columns, row, keys) for row in rows[:MOST_ROWS])
    cut = f", the first {MOST_ROWS} of {len(rows):,} rows" if len(rows) > MOST_ROWS else ""
    label = f"Table: {escape(analysis.title)}"
    return (
        f'<div class="table" role="region" tabindex="0" aria-label="{label}">'
        f"<table><caption>{escape(analysis.table)}{cut}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(columns: Sequence[str], row: Mapping[str, Any], keys: Sequence[str]) -> str:
    cells = []
    for name in columns:
        text = escape(cell(name, row[name]))
        if name in keys:
            cells.append(f'<th scope="row">{text}</th>')
        else:
            cells.append(f"<td{_numbered(is_number(name, row[name]))}>{text}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _numbered(wanted: bool) -> str:
    return ' class="number"' if wanted else ""
