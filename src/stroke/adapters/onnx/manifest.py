"""The manifest of a model artefact: what the graph beside it is, and how it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stroke.domain.drift import WATCHED, ReferenceHistogram
from stroke.domain.errors import InvalidModel, InvalidPatient, ModelNotFound
from stroke.domain.features import FEATURES, RAW_FEATURES
from stroke.domain.patient import Patient
from stroke.domain.risk import ModelDescription, RiskBands

GRAPH: Final = "model.onnx"
MANIFEST: Final = "manifest.json"
CARD: Final = "card.md"

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


class Bands(_Part):
    """Cut-points on the model's own probability scale."""

    medium: Annotated[float, Field(gt=0, lt=1)]
    high: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _rise(self) -> Bands:
        RiskBands(self.medium, self.high)
        return self


class Contributions(_Part):
    """Which feature each column of the output ``contributions`` belongs to, and the baseline.

    ``intercept`` plus all columns is the logit of the probability.
    """

    columns: tuple[str, ...]
    intercept: float

    @model_validator(mode="after")
    def _known(self) -> Contributions:
        unknown = [column for column in self.columns if column not in RAW_FEATURES]
        if unknown:
            raise ValueError(f"contributions of unknown features: {', '.join(unknown)}")
        return self


class Metric(_Part):
    """An estimate and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Histogram(_Part):
    """Shares of the training data, by cuts of a number or by labels of a category."""

    shares: tuple[float, ...]
    cuts: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Histogram:
        self.value  # noqa: B018 -- it checks itself
        return self

    @property
    def value(self) -> ReferenceHistogram:
        """The histogram in the domain's words."""
        return ReferenceHistogram(self.shares, self.cuts, self.labels)


class Manifest(_Part):
    """See the module's docstring; version 1 of the format."""

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

    @model_validator(mode="after")
    def _known(self) -> Manifest:
        unknown = [feature for feature in self.features if feature not in FEATURES]
        if unknown:
            raise ValueError(f"unknown features: {', '.join(unknown)}")
        strange = [name for name in self.histograms if name not in WATCHED]
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

    @property
    def description(self) -> ModelDescription:
        """The manifest in the domain's words."""
        return ModelDescription(
            name=self.name,
            version=self.version,
            model_type=self.model_type,
            sha256=self.sha256,
            features=self.features,
            bands=RiskBands(self.bands.medium, self.bands.high),
            metrics={name: metric.model_dump() for name, metric in self.metrics.items()},
            training=self.training,
            histograms={
                name: self.histograms[name].value for name in WATCHED if name in self.histograms
            },
        )


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest in ``folder``. Raises ``ModelNotFound`` or ``InvalidModel``."""
    try:
        text = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise ModelNotFound(f"no {MANIFEST} in {folder}") from error
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "document"
        raise InvalidModel(f"{folder / MANIFEST}: {place}: {first['msg']}") from error
