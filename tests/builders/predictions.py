"""Values for tests: ``patient(age=80.0)`` shows what matters and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from stroke.domain.outcome import OutcomeRecord
from stroke.domain.patient import Patient, extended
from stroke.domain.prediction import NOBODY, Origin, Prediction
from stroke.domain.risk import Contribution, RiskAssessment, RiskBands

BANDS = RiskBands(medium=0.02, high=0.2)
NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)

_PATIENT = Patient(
    gender="Male",
    age=45.5,
    hypertension=0,
    heart_disease=0,
    avg_glucose_level=95.2,
    bmi=26.8,
    smoking_status="never smoked",
    name="John Doe",
    country="United States",
    province="California",
)


def patient(**changes: Any) -> Patient:
    return replace(_PATIENT, **changes)


def without(who: Patient, missing: Iterable[str]) -> Patient:
    changes: dict[str, Any] = dict.fromkeys(missing)
    return replace(who, **changes)


def patient_json(**changes: Any) -> dict[str, Any]:
    """Return a request body of the API."""
    fields = {name: getattr(_PATIENT, name) for name in Patient.__slots__}
    return {**fields, **changes}


def assessment(probability: float = 0.1, **log_odds: float) -> RiskAssessment:
    contributions = tuple(
        Contribution(feature, getattr(_PATIENT, feature), value)
        for feature, value in sorted(log_odds.items(), key=lambda item: -abs(item[1]))
    )
    return RiskAssessment(probability, BANDS.categorise(probability), contributions, -3.5)


def prediction(
    probability: float = 0.1,
    *,
    made_at: datetime = NOON,
    model_version: str = "test-1",
    idempotency_key: str | None = None,
    origin: Origin = NOBODY,
    **changes: Any,
) -> Prediction:
    return Prediction(
        patient(**changes),
        assessment(probability, age=0.5, bmi=-0.25),
        model_version,
        made_at,
        idempotency_key,
        origin,
    )


def today() -> str:
    """Return the day of what a real service stores now, as the outcome of a prediction needs it.

    One that was more than half a day before its prediction is refused: a day that is written into
    a test is too early as soon as it has passed everywhere.
    """
    return datetime.now(UTC).date().isoformat()


def prediction_with_words(word: str) -> Prediction:
    """Return a prediction whose JSON has ``word`` as a name and as a value."""
    made = prediction()
    return replace(
        made,
        patient=extended(made.patient, ((f"{word} of a model", word),)),
        assessment=replace(made.assessment, contributions=(Contribution(word, word, 0.5),)),
    )


def outcome(prediction_id: int, *, stroke: bool = True, **changes: Any) -> OutcomeRecord:
    made = OutcomeRecord(prediction_id, stroke, NOON.date(), "register", NOON)
    return replace(made, **changes)
