"""Stored predictions as answers: what a request gets that is repeated with its idempotency key."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stroke.domain.comparison import Comparison
from stroke.domain.errors import IdempotencyKeyReused, PredictionNotReplayable
from stroke.domain.features import RAW_FEATURES
from stroke.domain.patient import OPTIONAL, Patient
from stroke.domain.prediction import PredictionRecord
from stroke.domain.risk import Accuracy, Contribution, Interval, RiskAssessment, RiskCategory
from stroke.domain.support import Support

# What a request holds besides the measurements; the columns hold it as it was sent.
_OTHER_FIELDS: Final = tuple(each for each in Patient.__slots__ if each not in RAW_FEATURES)


@dataclass(frozen=True, slots=True)
class StoredPrediction:
    """An assessment that is durable under ``id``."""

    id: int
    assessment: RiskAssessment
    model_version: str


def replayed(record: PredictionRecord, patient: Patient) -> StoredPrediction:
    """Return the answer that was given when ``record`` was stored.

    Nothing is filled in: a default instead of a missing risk would be a wrong medical statement.
    Raises ``IdempotencyKeyReused`` where the record is about another patient, and
    ``PredictionNotReplayable`` where it lacks part of the answer.
    """
    data = record.prediction_data
    if not isinstance(data, Mapping) or not data.keys() >= set(RAW_FEATURES):
        raise PredictionNotReplayable(record.id)
    if any(data[feature] != getattr(patient, feature) for feature in RAW_FEATURES):
        raise reused()
    # A row of another model may lack a feature that this one asks for: it is the same request.
    if any(name in data and data[name] != value for name, value in patient.further):
        raise reused()
    if any(getattr(record, each) != getattr(patient, each) for each in _OTHER_FIELDS):
        raise reused()
    assessment = assessment_of(record)
    return StoredPrediction(record.id, assessment, record.model_version or "")


def assessment_of(record: PredictionRecord) -> RiskAssessment:
    """Return the assessment that a stored prediction holds.

    Raises ``PredictionNotReplayable`` for a row that lacks part of it, an imported one perhaps.
    """
    data = record.prediction_data
    if not isinstance(data, Mapping) or record.probability is None or not record.model_version:
        raise PredictionNotReplayable(record.id)
    try:
        return RiskAssessment(
            record.probability,
            RiskCategory(record.risk_category or ""),
            _contributions(data),
            float(data["baseline_log_odds"]),
            tuple(name for name in OPTIONAL if data[name] is None),
            None if (accuracy := data.get("accuracy")) is None else Accuracy(**accuracy),
            None if (interval := data.get("interval")) is None else Interval(**interval),
            None if (support := data.get("support")) is None else Support.from_data(support),
            None if (compared := data.get("comparison")) is None else Comparison(**compared),
        )
    except (KeyError, TypeError, ValueError):  # an imported row may hold any JSON and any number
        raise PredictionNotReplayable(record.id) from None  # whose text may quote the row


def replayed_batch(
    ids: Sequence[int], records: Mapping[int, PredictionRecord], patients: Sequence[Patient]
) -> list[StoredPrediction]:
    """Return the answers that were given to ``patients`` when ``records`` were stored, by id.

    Raises as ``replayed`` does, and ``PredictionNotReplayable`` for a row that was erased since.
    """
    answers = []
    for prediction_id, patient in zip(ids, patients, strict=True):
        if prediction_id not in records:
            raise PredictionNotReplayable(prediction_id, erased=True)
        answers.append(replayed(records[prediction_id], patient))
    return answers


def key_within(site: str | None, key: str) -> str:
    """Return the key as it is stored: two sites that use the same one must not meet.

    The column has room for the 64 hexadecimal digits of a hash, and no more.
    """
    return key if site is None else hashlib.sha256(f"{site} {key}".encode()).hexdigest()


def reused() -> IdempotencyKeyReused:
    """Return the error of a key that another request had before."""
    return IdempotencyKeyReused("this idempotency key belongs to another request")


def _contributions(data: Mapping[str, Any]) -> tuple[Contribution, ...]:
    """Return the stored contributions, strongest first: MySQL's JSON keeps no order of keys."""
    log_odds: Mapping[str, Any] = dict(data["log_odds"])
    stored = (Contribution(name, data[name], float(each)) for name, each in log_odds.items())
    return tuple(sorted(stored, key=lambda c: -abs(c.log_odds)))
