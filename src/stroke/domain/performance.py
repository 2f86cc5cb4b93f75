"""How right a model was: measures with intervals, and when one of them has dropped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from stroke.domain.prediction import PredictionFilter, Span

ALL: Final = "all"


class Worse(StrEnum):
    """Which way a measure gets worse, and what "by more than a share" means for it."""

    LOWER = "below the reference by more than the share of it"
    HIGHER = "above the reference by more than the share of it"
    EITHER = "off the reference, either way, by more than the share of it"
    SHIFTED = "off the reference, either way, by more than log(1 + share): the odds by the share"


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure: its name in a model's manifest, its ideal if it has one, and its bad side."""

    title: str
    worse: Worse
    in_manifest: str | None = None
    ideal: float | None = None


# The one table of what a drop is.
MEASURES: Final[Mapping[str, Measure]] = {
    "auc": Measure("AUC", Worse.LOWER, "auc"),
    "brier": Measure("Brier score", Worse.HIGHER, "brier"),
    "calibration_slope": Measure("calibration slope", Worse.EITHER, "calibration_slope", 1.0),
    "calibration_intercept": Measure(
        "calibration intercept", Worse.SHIFTED, "calibration_intercept", 0.0
    ),
    "oe_ratio": Measure("observed / expected", Worse.EITHER, "observed_to_expected", 1.0),
    "ece": Measure("expected calibration error", Worse.HIGHER, "ece"),
    "sensitivity_medium": Measure("sensitivity, Medium and High", Worse.LOWER),
    "specificity_medium": Measure("specificity, Medium and High", Worse.LOWER),
    "sensitivity_high": Measure("sensitivity, High", Worse.LOWER),
    "specificity_high": Measure("specificity, High", Worse.LOWER),
}


class Estimate(NamedTuple):
    """A measure's value and its 95 % interval, which holds the value."""

    value: float
    low: float
    high: float

    @classmethod
    def bounded(
        cls,
        value: float,
        low: float,
        high: float,
        *,
        least: float = -math.inf,
        most: float = math.inf,
    ) -> Estimate:
        """Return an estimate whose interval stays within what the measure can be.

        The interval holds ``value`` whatever was lost by rounding: a share of 0 whose lower bound
        came out as 1e-18 has the bound 0.
        """
        return cls(value, max(min(low, value), least), min(max(high, value), most))


class CurvePoint(NamedTuple):
    """Net benefit per patient of treating from ``threshold`` on, and of treating everybody."""

    threshold: float
    net_benefit: float
    low: float
    high: float
    treat_all: float


class CalibrationPoint(NamedTuple):
    """Mean predicted and observed risk of ``samples`` patients of neighbouring risks."""

    predicted: float
    observed: float
    low: float
    high: float
    samples: int


@dataclass(frozen=True, slots=True)
class GroupPerformance:
    """How right a model was about one group of patients.

    A group that is too small has no measures; ``events`` is None where even their number
    would show too much.
    """

    group: str
    level: str
    samples: int
    events: int | None
    measures: Mapping[str, Estimate] = field(default_factory=dict)
    calibration: Sequence[CalibrationPoint] = ()
    decision_curve: Sequence[CurvePoint] = ()


GAPS: Final[Mapping[str, str]] = {
    "equalised_odds_medium": "equalised odds, Medium and High",
    "equalised_odds_high": "equalised odds, High",
    "calibration_in_the_large": "calibration in the large",
}


@dataclass(frozen=True, slots=True)
class Gap:
    """How far apart a model treats the levels of a ``group``: a difference of shares, 0 to 1.

    ``measure`` is one of ``GAPS``. For equalised odds (Hardt et al. 2016) it is the larger one of
    two differences: of the sensitivity, and of the share of false positives. For calibration in
    the large it is the difference of observed less predicted risk. ``highest`` and ``lowest`` are
    the levels that lie furthest apart. ``left_out`` are levels that are too small; where fewer
    than two are left, measure and estimate are None.
    """

    group: str
    measure: str | None
    estimate: Estimate | None
    highest: str
    lowest: str
    left_out: Sequence[str] = ()

    def exceeds(self, limit: float) -> bool:
        """Return whether even the lower end of the interval is above ``limit``."""
        return self.estimate is not None and self.estimate.low > limit


@dataclass(frozen=True, slots=True)
class PerformanceReport:
    """How right one version of a model was, overall (the first group) and by group.

    ``references`` are what measures are held against, ``dropped`` says for each watched measure
    with a value and a reference whether it is worse by more than the share. ``passed_over``
    predictions have an outcome and no usable probability or category.
    """

    model_version: str
    made_at: datetime
    within: PredictionFilter
    groups: Sequence[GroupPerformance]
    references: Mapping[str, float]
    dropped: Mapping[str, bool]
    passed_over: int
    made: Span | None = None
    """When the first and the last of its predictions were made; None without a prediction."""
    others: Mapping[str, int] = field(default_factory=dict)
    """Other versions that have predictions with an outcome, and how many."""
    gaps: Sequence[Gap] = ()
    """How far apart the levels of each group are."""


def has_dropped(measure: str, estimate: Estimate, reference: float, share: float) -> bool:
    """Return whether ``estimate`` is worse than ``reference`` by more than ``share``, surely.

    Surely: the reference lies outside of the estimate's 95 % interval, so that a few outcomes
    raise no alarm by chance. ``MEASURES`` says which way is worse.
    """
    value, low, high = estimate
    if low <= reference <= high:
        return False
    match MEASURES[measure].worse:
        case Worse.LOWER:
            return value < reference * (1 - share)
        case Worse.HIGHER:
            return value > reference * (1 + share)
        case Worse.EITHER:
            return abs(value - reference) > share * abs(reference)
        case Worse.SHIFTED:
            return abs(value - reference) > math.log1p(share)
