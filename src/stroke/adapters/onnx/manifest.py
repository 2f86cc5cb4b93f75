"""The manifest of a model artefact: what the graph next to it is, and how it was made."""

from __future__ import annotations

import hashlib
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError, model_validator

from stroke.adapters.onnx.declared_features import DeclaredFeature
from stroke.adapters.onnx.manifest_parts import (
    Bands,
    Companion,
    ComparisonTables,
    Contributions,
    CrossValidated,
    FairnessGap,
    Histogram,
    IntervalCheck,
    ManifestPart,
    Metric,
    SupportTables,
    Updated,
)
from stroke.domain.drift import WATCHED
from stroke.domain.errors import InvalidModel, InvalidPatient, ModelNotFound
from stroke.domain.features import DERIVED_FROM, FEATURES, RAW_FEATURES
from stroke.domain.further import check_declared
from stroke.domain.patient import OPTIONAL, Patient
from stroke.domain.risk import Lacked, ModelDescription, ModelVariant, RiskBands

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


class Manifest(ManifestPart):
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
