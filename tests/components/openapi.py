"""What generated requests need beside the OpenAPI document, which has no words for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from stroke.domain.features import ENGINEERED_FEATURES


def become_known_today(body: Any) -> None:
    """Let an outcome be neither in the future nor before its prediction, which it knows not."""
    if isinstance(body, dict) and "date" in body:
        body["date"] = str(datetime.now(UTC).date())


def withdraw_claims(body: Any) -> None:
    """Take out what must agree with the measurements."""
    if isinstance(body, dict):
        inner = [body["patient"]] if isinstance(body.get("patient"), dict) else []
        for patient in (body, *inner, *(body.get("patients") or ())):
            for feature in ENGINEERED_FEATURES:
                patient.pop(feature, None)
