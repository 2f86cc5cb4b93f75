"""Patients as clients send them, to be assessed or with other values."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from stroke.domain.errors import InvalidPatient
from stroke.domain.features import (
    ENGINEERED_FEATURES,
    AgeGroup,
    BmiCategory,
    GlucoseCategory,
    disagreements,
)
from stroke.domain.further import FeatureKind, Further, FurtherFeature, values_of
from stroke.domain.patient import AGE, Gender, Patient, SmokingStatus, extended
from stroke.entrypoints.api.schemas.fields import (
    BATCH_SIZE,
    Bmi,
    Country,
    Flag,
    Glucose,
    Name,
    Province,
)

PATIENT_EXAMPLE: Final[JsonDict] = {
    "gender": "Male",
    "age": 67,
    "hypertension": 0,
    "heart_disease": 1,
    "avg_glucose_level": 228.69,
    "bmi": 36.6,
    "smoking_status": "formerly smoked",
    "name": "John Doe",
    "country": "United States",
    "province": "California",
}


class PatientIn(BaseModel):
    """A patient's measurements. Unknown fields are ignored."""

    further: ClassVar[Further] = ()
    """What the served model declares for itself: see ``wire_of``."""

    # Strict: neither `true` nor `"45"` is a number. hide_input: a traceback shows no patient.
    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        json_schema_extra={"examples": [PATIENT_EXAMPLE]},
    )

    gender: Gender
    age: Annotated[float, Field(ge=AGE.low, le=AGE.high, description=AGE.unit)]
    hypertension: Annotated[Flag, Field(description="1 if diagnosed, else 0")]
    heart_disease: Annotated[Flag, Field(description="1 if diagnosed, else 0")]
    avg_glucose_level: Glucose
    bmi: Bmi
    smoking_status: SmokingStatus
    name: Name
    country: Country
    province: Province
    age_group: AgeGroup | None = Field(None, description="must agree with age")
    bmi_category: BmiCategory | None = Field(None, description="must agree with bmi")
    glucose_category: GlucoseCategory | None = Field(
        None, description="must agree with avg_glucose_level"
    )
    age_hypertension: float | None = Field(None, description="must equal age x hypertension")

    def to_domain(self) -> Patient:
        """Return the patient, or raise ``InvalidPatient`` when a derived feature disagrees."""
        patient = Patient(
            gender=self.gender,
            age=self.age,
            hypertension=int(self.hypertension),
            heart_disease=int(self.heart_disease),
            avg_glucose_level=self.avg_glucose_level,
            bmi=self.bmi,
            smoking_status=self.smoking_status,
            name=self.name,
            country=self.country,
            province=self.province,
        )
        # Most clients claim nothing, and then there is nothing to derive twice.
        if not self.model_fields_set.isdisjoint(ENGINEERED_FEATURES):
            claimed = {name: getattr(self, name) for name in ENGINEERED_FEATURES}
            if violations := disagreements(patient, claimed):
                raise InvalidPatient(violations)
        if self.further:
            given = {each.name: getattr(self, _place(at)) for at, each in enumerate(self.further)}
            return extended(patient, values_of(self.further, given))
        return patient


_Many: Final = Field(min_length=1, max_length=BATCH_SIZE)


class BatchIn(BaseModel):
    """Patients to assess together. All predictions are stored, or none."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"patients": [PATIENT_EXAMPLE]}]})

    patients: Annotated[list[PatientIn], _Many]


_OPTIONAL: Final[dict[str, Any]] = {"avg_glucose_level": Glucose, "bmi": Bmi}

_MISSING: Final = "null, or left out, where it was not measured"


@cache
def wire_of(
    may_be_missing: tuple[str, ...], further: Further = ()
) -> tuple[type[PatientIn], type[BatchIn]]:
    """Return what clients send to a model that can do without some measurements.

    They also send the ``further`` features, which the model declares for itself.
    """
    if not may_be_missing and not further:
        return PatientIn, BatchIn
    fields: dict[str, Any] = {
        name: (_OPTIONAL[name] | None, Field(None, description=_MISSING)) for name in may_be_missing
    }
    one, many = _with_examples(further) if further else (PatientIn, BatchIn)
    fields |= {_place(at): _further_field(each) for at, each in enumerate(further)}
    patient = create_model("PatientIn", __base__=one, __doc__=PatientIn.__doc__, **fields)
    patients: Any = (Annotated[list[patient], _Many], ...)  # type: ignore[valid-type]
    batch = create_model("BatchIn", __base__=many, __doc__=BatchIn.__doc__, patients=patients)
    return patient, batch


def _place(at: int) -> str:
    """Return the attribute of a further feature, whose own name may be one of pydantic's."""
    return f"further_{at}"


def _further_field(feature: FurtherFeature) -> tuple[Any, Any]:
    kind: Any
    if feature.is_text:
        kind = Literal[feature.categories]
    elif feature.kind is FeatureKind.FLAG:
        kind = Flag
    else:
        kind = Annotated[float, Field(ge=feature.low, le=feature.high)]
    words = [each for each in (feature.unit, _MISSING if feature.may_be_missing else "") if each]
    default = None if feature.may_be_missing else ...
    said = Field(
        default, alias=feature.name, title=feature.name, description="; ".join(words) or None
    )
    return kind | None if feature.may_be_missing else kind, said


def example_of(further: Further) -> JsonDict:
    """Return a patient for a document: the usual one, with the references of ``further``."""
    return PATIENT_EXAMPLE | {each.name: each.reference for each in further}


def _with_examples(declared: Further) -> tuple[type[PatientIn], type[BatchIn]]:
    """Return the usual classes with examples that have all that is asked for."""
    example = example_of(declared)

    class One(PatientIn):
        further = declared
        model_config = ConfigDict(json_schema_extra={"examples": [example]})

    class Many(BatchIn):
        model_config = ConfigDict(json_schema_extra={"examples": [{"patients": [example]}]})

    return One, Many


class ChangesIn(BaseModel):
    """Other values for the changeable ones of a patient. Age and gender stay."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        json_schema_extra={"minProperties": 1},
    )

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("too_short", "must change at least one value")
        return self


class WhatIfIn(BaseModel):
    """A patient, and other values for some of the changeable ones."""

    model_config = ConfigDict(
        strict=True,
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"patient": PATIENT_EXAMPLE, "changes": {"bmi": 27}}]},
    )

    patient: PatientIn
    changes: ChangesIn


_CHANGEABLE: Final[dict[str, Any]] = {
    "hypertension": Flag,
    "heart_disease": Flag,
    "avg_glucose_level": Glucose,
    "bmi": Bmi,
    "smoking_status": SmokingStatus,
}


@cache
def what_if_wire_of(may_be_missing: tuple[str, ...], further: Further = ()) -> type[WhatIfIn]:
    """Return what clients send to ask what the risk would be, with the model's optional values.

    The patient has the ``further`` features of the model, which are not changed. A change is
    absent or a value; null, where a measurement may be missing, means that it is. Name, country and
    province take no part in a risk, and may be left out.
    """
    left_out = Field(default_factory=lambda: None)
    values: dict[str, Any] = {
        name: (kind | None if name in may_be_missing else kind, left_out)
        for name, kind in _CHANGEABLE.items()
    }
    changes = create_model("ChangesIn", __base__=ChangesIn, __doc__=ChangesIn.__doc__, **values)
    texts: dict[str, Any] = {
        "name": (Name, ""),
        "country": (Country, ""),
        "province": (Province, ""),
    }
    patient = create_model(
        "WhatIfPatientIn",
        __base__=wire_of(may_be_missing, further)[0],
        __doc__="A patient's measurements; the texts may be left out.",
        **texts,
    )
    return create_model(
        "WhatIfIn",
        __base__=_what_if_with_example(further) if further else WhatIfIn,
        __doc__=WhatIfIn.__doc__,
        patient=(patient, ...),
        changes=(changes, ...),
    )


def _what_if_with_example(further: Further) -> type[WhatIfIn]:
    asked: JsonDict = {"patient": example_of(further), "changes": {"bmi": 27}}

    class Asked(WhatIfIn):
        model_config = ConfigDict(json_schema_extra={"examples": [asked]})

    return Asked
