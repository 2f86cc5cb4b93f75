"""A risk and its explanation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple

from stroke.domain.drift import References

TOP_FACTORS: Final = 3


class RiskCategory(StrEnum):
    """Band of a risk, in words that fit the stored column (10 characters)."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"


@dataclass(frozen=True, slots=True)
class RiskBands:
    """Cut-points on one model's own probability scale: ``medium`` and ``high`` start there."""

    medium: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.medium < self.high < 1:
            raise ValueError("bands need 0 < medium < high < 1")

    def categorise(self, probability: float) -> RiskCategory:
        """Return the category of ``probability`` (left-closed bands)."""
        if probability >= self.high:
            return RiskCategory.HIGH
        return RiskCategory.MEDIUM if probability >= self.medium else RiskCategory.LOW


class Contribution(NamedTuple):
    """What one feature adds to this patient's risk, in log-odds against the model's baseline."""

    feature: str
    value: str | float | int
    log_odds: float

    @property
    def direction(self) -> Literal["raises", "lowers", "none"]:
        """Whether the feature raises or lowers this patient's risk."""
        if self.log_odds > 0:
            return "raises"
        return "lowers" if self.log_odds < 0 else "none"


@dataclass(frozen=True, slots=True)
class RiskAssessment:
    """A probability of stroke and why.

    ``contributions`` has one entry per feature, strongest first, and with the baseline's
    log-odds sums to the probability's logit (to 1e-9).
    """

    probability: float
    category: RiskCategory
    contributions: tuple[Contribution, ...]
    baseline_log_odds: float

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError("a probability lies between 0 and 1")

    @property
    def factors(self) -> list[str]:
        """Names of the features that move this patient's risk most, strongest first."""
        return [c.feature for c in self.contributions[:TOP_FACTORS] if c.log_odds]


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What a served model says of itself; the manifest of its artefact, in the domain's words.

    ``metrics`` maps a metric's name to ``{"value", "low", "high"}`` (95 % bootstrap interval);
    ``training`` holds the facts of its training data and ``histograms`` their distribution; all
    are empty for a model that came without them.
    """

    name: str
    version: str
    model_type: str
    sha256: str
    features: tuple[str, ...]
    bands: RiskBands
    metrics: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    histograms: References = field(default_factory=dict)
