"""How far predictions are from the training data, as one HTML page that needs nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import Final

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from stroke.adapters.report.page import STYLE
from stroke.adapters.report.plots import BLUE, GREY, as_svg, labelled
from stroke.application.quality.drift import DriftReport
from stroke.domain.drift import Drift

_METHOD: Final = (
    "The population stability index (PSI) is the sum over bins of (actual - expected) x "
    "ln(actual / expected). By convention 0.1 is a minor shift and 0.25 a major one; of few "
    "predictions it is noise."
)


def render(report: DriftReport, *, threshold: float, minimum: int) -> str:
    """Return the page. It has no script, no font, no address, and no patient."""
    rows = "".join(_row(each, threshold, minimum) for each in report.drifts)
    figures = "".join(_figure(each, f"f{at}") for at, each in enumerate(report.drifts))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<title>Stroke-risk predictions: drift</title>"
        f"<style>{STYLE}</style></head>\n<body><header><h1>Drift</h1>"
        f"<p>{report.predictions:,} predictions of {escape(report.model_version)}, made from "
        f"{_moment(report.within.since, 'the first')} to {_moment(report.within.until, 'the last')}"
        f", held against its training data. {escape(_METHOD)}</p></header>\n"
        '<main><section aria-labelledby="table"><h2 id="table">Features and score</h2>'
        '<div class="table" role="region" tabindex="0" aria-label="Drift"><table>'
        "<caption>Drift</caption><thead><tr>"
        '<th scope="col">feature</th><th scope="col" class=number>PSI</th>'
        '<th scope="col" class=number>predictions</th><th scope="col" class=number>unknown</th>'
        f'<th scope="col">drifted</th></tr></thead><tbody>{rows}</tbody></table></div></section>'
        f'<section aria-labelledby="plots"><h2 id="plots">Distributions</h2>{figures}</section>'
        "</main></body></html>\n"
    )


def drift_plot(each: Drift) -> Figure:
    """Return the shares of the training data and of the predictions, bin by bin."""
    figure = Figure(figsize=(6.0, 3.2), layout="constrained")
    axes = figure.subplots()
    at = range(len(each.shares))
    axes.bar([x - 0.2 for x in at], each.histogram.shares, 0.4, color=GREY, label="training data")
    axes.bar([x + 0.2 for x in at], each.shares, 0.4, color=BLUE, label="predictions")
    axes.set_xticks(list(at), each.histogram.names, rotation=30, ha="right")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(frameon=False)
    return figure


def _row(each: Drift, threshold: float, minimum: int) -> str:
    psi = "none" if each.psi is None else f"{each.psi:.4f}"
    said = "yes" if each.is_beyond(threshold, minimum) else "no"
    if each.tally.samples < minimum:
        said = f"too few to say (fewer than {minimum:,})"
    return (
        f'<tr><th scope="row">{escape(each.feature)}</th><td class="number">{psi}</td>'
        f'<td class="number">{each.tally.samples:,}</td>'
        f'<td class="number">{each.tally.unknown:,}</td><td>{said}</td></tr>'
    )


def _figure(each: Drift, mark: str) -> str:
    told = "; ".join(
        f"{name}: {expected:.1%} and {actual:.1%}"
        for name, expected, actual in zip(
            each.histogram.names, each.histogram.shares, each.shares, strict=True
        )
    )
    title = f"{each.feature}: training data and predictions"
    return labelled(as_svg(lambda: drift_plot(each), mark), f"{mark}-t", title, told)


def _moment(moment: datetime | None, otherwise: str) -> str:
    return otherwise if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
