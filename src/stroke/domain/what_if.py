"""What the model would say of the same patient with other values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stroke.domain.comparison import UNCHANGEABLE
from stroke.domain.features import RAW_FEATURES
from stroke.domain.risk import RiskAssessment

CHANGEABLE: Final = tuple(name for name in RAW_FEATURES if name not in UNCHANGEABLE)
"""The features that may be changed: a person has one age, and the model knows no future."""

NOTE: Final = (
    "The model knows associations in its training data, not effects: whoever changes a value does "
    "not become the person whom the model knows with that value."
)


@dataclass(frozen=True, slots=True)
class FeatureDifference:
    """What one feature adds to the risk before and after the change, in log-odds.

    ``log_odds`` is the difference, after less before.
    """

    feature: str
    value_before: str | float | int | None
    value_after: str | float | int | None
    log_odds_before: float
    log_odds_after: float
    log_odds: float


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Two assessments by the same model, and where they differ, the strongest difference first.

    The differences and that of the baselines sum to the difference of the logits.
    """

    before: RiskAssessment
    after: RiskAssessment

    @property
    def differences(self) -> tuple[FeatureDifference, ...]:
        """One entry for each feature that the model explains."""
        after = {each.feature: each for each in self.after.contributions}
        found = [
            FeatureDifference(
                one.feature,
                one.value,
                (other := after[one.feature]).value,
                one.log_odds,
                other.log_odds,
                other.log_odds - one.log_odds,
            )
            for one in self.before.contributions
        ]
        return tuple(sorted(found, key=lambda each: -abs(each.log_odds)))
