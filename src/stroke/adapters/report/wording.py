"""Text of a report: cells of tables, and descriptions of plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date
from typing import Any, Final

from stroke.adapters.report.plots import drawn, group_of
from stroke.domain.prediction import Span

_SHARES: Final = ("share", "high_rate", "high_rate_low", "high_rate_high")
_HEADINGS: Final = {
    "op": "operation",
    "high_risk": "High",
    "high_rate": "share of High",
    "high_rate_low": "from",
    "high_rate_high": "to",
    "low": "from",
    "high": "to",
    "bmi_category": "BMI category",
}
_OPERATIONS: Final = {"c": "created", "u": "updated", "d": "deleted", "r": "read by a snapshot"}
_TOLD: Final = 5  # groups that a description names


def period(made: Span | None) -> str:
    """Return when predictions were made, from the first to the last of them."""
    if made is None:
        return "no prediction was made"
    first, last = (f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" for moment in made)
    return f"{first} to {last} UTC"


def decimal(value: float | None, otherwise: str) -> str:
    """Return a measure with four digits, and no sign where they are all 0."""
    return otherwise if value is None else f"{value:z.4f}"


def heading(column: str) -> str:
    """Return the heading of a column."""
    return _HEADINGS.get(column, column.replace("_", " "))


def cell(column: str, value: Any) -> str:
    """Return a value as a table shows it."""
    if value is None:
        return "too few" if column in (*_SHARES, "high_risk") else "not recorded"
    if column in _SHARES:
        return f"{value:.1%}"
    if column == "op":
        return f"{value} ({_OPERATIONS.get(value, 'unknown')})"
    if isinstance(value, float):
        return f"{value:z.2f}" if column in ("low", "high") else f"{value:z.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def is_number(column: str, value: Any) -> bool:
    """Return whether a value stands right in its column."""
    return isinstance(value, (int, float)) or (value is None and column not in ("day", "low"))


def described(rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> str:
    """Return what a plot of the rows shows, for screen readers."""
    what = next(name for name in ("events", "predictions") if name in rows[0])
    if keys[0] == "low":
        return _histogram(rows)
    if keys[0] == "day":
        return _days(rows)
    parts = [
        f"{group_of(row, keys)}: {row[what]:,} {what}{_rate(row)}"
        for row in sorted(drawn(rows), key=lambda row: -row[what])[:_TOLD]
    ]
    rest = len(rows) - len(parts)
    more = f"; and {rest} more" if rest else ""
    return f"Bars, the longest first. {'; '.join(parts)}{more}. All numbers are in the table."


def _rate(row: Mapping[str, Any]) -> str:
    if row.get("high_rate") is None:
        return ""
    low, high = row["high_rate_low"], row["high_rate_high"]
    return f", {row['high_rate']:.1%} High ({low:.1%} to {high:.1%})"


def _histogram(rows: Sequence[Mapping[str, Any]]) -> str:
    bins = [row for row in rows if row["low"] is not None]
    top = max(bins, key=lambda row: row["predictions"])
    total = sum(row["predictions"] for row in bins)
    return (
        f"A histogram of {total:,} probabilities; most of them, {top['predictions']:,}, lie from "
        f"{top['low']:.0%} to {top['high']:.0%}. All numbers are in the table."
    )


def _days(rows: Sequence[Mapping[str, Any]]) -> str:
    known: list[tuple[date, int]] = [
        (row["day"], row["predictions"]) for row in rows if row["day"] is not None
    ]
    if not known:
        return "Lines without a day. All numbers are in the table."
    day, most = max(known, key=lambda each: each[1])
    return (
        f"Two lines of predictions per day, all and those that are High, from {known[0][0]} to "
        f"{known[-1][0]}; the most on one day, {most:,}, on {day}. All numbers are in the table."
    )
