"""How a model is updated by the outcomes of its patients, and what said so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from typing import Final

from stroke.domain.performance import Estimate

_NORMAL_95: Final = 1.959963984540054

Covariance = tuple[tuple[float, float], tuple[float, float]]
"""Of intercept and slope, in this order."""


class Method(StrEnum):
    """What an update estimates anew; the earlier ones are special cases of the later ones."""

    NONE = "none"
    INTERCEPT = "intercept"
    LINE = "intercept and slope"
    REFIT = "refit"


@dataclass(frozen=True, slots=True)
class RecalibrationLine:
    """``intercept + slope * log-odds`` are the new log-odds. What was not estimated varies by 0."""

    intercept: float = 0.0
    slope: float = 1.0
    covariance: Covariance = ((0.0, 0.0), (0.0, 0.0))

    @property
    def is_identity(self) -> bool:
        """Whether it changes nothing."""
        return (self.intercept, self.slope) == (0.0, 1.0)

    @property
    def intercept_interval(self) -> Estimate:
        """The intercept with its 95 % Wald interval."""
        return _with_interval(self.intercept, self.covariance[0][0])

    @property
    def slope_interval(self) -> Estimate:
        """The slope with its 95 % Wald interval."""
        return _with_interval(self.slope, self.covariance[1][1])


@dataclass(frozen=True, slots=True)
class LikelihoodTest:
    """The largest method held against a smaller one by their likelihoods.

    ``statistic`` is twice the difference of the log-likelihoods. Where the smaller one suffices it
    has a chi-square distribution with ``degrees`` of freedom; ``p_value`` is how often one so large
    comes by chance.
    """

    against: Method
    statistic: float
    degrees: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """How the intercept of one site was drawn towards that of all sites.

    The site's ``strokes`` stand against those ``expected`` by the line of all. ``difference`` is
    what is believed of the site's own log-odds, ``weight`` (0 to 1) the part that its own patients
    have in it; ``variance`` is that of the true differences between ``sites`` sites, which are
    those that are large enough to say. ``method`` is what was chosen for all patients.
    """

    method: Method
    sites: int
    patients: int
    strokes: int
    expected: float
    difference: float
    weight: float
    variance: float


@dataclass(frozen=True, slots=True)
class Update:
    """The method that was chosen, and the line where it is one.

    ``left_out`` says of each larger method why it took no part. ``patients`` and ``strokes`` are
    those the method was chosen by. ``shrinkage`` is there for a site that was too small alone.
    """

    method: Method
    line: RecalibrationLine
    tests: tuple[LikelihoodTest, ...]
    patients: int
    strokes: int
    left_out: tuple[str, ...] = ()
    shrinkage: Shrinkage | None = None

    @property
    def is_needed(self) -> bool:
        """Whether another model comes of it."""
        return self.method is Method.REFIT or not self.line.is_identity


def _with_interval(value: float, variance: float) -> Estimate:
    half = _NORMAL_95 * sqrt(variance)
    return Estimate(value, value - half, value + half)
