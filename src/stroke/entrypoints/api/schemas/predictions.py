"""Predictions as clients get them: made, stored, listed, or with other values."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from stroke.domain.support import ReasonCode, SupportLevel

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


class PageOut(BaseModel):
    """One page of stored predictions, newest first."""

    items: list[RecordOut]
    next_cursor: str | None = Field(description="where the next page starts; null on the last")
