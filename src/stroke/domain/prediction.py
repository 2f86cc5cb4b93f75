"""A prediction: an assessed patient, before and after it is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from stroke.domain.features import engineer
from stroke.domain.patient import Patient
from stroke.domain.risk import RiskAssessment

LARGEST_ID: Final = 2**63 - 1
"""The largest id that the tables can hold (BIGINT)."""


class Origin(NamedTuple):
    """Whose a prediction is: the site that it belongs to, and who asked for it.

    Both are None where nobody asked who calls.
    """

    site: str | None = None
    created_by: str | None = None


NOBODY: Final = Origin()
"""The origin where nobody asked who calls."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A patient, assessed by one model at one time (aware, UTC), not stored yet."""

    patient: Patient
    assessment: RiskAssessment
    model_version: str
    made_at: datetime
    idempotency_key: str | None = None
    origin: Origin = NOBODY


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """A stored prediction exactly as the table holds it.

    Tolerant on purpose: a table that stroke adopted may hold NULLs and values that would be
    refused today, and must stay readable. ``timestamp`` is aware, in UTC.
    ``contributing_factors`` and ``prediction_data`` are the decoded JSON columns.
    """

    id: int
    timestamp: datetime | None = None
    gender: str | None = None
    age: float | None = None
    hypertension: int | None = None
    heart_disease: int | None = None
    avg_glucose_level: float | None = None
    bmi: float | None = None
    smoking_status: str | None = None
    name: str | None = None
    country: str | None = None
    province: str | None = None
    probability: float | None = None
    risk_category: str | None = None
    contributing_factors: Any = None
    prediction_data: Any = None
    model_version: str | None = None
    site: str | None = None
    created_by: str | None = None


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """The predictions of one request with an idempotency key, in the order of its patients.

    An id may belong to a prediction that was erased since. ``made_at`` is aware, in UTC.
    """

    ids: tuple[int, ...]
    made_at: datetime


class KnownOutcome(StrEnum):
    """What is known of what became of a patient."""

    STROKE = "stroke"
    NO_STROKE = "no-stroke"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PredictionFilter:
    """What a listing is narrowed to; ``None`` narrows nothing.

    ``since`` is included and ``until`` is not; both are aware.
    """

    since: datetime | None = None
    until: datetime | None = None
    risk_category: str | None = None
    country: str | None = None
    province: str | None = None
    model_version: str | None = None
    site: str | None = None
    outcome: KnownOutcome | None = None


class Span(NamedTuple):
    """When the first and the last of some predictions were made; aware."""

    first: datetime
    last: datetime

    @classmethod
    def over(cls, moments: Iterable[datetime | None], known: Span | None = None) -> Span | None:
        """Return the span of ``moments`` and of what is ``known``; None where there is neither."""
        dated = [moment for moment in moments if moment is not None]
        if known is not None:
            dated += known
        return cls(min(dated), max(dated)) if dated else None


def prediction_data(prediction: Prediction) -> Mapping[str, Any]:
    """Return what the column ``prediction_data`` holds: features used and their explanation.

    The patient's name stays out, so that masking one column hides it everywhere downstream. A
    measurement that is missing is None, like the category that is derived from it. Features that
    the model declares for itself are among them, by their names; ``accuracy``,
    ``interval``, ``support`` and ``comparison`` are there only where the answer had them.
    """
    patient, assessment = prediction.patient, prediction.assessment
    data: dict[str, Any] = {
        "gender": patient.gender,
        "age": patient.age,
        "hypertension": patient.hypertension,
        "heart_disease": patient.heart_disease,
        "avg_glucose_level": patient.avg_glucose_level,
        "bmi": patient.bmi,
        "smoking_status": patient.smoking_status,
        **engineer(patient),
        **dict(patient.further),
        "baseline_log_odds": assessment.baseline_log_odds,
        "log_odds": {feature: log_odds for feature, _, log_odds in assessment.contributions},
    }
    if assessment.accuracy is not None:
        data["accuracy"] = asdict(assessment.accuracy)
    context = assessment.context_data()
    return data | {name: said for name, said in context.items() if said is not None}
