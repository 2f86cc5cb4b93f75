"""Assessments of charts, and feedback, for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from stroke.domain.clinical.kept import Feedback, KeptAssessment

NOON: Final = datetime(2026, 11, 29, 12, tzinfo=UTC)


def kept(number: int, **changes: Any) -> KeptAssessment:
    """Return the assessment of the prediction with this number."""
    whole: dict[str, Any] = {
        "id": str(UUID(int=number)),
        "prediction_id": number,
        "subject": "p1",
        "server": "https://ehr.example/fhir",
        "hook_instance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "basis": ("Patient/p1", "Observation/bmi1"),
        "notes": ("the BMI was computed from weight and height",),
        "shown": True,
        "model_version": "model-1",
        "site": "north",
        "made_at": NOON,
    }
    return KeptAssessment(**(whole | changes))


def feedback(number: int, **changes: Any) -> Feedback:
    """Return feedback on the card of that assessment."""
    whole: dict[str, Any] = {
        "assessment_id": str(UUID(int=number)),
        "verdict": "overridden",
        "reason": "known",
        "comment": "treated since May",
        "at": NOON,
    }
    return Feedback(**(whole | changes))
