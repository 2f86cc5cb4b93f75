"""What a shadow said of a stored prediction, and what it said beside the champion."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from stroke.domain.risk import RiskCategory


class WhyNot(StrEnum):
    """Why a shadow said nothing of a patient."""

    LACKING = "lacking"
    """The patient lacks a measurement that the shadow needs."""
    FAILED = "failed"
    """The shadow's run failed."""


class ShadowScore(NamedTuple):
    """What the shadow ``model_version`` said of the patient of a stored prediction.

    ``probability`` and ``category`` are None where it could not say: ``why_not`` says why.
    ``scored_at`` is aware.
    """

    prediction_id: int
    model_version: str
    scored_at: datetime
    probability: float | None = None
    category: RiskCategory | None = None
    why_not: WhyNot | None = None


class ShadowPair(NamedTuple):
    """A stored prediction beside what a shadow said of it. It names nobody.

    What the row or the shadow does not say is None.
    """

    prediction_id: int
    answered_by: str | None
    answered: float | None
    answered_category: str | None
    shadow: float | None
    shadow_category: str | None
    why_not: str | None
    gender: str | None
    age: float | None
    smoking_status: str | None
