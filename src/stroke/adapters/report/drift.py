"""The drift of predictions from the training data, as one HTML page that needs nothing else."""

from __future__ import annotations

from typing import Any, Final

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from stroke.adapters.report.cells import Cell
from stroke.adapters.report.plots import BLUE, GREY, as_svg
from stroke.adapters.report.templating import fill
from stroke.adapters.report.wording import decimal, period
from stroke.application.quality.drift import DriftReport
from stroke.domain.drift import Drift

_COLUMNS: Final = (
    Cell("feature"),
    Cell("PSI", is_number=True),
    Cell("predictions", is_number=True),
    Cell("unknown", is_number=True),
    Cell("drifted"),
)


def render(report: DriftReport, *, threshold: float, minimum: int) -> str:
    """Return the page. It has no script, no font, no address, and shows no patient.

    A feature has drifted when its stability index is above ``threshold`` and it was counted in
    ``minimum`` predictions or more.
    """
    return fill(
        "drift.html.j2",
        predictions=f"{report.predictions:,}",
        model_version=report.model_version,
        made=period(report.made),
        columns=_COLUMNS,
        rows=[_row(each, threshold, minimum) for each in report.drifts],
        plots=[_plot(each, f"f{at}") for at, each in enumerate(report.drifts)],
    )


def drift_plot(each: Drift) -> Figure:
    """Return bars of the shares per bin: those of the training data and of the predictions."""
    figure = Figure(figsize=(6.0, 3.2), layout="constrained")
    axes = figure.subplots()
    at = range(len(each.shares))
    axes.bar([x - 0.2 for x in at], each.histogram.expected, 0.4, color=GREY, label="training data")
    axes.bar([x + 0.2 for x in at], each.shares, 0.4, color=BLUE, label="predictions")
    axes.set_xticks(list(at), each.histogram.names, rotation=30, ha="right")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(frameon=False)
    return figure


def _row(each: Drift, threshold: float, minimum: int) -> list[Cell]:
    drifted = "yes" if each.is_beyond(threshold, minimum) else "no"
    if each.samples < minimum:
        drifted = f"too few to say (fewer than {minimum:,})"
    return [
        Cell(each.feature, is_header=True),
        Cell(decimal(each.psi, "no predictions"), is_number=True),
        Cell(f"{each.samples:,}", is_number=True),
        Cell(f"{each.observed.unknown:,}", is_number=True),
        Cell(drifted),
    ]


def _plot(each: Drift, mark: str) -> dict[str, Any]:
    title = f"{each.feature}: training data and predictions"
    bins = zip(each.histogram.names, each.histogram.expected, each.shares, strict=True)
    return {
        "svg": as_svg(lambda: drift_plot(each), mark),
        "id": mark,
        "title": title,
        "text": "; ".join(
            f"{name}: {expected:.1%} and {actual:.1%}" for name, expected, actual in bins
        ),
        "caption": f"{title}.",
    }
