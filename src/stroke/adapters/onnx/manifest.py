"""The manifest of a model artefact: what the graph next to it is, and how it was made."""

from __future__ import annotations

import hashlib
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stroke.domain.comparison import REFERENCE_VALUES
from stroke.domain.drift import WATCHED, ReferenceHistogram
from stroke.domain.errors import InvalidData, InvalidModel, InvalidPatient, ModelNotFound
from stroke.domain.features import DERIVED_FROM, FEATURES, RAW_FEATURES
from stroke.domain.further import FeatureKind, FurtherFeature, check_declared
from stroke.domain.model_update import Method
from stroke.domain.patient import GENDERS, OPTIONAL, Patient
from stroke.domain.performance import GAPS, MEASURES
from stroke.domain.risk import Accuracy, Lacked, ModelDescription, ModelVariant, RiskBands

GRAPH: Final = "model.onnx"
MANIFEST: Final = "manifest.json"
CARD: Final = "card.md"
PROVENANCE: Final = "provenance.json"
SIGNATURE: Final = "signature.json"

# Where SMOTE-trained models, which imported ones usually are, have always been cut.
IMPORTED_BANDS: Final = RiskBands(medium=0.3, high=0.7)

# What a patient is compared with when the manifest names nobody: the data set's typical adult.
TYPICAL: Final[dict[str, Any]] = {
    "gender": "Female",
    "age": 45.0,
    "hypertension": 0,
    "heart_disease": 0,
    "avg_glucose_level": 91.9,
    "bmi": 28.1,
    "smoking_status": "never smoked",
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


Share = Annotated[float, Field(ge=0, le=1)]


class Bands(_Part):
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


class Contributions(_Part):
    """Which feature each column of the output ``contributions`` belongs to, and the baseline.

    ``intercept`` plus all columns is the logit of the probability.
    """

    columns: tuple[str, ...]
    intercept: float


class DeclaredFeature(_Part):
    """A feature that the model declares for itself; ``FurtherFeature`` says what may be in it.

    ``range`` is a number's lowest and highest value. Explanations compare with ``reference``.
    """

    name: str
    type: FeatureKind
    range: tuple[float, float] | None = None
    unit: str = ""
    categories: tuple[str, ...] = ()
    may_be_missing: bool = False
    reference: float | str | None = None

    @model_validator(mode="after")
    def _whole(self) -> DeclaredFeature:
        if (self.range is None) == (self.type is FeatureKind.NUMBER):
            raise ValueError(f"{self.name}: a number has a range, and nothing else has one")
        self.value  # noqa: B018 -- it checks itself
        return self

    @property
    def value(self) -> FurtherFeature:
        """The declaration in the domain's words."""
        low, high = self.range or (0.0, 1.0)
        return FurtherFeature(
            self.name,
            self.type,
            low,
            high,
            self.unit,
            self.categories,
            self.may_be_missing,
            self.reference,
        )

    @classmethod
    def of(cls, feature: FurtherFeature) -> DeclaredFeature:
        """Return the part of a manifest that declares ``feature``."""
        return cls.model_validate(feature.as_data())


class _FurtherFile(_Part):
    features: tuple[DeclaredFeature, ...]


class Metric(_Part):
    """An estimate and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Compared(_Part):
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


class Lacking(_Part):
    """Patients of the training data who really lacked it, and the strokes that were expected."""

    patients: Annotated[int, Field(gt=0)]
    strokes: Annotated[int, Field(ge=0)]
    expected: float


class Companion(_Part):
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


class Histogram(_Part):
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


class Quantiles(_Part):
    """A figure's median over patients, and what it is below for 5 % and for 95 % of them."""

    median: float
    p5: float
    p95: float


class IntervalCheck(_Part):
    """How intervals compare with a bootstrap of ``refits`` of the whole model, over patients.

    ``standard_error_ratio`` is the interval's standard error divided by the bootstrap's;
    ``coverage`` is the share of refits whose log-odds lie within the interval.
    """

    refits: Annotated[int, Field(ge=2)]
    standard_error_ratio: Quantiles
    coverage: Quantiles


class FairnessGap(_Part):
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


class CalibrationBin(_Part):
    """Mean predicted and observed risk of ``samples`` patients, with a 95 % interval."""

    predicted: Share
    observed: Share
    low: Share
    high: Share
    samples: Annotated[int, Field(gt=0)]


class NetBenefit(_Part):
    """Net benefit per patient of acting from ``threshold`` on, and of acting on everybody."""

    threshold: Annotated[float, Field(gt=0, lt=1)]
    net_benefit: float
    low: float
    high: float
    treat_all: float


class GroupMeasures(_Part):
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


class CrossValidated(_Part):
    """The curves and groups behind ``metrics``: of patients that the scored model had not seen."""

    calibration: tuple[CalibrationBin, ...]
    decision_curve: tuple[NetBenefit, ...]
    groups: tuple[GroupMeasures, ...]


Reach = tuple[float, float, float, float]
"""The lowest value, the one that few are below, the one that few are above, the highest value."""


class RareLeverage(_Part):
    """Above ``rare``, a combination of values was rare; above ``highest`` there was none."""

    rare: Annotated[float, Field(gt=0)]
    highest: Annotated[float, Field(gt=0)]


class SupportTables(_Part):
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


class ComparisonTables(_Part):
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


class UpdateTest(_Part):
    """The largest method of an update held against a smaller one: see ``LikelihoodTest``."""

    against: Method
    statistic: Annotated[float, Field(ge=0)]
    degrees: Annotated[int, Field(ge=1)]
    p_value: Share


class SiteShrinkage(_Part):
    """How the intercept of a small site was drawn towards that of all: see ``Shrinkage``."""

    method: Method
    sites: Annotated[int, Field(ge=0)]
    patients: Annotated[int, Field(ge=1)]
    strokes: Annotated[int, Field(ge=0)]
    expected: Annotated[float, Field(ge=0)]
    difference: float
    weight: Share
    variance: Annotated[float, Field(ge=0)]


class Updated(_Part):
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


class Manifest(_Part):
    """See the module's docstring; version 1 of the format.

    ``companions`` say which measurements may be missing: there is one for each combination.
    """

    manifest_version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
    version: Annotated[str, Field(min_length=1, max_length=64)]
    model_type: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    features: tuple[str, ...]
    bands: Bands
    reference_patient: dict[str, Any] = Field(default_factory=lambda: dict(TYPICAL))
    contributions: Contributions | None = None
    metrics: dict[str, Metric] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    libraries: dict[str, str] = Field(default_factory=dict)
    histograms: dict[str, Histogram] = Field(default_factory=dict)
    companions: tuple[Companion, ...] = ()
    interval_check: IntervalCheck | None = None
    fairness: tuple[FairnessGap, ...] = ()
    cross_validated: CrossValidated | None = None
    support: SupportTables | None = None
    comparison: ComparisonTables | None = None
    further_features: tuple[DeclaredFeature, ...] = ()
    updated: Updated | None = None

    @model_validator(mode="after")
    def _known(self) -> Manifest:
        further = tuple(each.value for each in self.further_features)
        check_declared(further)
        declared = [each.name for each in further]
        if unused := [name for name in declared if name not in self.features]:
            raise ValueError(f"further features that the model does not take: {', '.join(unused)}")
        unknown = [name for name in self.features if name not in {*FEATURES, *declared}]
        if unknown:
            raise ValueError(f"unknown features: {', '.join(unknown)}")
        explained = () if self.contributions is None else self.contributions.columns
        if unknown := [name for name in explained if name not in {*RAW_FEATURES, *declared}]:
            raise ValueError(f"contributions of unknown features: {', '.join(unknown)}")
        strange = [name for name in self.histograms if name not in {*WATCHED, *declared}]
        if strange:
            raise ValueError(f"histograms of what is not watched: {', '.join(strange)}")
        missing = [name for name in RAW_FEATURES if name not in self.reference_patient]
        if missing:
            raise ValueError(f"the reference patient lacks {', '.join(missing)}")
        try:
            Patient(**{name: self.reference_patient[name] for name in RAW_FEATURES})
        except InvalidPatient as error:
            raise ValueError(f"the reference patient is not plausible: {error}") from error
        return self

    @model_validator(mode="after")
    def _whole(self) -> Manifest:
        """Check that whatever may be missing may be so in every combination, and alone."""
        missing = [companion.missing for companion in self.companions]
        names = [name for name in OPTIONAL if any(name in each for each in missing)]
        wanted = {each for n in range(len(names)) for each in combinations(names, n + 1)}
        if len(set(missing)) < len(missing) or set(missing) != wanted:
            raise ValueError(
                f"{' and '.join(names)} may be missing: one companion for each combination of them"
            )
        for feature, measurement in DERIVED_FROM.items():
            if feature in self.features and measurement in names:
                raise ValueError(f"{measurement} must not be missing: {feature} is derived from it")
        if self.contributions and any(each.intercept is None for each in self.companions):
            raise ValueError("each companion of a graph that gives contributions has an intercept")
        compared = self.comparison
        if compared is not None and len(compared.reference_log_odds) != 1 + len(self.companions):
            raise ValueError("reference_log_odds has a number for the model and each companion")
        return self

    @property
    def description(self) -> ModelDescription:
        """The manifest in the domain's words."""
        return ModelDescription(
            name=self.name,
            version=self.version,
            model_type=self.model_type,
            sha256=self.sha256,
            features=self.features,
            bands=self.bands.value,
            metrics=_dumped(self.metrics),
            training=self.training,
            histograms={
                name: self.histograms[name].value
                for name in (*WATCHED, *(each.name for each in self.further_features))
                if name in self.histograms
            },
            companions=tuple(
                ModelVariant(
                    each.missing,
                    (each.bands or self.bands).value,
                    _dumped(each.metrics),
                    None if each.compared is None else each.compared.value,
                    None if each.lacking is None else Lacked(**each.lacking.model_dump()),
                )
                for each in self.companions
            ),
            population=self._population(),
            further=tuple(each.value for each in self.further_features),
        )

    def _population(self) -> dict[str, Any]:
        """Return what readers of the model may see of its tables."""
        known: dict[str, Any] = {}
        if self.interval_check is not None:
            known["interval_check"] = self.interval_check.model_dump()
        if self.fairness:
            known["fairness"] = [each.model_dump(mode="json") for each in self.fairness]
        if self.cross_validated is not None:
            known["cross_validated"] = self.cross_validated.model_dump(mode="json")
        if self.support is not None:
            known["support"] = self.support.model_dump(exclude={"by_age", "kinds_by_age"})
        if self.comparison is not None:
            known["comparison"] = self.comparison.model_dump()
        if self.updated is not None:
            known["updated"] = self.updated.model_dump(mode="json")
        return known


def _dumped(metrics: dict[str, Metric]) -> dict[str, Any]:
    return {name: metric.model_dump() for name, metric in metrics.items()}


def read_further(path: Path) -> tuple[FurtherFeature, ...]:
    """Return the features that the JSON file ``path`` declares: a list, as a manifest has it.

    Raises ``InvalidData`` saying what is wrong with it.
    """
    try:
        text = path.read_bytes()
        features = _FurtherFile.model_validate_json(b'{"features":%s}' % text).features
        further = tuple(each.value for each in features)
        check_declared(further)
    except OSError as error:
        raise InvalidData(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"][1:]))
        raise InvalidData(f"{path}: {f'{place}: ' if place else ''}{first['msg']}") from error
    except ValueError as error:
        raise InvalidData(f"{path}: {error}") from error
    return further


def read_manifest(folder: Path, *, sha256: str | None = None) -> Manifest:
    """Return the manifest in ``folder``, which has the ``sha256`` if one is given.

    Raises ``ModelNotFound`` or ``InvalidModel``.
    """
    try:
        text = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise ModelNotFound(f"no {MANIFEST} in {folder}") from error
    if sha256 is not None and hashlib.sha256(text).hexdigest() != sha256:
        raise InvalidModel(f"{folder / MANIFEST} is not the one that was signed")
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "document"
        raise InvalidModel(f"{folder / MANIFEST}: {place}: {first['msg']}") from error
