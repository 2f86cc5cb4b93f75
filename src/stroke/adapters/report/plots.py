"""Plots of results, as SVG for a page. Text stays text, and no meaning rests on colour alone."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final, Literal, NamedTuple

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

MOST_BARS: Final = 20
"""If there are more groups, the plot shows the largest."""

Row = Mapping[str, Any]
Rows = Sequence[Row]

# Okabe and Ito (2008): distinct with any colour vision.
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#767676"
_OF_RISK: Final = {"Low": GREEN, "Medium": BLUE, "High": ORANGE}
_WIDTH, _LOWEST = 8.0, 2.2  # inches
_MOST_LETTERS: Final = 36
_MOST_DAYS: Final = 3_660
_TALL: Final = 6
_STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "stroke",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.parse_math": False,  # a name may have dollars in it
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
}
_EPOCH: Final = date(1970, 1, 1)
_PROLOGUE: Final = re.compile(r"\A.*?(?=<svg)|<metadata>.*?</metadata>", re.DOTALL)
_GROUP_ID: Final = re.compile(r'(<g) id="[^"]*"')
_REFERENCE: Final = re.compile(r'(id="|href="#|url\(#)')
_ELEMENT: Final = re.compile(r"\s*<svg\s+([^>]*)>(.*)</svg>\s*", re.DOTALL)


class Svg(NamedTuple):
    """An ``svg`` element taken apart, so that a template can put a title into it."""

    attributes: Markup
    content: Markup


def draw(rows: Rows, keys: Sequence[str], mark: str) -> Svg | None:
    """Return a plot of an analysis's rows, None for an analysis that has none.

    ``keys`` are the columns that name a group. ``mark`` is unique to this plot on its page.
    """
    plot = _plot_of(rows, keys)
    return None if plot is None else as_svg(lambda: plot(rows), mark)


def as_svg(plot: Callable[[], Figure], mark: str) -> Svg:
    """Return what ``plot`` draws, in the style of all plots.

    ``mark`` is unique to this plot on its page: the ids inside the plot begin with it. This is
    the one place that declares HTML safe: matplotlib escapes the text that it writes.
    """
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # The reader's fonts draw the text, so it does not matter which fonts this machine lacks.
        warnings.filterwarnings("ignore", message="Glyph")
        figure = plot()
        sink = io.StringIO()
        figure.savefig(sink, format="svg", metadata={"Date": None})
    svg = _GROUP_ID.sub(r"\1", _PROLOGUE.sub("", sink.getvalue()))
    parts = _ELEMENT.fullmatch(_REFERENCE.sub(rf"\g<1>{mark}-", svg))
    if parts is None:
        raise AssertionError("matplotlib writes one svg element")
    return Svg(Markup(parts[1]), Markup(parts[2]))  # noqa: S704


def group_of(row: Row, keys: Sequence[str]) -> str:
    """Return the name of a row's group."""
    if len(keys) == 1:
        return str(row[keys[0]])
    if all(str(row[key]) in ("0", "1", "(missing)") for key in keys):
        return ", ".join(f"{key.replace('_', ' ')} {row[key]}" for key in keys)
    return ", ".join(str(row[key]) for key in reversed(keys))


def drawn(rows: Rows) -> Rows:
    """Return the rows that are drawn as bars: the largest groups, in the order of all."""
    if len(rows) <= MOST_BARS:
        return rows
    largest = sorted(range(len(rows)), key=lambda at: -rows[at]["predictions"])[:MOST_BARS]
    return [rows[at] for at in sorted(largest)]


def shorten(name: str) -> str:
    """Return a group's name as far as there is room for it."""
    return name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}…"


def _plot_of(rows: Rows, keys: Sequence[str]) -> Callable[[Rows], Figure] | None:
    columns = rows[0].keys() if rows else {}
    if "high_rate" in columns:
        return lambda found: _rates(found, keys)
    by_key: dict[str, Callable[[Rows], Figure]] = {
        "op": lambda found: _bars(found, keys, "events"),
        "risk_category": lambda found: _bars(found, keys, "predictions"),
        "factor": _factors,
        "low": _histogram,
        "day": _days,
    }
    return by_key.get(keys[0]) if keys and keys[0] in columns else None


def _figure(bars: int = 0) -> Figure:
    """Return a figure with room for so many bars under each other."""
    return Figure(figsize=(_WIDTH, max(_LOWEST, 1.0 + 0.32 * bars)), layout="constrained")


def _name_bars(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [shorten(name) for name in names])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.margins(y=0.02)


def _count(axes: Axes, what: str, *, along: Literal["x", "y"] = "x") -> None:
    axis = axes.xaxis if along == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axis.set_label_text(what)
    axes.grid(axis=along, color="#dddddd")


def _bars(rows: Rows, keys: Sequence[str], what: str) -> Figure:
    figure = _figure(len(rows))
    axes = figure.subplots()
    names = [group_of(row, keys) for row in rows]
    colours = [_OF_RISK.get(name, GREY if keys[0] == "risk_category" else BLUE) for name in names]
    drawn_bars = axes.barh(range(len(rows)), [row[what] for row in rows], color=colours)
    axes.bar_label(drawn_bars, fmt="{:,.0f}", padding=3)
    _name_bars(axes, names)
    _count(axes, what)
    axes.margins(x=0.12)
    return figure


def _rates(rows: Rows, keys: Sequence[str]) -> Figure:
    """Bars of the counts, and next to them the rates with their intervals."""
    rows = drawn(rows)
    figure = _figure(len(rows))
    counts, rates = figure.subplots(1, 2, sharey=True)
    counts.barh(range(len(rows)), [row["predictions"] for row in rows], color=BLUE)
    _name_bars(counts, [group_of(row, keys) for row in rows])
    _count(counts, "predictions")
    rated = [(at, row) for at, row in enumerate(rows) if row["high_rate"] is not None]
    if rated:
        middle = [row["high_rate"] for _, row in rated]
        beyond = [
            [max(row["high_rate"] - row["high_rate_low"], 0) for _, row in rated],
            [max(row["high_rate_high"] - row["high_rate"], 0) for _, row in rated],
        ]
        places = [at for at, _ in rated]
        rates.errorbar(middle, places, xerr=beyond, fmt="o", color=ORANGE, capsize=3, clip_on=False)
    rates.set_xlim(left=0)
    rates.tick_params(axis="y", length=0)
    rates.xaxis.set_major_formatter(PercentFormatter(1))
    rates.xaxis.set_major_locator(MaxNLocator(nbins=5))
    rates.set_xlabel("share of High, with its 95 % interval")
    rates.grid(color="#dddddd")
    return figure


def _factors(rows: Rows) -> Figure:
    rows = drawn(rows)
    figure = _figure(len(rows))
    axes = figure.subplots()
    first = [row["named_first"] for row in rows]
    later = [row["predictions"] - row["named_first"] for row in rows]
    places = range(len(rows))
    axes.barh(places, first, color=BLUE, label="named first")
    axes.barh(
        places,
        later,
        left=first,
        color="#9fc5e8",
        hatch="//",
        edgecolor="white",
        label="second or third",
    )
    _name_bars(axes, [group_of(row, ["factor"]) for row in rows])
    _count(axes, "predictions")
    axes.legend(frameon=False, loc="lower right")
    return figure


def _histogram(rows: Rows) -> Figure:
    figure = _figure(_TALL)
    axes = figure.subplots()
    bins = [row for row in rows if row["low"] is not None]
    axes.bar(
        [row["low"] for row in bins],
        [row["predictions"] for row in bins],
        width=[row["high"] - row["low"] for row in bins],
        align="edge",
        color=BLUE,
        edgecolor="white",
    )
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("predicted probability")
    _count(axes, "predictions", along="y")
    return figure


def _days(rows: Rows) -> Figure:
    """Lines over all days from the first to the last; on those without a row there was nothing."""
    figure = _figure(_TALL)
    axes = figure.subplots()
    known = {row["day"]: row for row in rows if row["day"] is not None}
    days = _days_of(sorted(known))
    for column, name, colour, line in (
        ("predictions", "all", BLUE, "-"),
        ("high_risk", "High", ORANGE, "--"),
    ):
        counts = [known[day][column] if day in known else 0 for day in days]
        mark = "o" if len(days) <= MOST_BARS else None
        axes.plot(list(map(_number, days)), counts, line, color=colour, marker=mark, label=name)
    if len(days) == 1:  # an axis around one point would show years
        axes.set_xlim(_number(days[0]) - 1, _number(days[0]) + 1)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(_name_of_day))
    axes.set_ylim(bottom=0)
    _count(axes, "predictions", along="y")
    axes.legend(frameon=False)
    return figure


def _days_of(known: Sequence[date]) -> Sequence[date]:
    span = (known[-1] - known[0]).days if known else 0
    if not 0 < span <= _MOST_DAYS:  # one, or a time that is a mistake
        return known
    return [known[0] + timedelta(days=passed) for passed in range(span + 1)]


def _name_of_day(number: float, _: int | None) -> str:
    try:
        return str(_EPOCH + timedelta(days=number))
    except OverflowError:  # beyond the years 1 to 9999, where an axis may have a mark
        return ""


def _number(day: date) -> int:
    return (day - _EPOCH).days
