"""The parts of a manifest: tables and figures, each of which checks itself."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stroke.domain.comparison import REFERENCE_VALUES
from stroke.domain.drift import ReferenceHistogram
from stroke.domain.features import RAW_FEATURES
from stroke.domain.model_update import Method
from stroke.domain.patient import GENDERS, OPTIONAL
from stroke.domain.performance import GAPS, MEASURES
from stroke.domain.risk import Accuracy, RiskBands


class ManifestPart(BaseModel):
    """What stands in a manifest: it does not change, and knows all of its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Share = Annotated[float, Field(ge=0, le=1)]


class Bands(ManifestPart):
    """Cut-points on the model's own probability scale."""

    medium: Annotated[float, Field(gt=0, lt=1)]
    high: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _rise(self) -> Bands:
        self.value  # noqa: B018 -- it checks itself
        return self

    @property
    def value(self) -> RiskBands:
        """The bands in the domain's words."""
        return RiskBands(self.medium, self.high)


class Contributions(ManifestPart):
    """Which feature each column of the output ``contributions`` belongs to, and the baseline.

    ``intercept`` plus all columns is the logit of the probability.
    """

    columns: tuple[str, ...]
    intercept: float


class Metric(ManifestPart):
    """An estimate and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Compared(ManifestPart):
    """A companion of the full model, cross-validated on the same patients.

    ``auc_lost`` is the full model's AUC less the companion's, with a paired bootstrap interval.
    """

    patients: Annotated[int, Field(gt=0)]
    auc: float
    auc_of_full_model: float
    auc_lost: Metric

    @property
    def value(self) -> Accuracy:
        """The comparison in the domain's words."""
        lost = self.auc_lost
        return Accuracy(
            self.patients, self.auc, self.auc_of_full_model, lost.value, lost.low, lost.high
        )


class Lacking(ManifestPart):
    """Patients of the training data who really lacked it, and the strokes that were expected."""

    patients: Annotated[int, Field(gt=0)]
    strokes: Annotated[int, Field(ge=0)]
    expected: float


class Companion(ManifestPart):
    """How the graph scores patients who lack exactly ``missing``: it gets NaN for each of them.

    Without ``bands`` the model's own hold. ``intercept`` plus the columns of ``contributions`` is
    the logit of these patients' probability.
    """

    missing: tuple[str, ...]
    bands: Bands | None = None
    intercept: float | None = None
    metrics: dict[str, Metric] = Field(default_factory=dict)
    compared: Compared | None = None
    lacking: Lacking | None = None

    @model_validator(mode="after")
    def _known(self) -> Companion:
        if not self.missing or self.missing != tuple(n for n in OPTIONAL if n in self.missing):
            raise ValueError(f"what a companion misses is of {', '.join(OPTIONAL)}, in this order")
        return self


class Histogram(ManifestPart):
    """Shares of known values, by cuts or by labels, and the share of patients without one."""

    shares: tuple[float, ...]
    cuts: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    missing: float | None = None

    @model_validator(mode="after")
    def _whole(self) -> Histogram:
        self.value  # noqa: B018 -- it checks itself
        return self

    @property
    def value(self) -> ReferenceHistogram:
        """The histogram in the domain's words."""
        return ReferenceHistogram(self.shares, self.cuts, self.labels, self.missing)


class Quantiles(ManifestPart):
    """A figure's median over patients, and what it is below for 5 % and for 95 % of them."""

    median: float
    p5: float
    p95: float


class IntervalCheck(ManifestPart):
    """How intervals compare with a bootstrap of ``refits`` of the whole model, over patients.

    ``standard_error_ratio`` is the interval's standard error divided by the bootstrap's;
    ``coverage`` is the share of refits whose log-odds lie within the interval.
    """

    refits: Annotated[int, Field(ge=2)]
    standard_error_ratio: Quantiles
    coverage: Quantiles


class FairnessGap(ManifestPart):
    """How far apart the levels of ``group`` are, cross-validated; see the domain's ``Gap``.

    ``measure`` and ``estimate`` are None where fewer than two levels were large enough.
    """

    group: str
    measure: str | None
    estimate: Metric | None
    highest: str = ""
    lowest: str = ""
    left_out: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _known(self) -> FairnessGap:
        if self.measure is not None and self.measure not in GAPS:
            raise ValueError(f"the measure of a gap is one of {', '.join(GAPS)}")
        if (self.measure is None) != (self.estimate is None):
            raise ValueError("a gap has both a measure and an estimate, or neither")
        return self


class CalibrationBin(ManifestPart):
    """Mean predicted and observed risk of ``samples`` patients, with a 95 % interval."""

    predicted: Share
    observed: Share
    low: Share
    high: Share
    samples: Annotated[int, Field(gt=0)]


class NetBenefit(ManifestPart):
    """Net benefit per patient of acting from ``threshold`` on, and of acting on everybody."""

    threshold: Annotated[float, Field(gt=0, lt=1)]
    net_benefit: float
    low: float
    high: float
    treat_all: float


class GroupMeasures(ManifestPart):
    """How right the model was about one group; of one that is too small there are no measures.

    ``measures`` has names of ``MEASURES``.
    """

    group: str
    level: str
    samples: Annotated[int, Field(ge=0)]
    events: int | None
    measures: dict[str, Metric]

    @model_validator(mode="after")
    def _known(self) -> GroupMeasures:
        if unknown := [name for name in self.measures if name not in MEASURES]:
            raise ValueError(f"unknown measures: {', '.join(unknown)}")
        return self


class CrossValidated(ManifestPart):
    """The curves and groups behind ``metrics``: of patients that the scored model had not seen."""

    calibration: tuple[CalibrationBin, ...]
    decision_curve: tuple[NetBenefit, ...]
    groups: tuple[GroupMeasures, ...]


Reach = tuple[float, float, float, float]
"""The lowest value, the one that few are below, the one that few are above, the highest value."""


class RareLeverage(ManifestPart):
    """Above ``rare``, a combination of values was rare; above ``highest`` there was none."""

    rare: Annotated[float, Field(gt=0)]
    highest: Annotated[float, Field(gt=0)]


class SupportTables(ManifestPart):
    """How far the training patients' values reach.

    ``ranges``: over all of them, by measurement; ``by_age``: over those of about the same age, by
    measurement and whole year, from 0 on. ``kinds``: how many there were of each category;
    ``kinds_by_age``: of about the same age, by whole year.
    ``leverage`` is that of the graph's output of this name.
    """

    few: Annotated[int, Field(ge=1)]
    few_nearby: Annotated[int, Field(ge=1)]
    few_of_kind: Annotated[int, Field(ge=1)]
    too_few_of_kind: Annotated[int, Field(ge=1)]
    nearby_years: Annotated[float, Field(gt=0)]
    ranges: dict[str, Reach]
    by_age: dict[str, Annotated[tuple[Reach, ...], Field(min_length=1)]]
    kinds: dict[str, dict[str, int]]
    kinds_by_age: dict[str, dict[str, tuple[int, ...]]]
    leverage: RareLeverage

    @model_validator(mode="after")
    def _known(self) -> SupportTables:
        if set(self.ranges) != {"age", *OPTIONAL} or set(self.by_age) != set(OPTIONAL):
            raise ValueError(f"ranges are of age, {', '.join(OPTIONAL)}; by_age has no age")
        tables: list[tuple[Any, ...]] = list(self.by_age.values())
        tables += [counts for kinds in self.kinds_by_age.values() for counts in kinds.values()]
        if len({len(table) for table in tables}) > 1:
            raise ValueError("tables by age have as many years for each measurement and category")
        if unknown := {*self.kinds, *self.kinds_by_age} - set(RAW_FEATURES):
            raise ValueError(f"kinds of unknown features: {', '.join(sorted(unknown))}")
        return self


class ComparisonTables(ManifestPart):
    """The average risk by gender and whole year of age, from 0 on, and the reference's log-odds.

    ``reference_log_odds`` has, for the full model and each companion, the sum of what
    ``reference_values`` contribute.
    """

    average: dict[str, Annotated[tuple[float, ...], Field(min_length=2)]]
    reference_values: dict[str, Any]
    reference_log_odds: tuple[float, ...]

    @model_validator(mode="after")
    def _known(self) -> ComparisonTables:
        if unknown := set(self.average) - set(GENDERS):
            raise ValueError(f"averages of unknown genders: {', '.join(sorted(unknown))}")
        if len({len(table) for table in self.average.values()}) > 1:
            raise ValueError("average has as many years for each gender")
        if not all(0 < risk < 1 for table in self.average.values() for risk in table):
            raise ValueError("an average risk lies between 0 and 1")
        if self.reference_values != REFERENCE_VALUES:
            raise ValueError("the reference values are not those of this version")
        return self


class UpdateTest(ManifestPart):
    """The largest method of an update held against a smaller one: see ``LikelihoodTest``."""

    against: Method
    statistic: Annotated[float, Field(ge=0)]
    degrees: Annotated[int, Field(ge=1)]
    p_value: Share


class SiteShrinkage(ManifestPart):
    """How the intercept of a small site was drawn towards that of all: see ``Shrinkage``."""

    method: Method
    sites: Annotated[int, Field(ge=0)]
    patients: Annotated[int, Field(ge=1)]
    strokes: Annotated[int, Field(ge=0)]
    expected: Annotated[float, Field(ge=0)]
    difference: float
    weight: Share
    variance: Annotated[float, Field(ge=0)]


class Updated(ManifestPart):
    """What an update by outcomes made of which model.

    ``intercept + slope * log-odds`` of the ``parent`` are the log-odds; ``covariance`` is of these
    two. They are None where the model was refitted. ``patients`` and ``strokes`` chose the method,
    in ``tests`` at ``alpha``. ``before`` has the parent's measures on the patients behind the
    manifest's ``metrics``. ``interval`` says how the interval was made, or why there is none.
    """

    parent: str
    parent_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    method: Method
    intercept: float | None = None
    slope: Annotated[float, Field(gt=0)] | None = None
    covariance: tuple[tuple[float, float], tuple[float, float]] | None = None
    data_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    patients: Annotated[int, Field(gt=0)]
    strokes: Annotated[int, Field(ge=0)]
    site: str | None = None
    alpha: Annotated[float, Field(gt=0, lt=1)]
    tests: tuple[UpdateTest, ...]
    left_out: tuple[str, ...] = ()
    shrinkage: SiteShrinkage | None = None
    before: dict[str, Metric] = Field(default_factory=dict)
    interval: str

    @model_validator(mode="after")
    def _whole(self) -> Updated:
        line = (self.intercept, self.slope, self.covariance)
        if self.method is Method.NONE:
            raise ValueError("an update has a method")
        if any((part is None) != (self.method is Method.REFIT) for part in line):
            raise ValueError("a line has intercept, slope and covariance, and a refit has none")
        return self
