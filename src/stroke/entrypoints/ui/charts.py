"""Where things are in the page's charts: geometry in percent, which SVG takes as attributes.

The policy of the pages allows no inline style; the paint is in classes of style.css.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from stroke.domain.risk import Contribution

# The scale of risks ends here, or at 1 where something passes it.
_USUAL_END: Final = 0.4
_TICKS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99)
_APART: Final = 9.0
_MARGIN: Final = 0.08
_VISIBLE: Final = 0.8
_LEAST: Final = 1e-6


def percent(share: float) -> str:
    """Return a share as an attribute of SVG, kept within the picture."""
    return f"{min(max(share, 0.0), 1.0) * 100:.2f}".rstrip("0").rstrip(".") + "%"


def scale_end(probabilities: Iterable[float | None]) -> float:
    """Return where a scale of these risks ends: at 0.4, or at 1."""
    return _USUAL_END if all((p or 0) <= _USUAL_END for p in probabilities) else 1.0


class Step(NamedTuple):
    """One bar of the waterfall: from ``start`` to ``end``, in percent of the width."""

    contribution: Contribution
    start: float
    end: float

    @property
    def left(self) -> str:
        """Where the bar begins."""
        return percent(min(self.start, self.end, 100 - _VISIBLE) / 100)

    @property
    def width(self) -> str:
        """How long it is: long enough to be seen."""
        return percent(max(abs(self.end - self.start), _VISIBLE) / 100)


class Waterfall(NamedTuple):
    """The path from the model's baseline to the patient, on the scale of log-odds."""

    first: float
    steps: Sequence[Step]
    last: float
    ticks: Sequence[tuple[float, float]]
    """Risks, and where they are."""


def logit(probability: float) -> float:
    """Return the log-odds of a probability; those of 0 and 1 are kept finite."""
    p = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(p / (1 - p))


def waterfall(baseline: float, contributions: Sequence[Contribution]) -> Waterfall:
    """Return the waterfall of an explanation. Only log-odds add up exactly."""
    points = [baseline]
    for each in contributions:
        points.append(points[-1] + each.log_odds)
    low, high = min(points), max(points)
    margin = max(high - low, 0.5) * _MARGIN
    low, high = low - margin, high + margin

    def at(log_odds: float) -> float:
        return (log_odds - low) / (high - low) * 100

    steps = [
        Step(each, at(start), at(end))
        for each, start, end in zip(contributions, points, points[1:], strict=False)
    ]
    ticks: list[tuple[float, float]] = []
    for risk in _TICKS:
        place = at(logit(risk))
        if 0 <= place <= 100 and (not ticks or place - ticks[-1][1] >= _APART):  # noqa: PLR2004
            ticks.append((risk, place))
    return Waterfall(at(baseline), steps, at(points[-1]), ticks)


def figures(count: int) -> list[tuple[int, float, bool]]:
    """Return the hundred figures: x, y, and whether each is one of ``count``.

    They are filled from the top left in rows of ten, and parted after five, to be counted.
    """
    return [
        (
            place % 10 * 20 + (6 if place % 10 >= 5 else 0),  # noqa: PLR2004
            place // 10 * 20.5 + (6 if place // 10 >= 5 else 0),  # noqa: PLR2004
            place < count,
        )
        for place in range(100)
    ]


def round_top(value: float) -> float:
    """Return a round number that is at least ``value``, for the top of an axis."""
    if value <= 0:
        return 1
    size: float = 10 ** math.floor(math.log10(value))
    for step in (1, 2, 2.5, 4, 5, 8, 10):
        if step * size >= value:
            return step * size
    return 10 * size
