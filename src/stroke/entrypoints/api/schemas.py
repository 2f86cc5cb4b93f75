"""The wire: what clients send and get. A public contract: names and meanings only ever grow."""

from __future__ import annotations

import datetime as dt
import re
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from stroke.application.erasure.subjects import MOST_SUBJECTS, REFERENCE
from stroke.domain.errors import InvalidPatient
from stroke.domain.features import AgeGroup, BmiCategory, GlucoseCategory, disagreements
from stroke.domain.outcome import SOURCE_LENGTH, Outcome
from stroke.domain.patient import (
    AGE,
    AVG_GLUCOSE_LEVEL,
    BMI,
    COUNTRY_LENGTH,
    NAME_LENGTH,
    PROVINCE_LENGTH,
    Gender,
    Patient,
    SmokingStatus,
    flag_of,
)
from stroke.domain.prediction import LARGEST_ID
from stroke.domain.support import ReasonCode, SupportLevel

BATCH_SIZE: Final = 10_000

# C0, DEL and C1 controls; JSON itself keeps lone surrogates out.
PRINTABLE: Final = r"^[^\x00-\x1f\x7f-\x9f]*$"

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
PREDICTION_EXAMPLE: Final[JsonDict] = {
    "probability": 0.214,
    "risk_category": "High",
    "contributing_factors": ["age", "avg_glucose_level", "bmi"],
    "prediction_id": 42,
    "explanation": [
        {"feature": "age", "value": 67.0, "log_odds": 1.31, "direction": "raises"},
        {"feature": "avg_glucose_level", "value": 228.69, "log_odds": 0.42, "direction": "raises"},
        {"feature": "bmi", "value": 36.6, "log_odds": -0.08, "direction": "lowers"},
    ],
    "model_version": "1.0.0",
    "interval": {"low": 0.151, "high": 0.294},
    "support": {"level": "within", "reasons": []},
    "comparison": {
        "average_risk": 0.121,
        "relative_to_average": 1.77,
        "reference_risk": 0.088,
        "relative_to_reference": 2.43,
        "equal_age": 76.4,
    },
}

OUTCOME_EXAMPLE: Final[JsonDict] = {
    "stroke": True,
    "date": "2026-11-03",
    "source": "stroke register",
}


def _exact_flag(number: float) -> int:
    # Pydantic's own multiple_of=1 takes what is nearly a multiple: 0.999999999999999.
    flag = flag_of(number)
    if flag is None:
        raise PydanticCustomError("multiple_of", "Input should be 0 or 1")
    return flag


# 0 and 1 arrive as integers from most clients, as 0.0 and 1.0 from data frames with a gap in
# the column: one number to JSON, which is why the schema may call both an integer.
Flag = Annotated[
    float,
    Field(ge=0, le=1),
    AfterValidator(_exact_flag),
    WithJsonSchema({"type": "integer", "enum": [0, 1]}),
]
Glucose = Annotated[
    float,
    Field(ge=AVG_GLUCOSE_LEVEL.low, le=AVG_GLUCOSE_LEVEL.high, description=AVG_GLUCOSE_LEVEL.unit),
]
Bmi = Annotated[float, Field(ge=BMI.low, le=BMI.high, description=BMI.unit)]
Name = Annotated[str, Field(max_length=NAME_LENGTH, pattern=PRINTABLE)]
Country = Annotated[str, Field(max_length=COUNTRY_LENGTH, pattern=PRINTABLE)]
Province = Annotated[str, Field(max_length=PROVINCE_LENGTH, pattern=PRINTABLE)]


EXACT_AS_FLOAT: Final = 2**53


def _whole(number: object) -> object:
    # 7.0 is the integer 7 in JSON Schema. Beyond 2^53 a float may stand for another integer than
    # the one that was sent.
    if isinstance(number, float) and number.is_integer() and abs(number) < EXACT_AS_FLOAT:
        return int(number)
    return number


WHOLE: Final = BeforeValidator(_whole)
"""For an integer of a strict class, behind its bounds: takes what JSON Schema calls one."""


class PatientIn(BaseModel):
    """A patient's measurements. Unknown fields are ignored."""

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
        claimed = {
            "age_group": self.age_group,
            "bmi_category": self.bmi_category,
            "glucose_category": self.glucose_category,
            "age_hypertension": self.age_hypertension,
        }
        # Most clients claim nothing, and then there is nothing to derive twice.
        if any(claim is not None for claim in claimed.values()) and (
            violations := disagreements(patient, claimed)
        ):
            raise InvalidPatient(violations)
        return patient


_Many: Final = Field(min_length=1, max_length=BATCH_SIZE)


class BatchIn(BaseModel):
    """Patients to assess together. All predictions are stored, or none."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"patients": [PATIENT_EXAMPLE]}]})

    patients: Annotated[list[PatientIn], _Many]


_OPTIONAL: Final[dict[str, Any]] = {"avg_glucose_level": Glucose, "bmi": Bmi}
_MISSING: Final = "null, or left out, where it was not measured"


@cache
def wire_of(may_be_missing: tuple[str, ...]) -> tuple[type[PatientIn], type[BatchIn]]:
    """Return what clients send to a model that can do without some measurements."""
    if not may_be_missing:
        return PatientIn, BatchIn
    optional: dict[str, Any] = {
        name: (_OPTIONAL[name] | None, Field(None, description=_MISSING)) for name in may_be_missing
    }
    patient = create_model("PatientIn", __base__=PatientIn, __doc__=PatientIn.__doc__, **optional)
    patients: Any = (Annotated[list[patient], _Many], ...)  # type: ignore[valid-type]
    batch = create_model("BatchIn", __base__=BatchIn, __doc__=BatchIn.__doc__, patients=patients)
    return patient, batch


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
def what_if_wire_of(may_be_missing: tuple[str, ...]) -> type[WhatIfIn]:
    """Return what clients send to ask what the risk would be, with the model's optional values.

    A change is absent or a value; null, where a measurement may be missing, means that it is.
    Name, country and province take no part in a risk, and may be left out.
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
        __base__=wire_of(may_be_missing)[0],
        __doc__="A patient's measurements; the texts may be left out.",
        **texts,
    )
    return create_model(
        "WhatIfIn",
        __base__=WhatIfIn,
        __doc__=WhatIfIn.__doc__,
        patient=(patient, ...),
        changes=(changes, ...),
    )


class ContributionOut(BaseModel):
    """What one feature adds to this patient's risk, against the model's baseline."""

    feature: str
    value: str | int | float | None = Field(description="null where it was not measured")
    log_odds: float
    direction: Literal["raises", "lowers", "none"]


class AccuracyOut(BaseModel):
    """How well the companion ranks patients, next to the full model on the same patients.

    Both are cross-validated: neither had seen whom it scored.
    """

    patients: int = Field(description="patients who lacked nothing, scored by both")
    auc: float = Field(description="of the companion")
    auc_of_full_model: float
    auc_lost: float = Field(description="auc_of_full_model less auc; negative for a gain")
    auc_lost_low: float = Field(description="lower end of its 95 % interval")
    auc_lost_high: float = Field(
        description="upper end; an interval that holds 0 means that no loss was found"
    )


class IntervalOut(BaseModel):
    """The 95 % interval of this patient's probability: how sure the fitted model is of it."""

    low: Annotated[float, Field(ge=0, le=1)]
    high: Annotated[float, Field(ge=0, le=1)]


class SupportReasonOut(BaseModel):
    """One reason why patients like this one were rare in the training data, or not there."""

    code: ReasonCode = Field(description="stable name of the reason")
    features: list[str] = Field(description="the value that is rare, then what it is rare for")
    fewer_than: int | None = Field(description="the number of patients that the code speaks of")
    text: str = Field(description="the reason in English")


class SupportOut(BaseModel):
    """Whether the training data speak for this patient."""

    level: SupportLevel = Field(
        description="within: patients like this one were common; edge: they were rare; outside: "
        "there was none, so that the estimate is a guess of the model's form"
    )
    reasons: list[SupportReasonOut] = Field(description="empty where the level is within")


class ComparisonOut(BaseModel):
    """The risk beside two others of the same model; null where one is not known."""

    average_risk: float | None = Field(
        description="mean of people of this age and gender in the training data"
    )
    relative_to_average: float | None = Field(description="probability divided by average_risk")
    reference_risk: float | None = Field(
        description="of the same person with reference values of the changeable factors: no "
        "hypertension, no heart disease, never smoked, BMI 25, glucose 90 mg/dL"
    )
    relative_to_reference: float | None = Field(description="probability divided by reference_risk")
    equal_age: float | None = Field(
        description="lowest age in years at which the mean of this gender reaches this risk; null "
        "where there is none"
    )


class PredictionOut(BaseModel):
    """A prediction whose row is committed.

    The last three fields are there only where a measurement was missing. ``interval``, ``support``
    and ``comparison`` are null where the model, or the version that stored the row, has none.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [PREDICTION_EXAMPLE]})

    probability: Annotated[float, Field(ge=0, le=1)]
    risk_category: Literal["Low", "Medium", "High"]
    contributing_factors: list[str] = Field(description="strongest first")
    prediction_id: Annotated[int, Field(ge=1)]
    explanation: list[ContributionOut] = Field(description="every feature, strongest first")
    model_version: str
    interval: IntervalOut | None = None
    support: SupportOut | None = None
    comparison: ComparisonOut | None = None
    missing: list[str] = Field(
        default_factory=list, description="the measurements that were missing"
    )
    model_variant: str = Field(
        default="full", description="which variant of the model took the patient"
    )
    accuracy: AccuracyOut | None = Field(
        default=None,
        description="what the missing measurements cost, where the model's manifest says it",
    )


class AssessedOut(BaseModel):
    """An assessment that is not stored."""

    probability: Annotated[float, Field(ge=0, le=1)]
    risk_category: Literal["Low", "Medium", "High"]
    model_variant: str
    baseline_log_odds: float
    interval: IntervalOut | None
    support: SupportOut | None
    comparison: ComparisonOut | None


class DifferenceOut(BaseModel):
    """What one feature adds to the risk before and after the change, in log-odds."""

    feature: str
    value_before: str | int | float | None
    value_after: str | int | float | None
    log_odds_before: float
    log_odds_after: float
    log_odds: float = Field(description="after less before")


class WhatIfOut(BaseModel):
    """The same patient with their own values and with others, by the same model."""

    before: AssessedOut
    after: AssessedOut
    difference: float = Field(description="probability after less probability before")
    differences: list[DifferenceOut] = Field(
        description="every feature, strongest first; with the baselines' difference they sum to "
        "the difference of the logits"
    )
    model_version: str
    note: str = Field(description="why an association is not an effect")


class BatchOut(BaseModel):
    """One prediction per patient, in the order of the request."""

    predictions: list[PredictionOut]


class RecordOut(BaseModel):
    """A stored prediction, column by column; rows of an adopted table may lack values."""

    id: int
    timestamp: datetime | None
    gender: str | None
    age: float | None
    hypertension: int | None
    heart_disease: int | None
    avg_glucose_level: float | None
    bmi: float | None
    smoking_status: str | None
    name: str | None
    country: str | None
    province: str | None
    probability: float | None
    risk_category: str | None
    contributing_factors: Any = Field(description="names of features, strongest first")
    prediction_data: Any = Field(description="the features used and their log-odds")
    model_version: str | None
    site: str | None = Field(description="the site of the caller that asked for it")
    created_by: str | None = Field(description="that caller, such as key:ID; not a person's name")


_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _iso_day(text: object) -> object:
    # Pydantic takes a bare number for seconds since 1970, and midnight for a day.
    if isinstance(text, str) and _DAY.fullmatch(text):
        return text
    raise PydanticCustomError("date", "Input should be a day as YYYY-MM-DD")


class OutcomeIn(BaseModel):
    """What happened to the patient after the prediction."""

    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [OUTCOME_EXAMPLE]},
    )

    stroke: bool
    date: Annotated[
        dt.date,
        Field(
            strict=False,
            description="day of the stroke, or the last day known to be free of one; not in the "
            "future, not before the prediction",
        ),
        BeforeValidator(_iso_day),
    ]
    source: Annotated[
        str,
        Field(
            min_length=1,
            max_length=SOURCE_LENGTH,
            pattern=PRINTABLE,
            description="where this is known from; never a patient's name",
        ),
    ]

    def to_domain(self, prediction_id: int) -> Outcome:
        """Return the outcome of a prediction."""
        return Outcome(prediction_id, self.stroke, self.date, self.source)


class OutcomeOut(BaseModel):
    """A stored outcome."""

    prediction_id: int
    stroke: bool
    date: dt.date
    source: str
    recorded_at: datetime = Field(description="when it was last changed")


class ErasureIn(BaseModel):
    """Which predictions are to be erased from every place."""

    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [{"ids": [17, 23]}, {"subjects": ["https://ehr.example/fhir/Patient/17"]}],
            "anyOf": [{"required": ["ids"]}, {"required": ["subjects"]}],
        },
    )

    ids: Annotated[
        list[Annotated[int, Field(ge=1, le=LARGEST_ID), WHOLE]],
        Field(min_length=1, max_length=BATCH_SIZE, description="ids of predictions"),
    ] = []
    subjects: Annotated[
        list[Annotated[str, Field(pattern=REFERENCE)]],
        Field(
            min_length=1,
            max_length=MOST_SUBJECTS,
            description="patients of record systems, as FHIR refers to them: all of their "
            "predictions. With the server where several servers sent charts",
        ),
    ] = []

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not self.ids and not self.subjects:
            raise PydanticCustomError("missing", "must have ids or subjects")
        return self


class KeptOut(BaseModel):
    """What cannot be searched, and may hold erased rows until a time."""

    what: str
    until: datetime | None = Field(description="null where nothing says that it ever forgets")


class ErasureOut(BaseModel):
    """How far an erasure is, and what it did."""

    id: str
    state: Literal["queued", "running", "done"]
    ids: int = Field(description="how many predictions it was asked for")
    erased: list[int] = Field(description="ids of which the database kept something")
    not_found: list[int] = Field(description="ids that nobody has, or that are another site's")
    removed: dict[str, int] = Field(description="how many items left which place")
    kept: list[KeptOut]
    asked_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    attempts: int = Field(description="how often a worker took it up")
    detail: str | None = Field(description="why the last attempt failed; it is tried again")


class PageOut(BaseModel):
    """One page of stored predictions, newest first."""

    items: list[RecordOut]
    next_cursor: str | None = Field(description="where the next page starts; null on the last")


class AuditEntryOut(BaseModel):
    """One thing that was done, in its place in the chain."""

    number: int
    at: datetime
    actor: str = Field(description="`key:ID`, `token:SUBJECT`, `user:NAME` or `address:HOST`")
    site: str | None
    action: str = Field(description="such as `prediction.read`")
    target: str | None = Field(description="an id, or the names of the parameters of a query")
    request_id: str | None = Field(description="the answer's X-Request-ID")
    outcome: str = Field(description="`asked`, `done`, `not-found`, `refused` or `failed`")
    times: int = Field(description="how often, where one entry stands for many refused attempts")
    previous: str = Field(description="the digest of the entry before it")
    digest: str = Field(description="SHA-256 of its content and of `previous`")


class AuditPageOut(BaseModel):
    """One page of the audit trail, newest first."""

    items: list[AuditEntryOut]
    next_cursor: str | None = Field(description="where the next page starts; null on the last")


class BandsOut(BaseModel):
    """Where the categories start, on this model's own probability scale."""

    medium: float
    high: float


class LackedOut(BaseModel):
    """The patients of the training data who really lacked the measurements.

    Whoever is not measured may be sicker than the other measurements say: the companion does not
    count that.
    """

    patients: int
    strokes: int = Field(description="how many of them had a stroke")
    expected: float = Field(description="how many strokes the companion expected")


class CompanionOut(BaseModel):
    """What assesses the patients who lack exactly the ``missing`` measurements."""

    name: str = Field(description="`model_variant` of its answers")
    missing: list[str]
    bands: BandsOut
    metrics: dict[str, Any] = Field(description="cross-validated, each with its 95 % interval")
    accuracy: AccuracyOut | None
    lacked: LackedOut | None = Field(description="null where the training data had none")


class ModelOut(BaseModel):
    """The served model."""

    name: str
    version: str
    model_type: str
    sha256: str = Field(description="checksum of the served graph")
    features: list[str]
    bands: BandsOut
    metrics: dict[str, Any] = Field(description="cross-validated, each with its 95 % interval")
    training: dict[str, Any] = Field(description="facts of the training data")
    may_be_missing: list[str] = Field(description="measurements that a patient may lack")
    companions: list[CompanionOut] = Field(description="one for each combination of these")
    population: dict[str, Any] = Field(
        default_factory=dict,
        description="what it knows of those it was trained on: `interval_check` (intervals against "
        "a bootstrap of refits), `support` (how far values reach), `comparison` (average risk by "
        "gender and year of age), `fairness` (differences between groups), `cross_validated` "
        "(calibration, decision curve, groups); empty for a model that came without",
    )


class AttributeOut(BaseModel):
    """One of the source attributes that HTI-1 asks for."""

    paragraph: str = Field(description="of 45 CFR 170.315(b)(11)(iv)(B)")
    title: str
    answer: str | None = Field(description="null where it is open")
    whose: str = Field(description="who can answer it, where it is open")


class ChecklistItemOut(BaseModel):
    """One item of the TRIPOD+AI checklist, or a part of one."""

    item: str
    section: str
    applies: Literal["D", "E", "D;E"] = Field(description="development, evaluation, or both")
    asks: str
    status: Literal["answered", "partly", "open"]
    answer: str | None
    remains: str = Field(description="what the answer leaves open")
    whose: str = Field(description="who can say the rest")


class ModelCardOut(BaseModel):
    """A model's card, made from its artefact. It is no certification."""

    name: str
    version: str
    sha256: str = Field(description="checksum of the graph")
    model_type: str
    features: list[str]
    medium_from: float
    high_from: float
    training: dict[str, Any] = Field(description="facts of the training data")
    metrics: dict[str, Any] = Field(description="cross-validated, each with its 95 % interval")
    attributes: list[AttributeOut] = Field(description="the 31 source attributes of HTI-1")
    notice: str = Field(description="what a card is not")
    interval: str | None = Field(description="how sure the fit is of one patient")
    support: str | None = Field(description="whom the training data speak for")
    fairness: list[dict[str, Any]] = Field(
        description="the largest differences between levels of a group; empty where none was "
        "measured"
    )
    tripod: list[ChecklistItemOut] = Field(description="the TRIPOD+AI checklist, 52 parts")
    cross_validated: dict[str, Any] | None = Field(
        description="`calibration`, `decision_curve` and `groups` of patients not seen in "
        "training; null for a model that came without"
    )


class MessageOut(BaseModel):
    """A greeting."""

    message: str


class HealthOut(BaseModel):
    """What was checked, and the result."""

    status: Literal["live", "ready"]
    checks: dict[str, str] = Field(default_factory=dict)


class ReadyOut(HealthOut):
    """That predictions can be stored now, and whether callers need a key or a token."""

    access: Literal["open", "keys", "closed"]
