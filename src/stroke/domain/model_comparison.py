"""Two models on the same patients with known outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from stroke.domain.performance import Estimate, Gap


class Verdict(StrEnum):
    """Which model a difference speaks for."""

    FIRST = "the first is better"
    SECOND = "the second is better"
    OPEN = "the data cannot tell"


class Difference(NamedTuple):
    """A measure of the second model less that of the first, on the same patients."""

    estimate: Estimate
    verdict: Verdict


HIGHER_IS_BETTER: Final[Mapping[str, bool]] = {
    "auc": True,
    "brier": False,
    "sensitivity_medium": True,
    "specificity_medium": True,
    "sensitivity_high": True,
    "specificity_high": True,
}
"""Measures whose differences are tested, and which way is better."""


class BenefitPoint(NamedTuple):
    """Net benefit of both models at ``threshold``, and the second's less the first's."""

    threshold: float
    first: float
    second: float
    difference: Difference


@dataclass(frozen=True, slots=True)
class GroupComparison:
    """Both models on one group. A group that is too small has only its size."""

    group: str
    level: str
    samples: int
    events: int | None
    first: Mapping[str, Estimate] = field(default_factory=dict)
    second: Mapping[str, Estimate] = field(default_factory=dict)
    differences: Mapping[str, Difference] = field(default_factory=dict)
    decision_curve: Sequence[BenefitPoint] = ()


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """Two models, overall (the first group) and by group.

    ``detectable`` is the difference of AUC that these data would show in 4 of 5 samples, None
    where they are too few. ``learned_from`` names the models that were trained on these data.
    """

    first_version: str
    second_version: str
    passed_over: Mapping[str, int]
    groups: Sequence[GroupComparison]
    detectable: float | None
    first_gaps: Sequence[Gap]
    second_gaps: Sequence[Gap]
    learned_from: Sequence[str] = ()
