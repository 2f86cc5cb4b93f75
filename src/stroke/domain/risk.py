"""A risk and its explanation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple

from stroke.domain.comparison import Comparison
from stroke.domain.drift import References
from stroke.domain.further import Further
from stroke.domain.patient import OPTIONAL, Patient, lacking
from stroke.domain.support import Support

TOP_FACTORS: Final = 3
FULL: Final = "full"
"""Name of the variant of a model that takes every measurement."""


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
    """What one feature adds to this patient's risk, in log-odds against the model's baseline.

    ``value`` is None where the measurement is missing.
    """

    feature: str
    value: str | float | int | None
    log_odds: float

    @property
    def direction(self) -> Literal["raises", "lowers", "none"]:
        """Whether the feature raises or lowers this patient's risk."""
        if self.log_odds > 0:
            return "raises"
        return "lowers" if self.log_odds < 0 else "none"


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How well a companion ranks patients, next to the full model on the same patients.

    Both were cross-validated on the same folds over ``patients`` who lacked nothing, so that
    neither had seen whom it scored. ``auc_lost`` is ``auc_of_full_model`` less ``auc``, with its
    95 % interval from a bootstrap of pairs; an interval that holds 0 means that no loss was found.
    """

    patients: int
    auc: float
    auc_of_full_model: float
    auc_lost: float
    auc_lost_low: float
    auc_lost_high: float


@dataclass(frozen=True, slots=True)
class Lacked:
    """What became of the ``patients`` of the training data who really lacked a measurement.

    The companion that is for them did not learn from their gap; it ``expected`` so many strokes.
    """

    patients: int
    strokes: int
    expected: float


class Interval(NamedTuple):
    """The 95 % interval of one patient's probability: how sure the fitted model is of it.

    It says nothing of what the model does not know, or of other populations.
    """

    low: float
    high: float

    def as_data(self) -> dict[str, float]:
        """Return what answers and rows hold of it."""
        return {"low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class RiskAssessment:
    """A probability of stroke and why.

    ``contributions`` has one entry per feature, strongest first, and with the baseline's
    log-odds sums to the probability's logit (to 1e-9). ``missing`` names the measurements that
    the patient lacked; ``accuracy`` then says what that costs, where the model knows.
    ``interval``, ``support`` and ``comparison`` are None where the model cannot say them.
    """

    probability: float
    category: RiskCategory
    contributions: tuple[Contribution, ...]
    baseline_log_odds: float
    missing: tuple[str, ...] = ()
    accuracy: Accuracy | None = None
    interval: Interval | None = None
    support: Support | None = None
    comparison: Comparison | None = None

    def __post_init__(self) -> None:
        if self.interval is None:
            if not 0 <= self.probability <= 1:
                raise ValueError("a probability lies between 0 and 1")
            return
        low, high = self.interval
        if not 0 <= low <= self.probability <= high <= 1:
            raise ValueError("an interval between 0 and 1 holds its probability")

    @property
    def factors(self) -> list[str]:
        """Names of the features that move this patient's risk most, strongest first."""
        return [c.feature for c in self.contributions[:TOP_FACTORS] if c.log_odds]

    @property
    def variant(self) -> str:
        """Name of the variant of the model that assessed the patient."""
        return variant_name(self.missing)

    def context_data(self) -> dict[str, Any]:
        """Return what answers and rows hold of interval, support and comparison."""
        return {
            "interval": None if self.interval is None else self.interval.as_data(),
            "support": None if self.support is None else self.support.as_data(),
            "comparison": None if self.comparison is None else self.comparison.as_data(),
        }


def variant_name(missing: Sequence[str]) -> str:
    """Return the name of the variant that assesses patients who lack ``missing``."""
    return f"without {' and '.join(missing)}" if missing else FULL


@dataclass(frozen=True, slots=True)
class ModelVariant:
    """What assesses the patients who lack exactly ``missing``.

    ``metrics`` and ``accuracy`` are of cross-validation, and empty where nobody measured them;
    ``lacked`` is None where the training data had no such patient.
    """

    missing: tuple[str, ...]
    bands: RiskBands
    metrics: Mapping[str, Any] = field(default_factory=dict)
    accuracy: Accuracy | None = None
    lacked: Lacked | None = None

    @property
    def name(self) -> str:
        """The variant's name."""
        return variant_name(self.missing)


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What a served model says of itself; the manifest of its artefact, in the domain's words.

    ``metrics`` maps a metric's name to ``{"value", "low", "high"}`` (95 % bootstrap interval);
    ``training`` holds the facts of its training data and ``histograms`` their distribution; all
    are empty for a model that came without them. ``companions`` assess patients who lack
    measurements: there is one for each combination of those that may be missing. ``population``
    says what it knows of those it was trained on: ``interval_check``, ``support``, ``comparison``,
    ``fairness``, ``cross_validated``; and ``updated``, what an update made of which model.
    ``further`` are the features that it declares for itself, whose names are among its
    ``features``.
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
    companions: tuple[ModelVariant, ...] = ()
    population: Mapping[str, Any] = field(default_factory=dict)
    further: Further = ()

    @property
    def variants(self) -> tuple[ModelVariant, ...]:
        """The full model, and then its companions."""
        return (ModelVariant((), self.bands, self.metrics), *self.companions)

    @property
    def may_be_missing(self) -> tuple[str, ...]:
        """The measurements that a patient may lack, in the order of ``OPTIONAL``."""
        return tuple(
            name for name in OPTIONAL if any(name in each.missing for each in self.companions)
        )

    def takes(self, patient: Patient) -> bool:
        """Return whether the model can assess ``patient``, who was asked by another one perhaps."""
        if patient.missing and lacking(patient.missing, self.may_be_missing):
            return False
        if not self.further:
            return True
        own = dict(patient.further)
        return all(each.takes(own.get(each.name)) for each in self.further)

    def asks_beyond(self, other: ModelDescription) -> list[str]:
        """Return what this model needs and callers of ``other`` need not send, by name."""
        sent = {each.name: each for each in other.further if not each.may_be_missing}
        own = {
            each.name
            for each in self.further
            if not each.may_be_missing and sent.get(each.name) is None
        }
        return sorted(own | (set(other.may_be_missing) - set(self.may_be_missing)))
