"""Plots of how right a model was: calibration, and net benefit."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from stroke.adapters.report.plots import BLUE, GREY, ORANGE
from stroke.domain.performance import CalibrationPoint, CurvePoint


def calibration_plot(points: Sequence[CalibrationPoint]) -> Figure:
    """Return observed over predicted risk, with intervals, and the diagonal."""
    figure = Figure(figsize=(6.0, 4.5), layout="constrained")
    axes = figure.subplots()
    top = 1.05 * max(max(p.predicted, p.high) for p in points)
    axes.plot([0, top], [0, top], "--", color=GREY, label="calibrated")
    beyond = [
        [max(p.observed - p.low, 0) for p in points],
        [max(p.high - p.observed, 0) for p in points],
    ]
    axes.errorbar(
        [p.predicted for p in points],
        [p.observed for p in points],
        yerr=beyond,
        fmt="o-",
        color=BLUE,
        capsize=3,
        label="observed, with its 95 % interval",
    )
    axes.set_xlim(0, top)
    axes.set_ylim(0, top)
    axes.set_xlabel("predicted risk")
    axes.set_ylabel("observed risk")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(color="#dddddd")
    axes.legend(frameon=False, loc="upper left")
    return figure


def decision_plot(points: Sequence[CurvePoint]) -> Figure:
    """Return net benefit over thresholds: by the model, for everybody, for nobody."""
    figure = Figure(figsize=(6.0, 4.5), layout="constrained")
    axes = figure.subplots()
    thresholds = [p.threshold for p in points]
    axes.fill_between(
        thresholds, [p.low for p in points], [p.high for p in points], color=BLUE, alpha=0.15
    )
    axes.plot(thresholds, [p.net_benefit for p in points], color=BLUE, label="by the model")
    axes.plot(thresholds, [p.treat_all for p in points], "--", color=ORANGE, label="everybody")
    axes.axhline(0, color=GREY, linestyle=":", label="nobody")
    highest = max(max(p.high, p.treat_all) for p in points)
    axes.set_ylim(min(-0.25 * highest, *(p.low for p in points)), 1.1 * highest)
    axes.set_xlim(0, thresholds[-1])
    axes.set_xlabel("risk from which one would treat")
    axes.set_ylabel("net benefit per patient")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(color="#dddddd")
    axes.legend(frameon=False, loc="upper right")
    return figure
