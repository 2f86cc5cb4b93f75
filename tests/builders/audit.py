"""Audit events for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from stroke.domain.audit import AuditAction, AuditEvent, AuditOutcome

AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def audit_event(**changed: Any) -> AuditEvent:
    """Return a read of prediction 7, with some fields changed."""
    fields: dict[str, Any] = {
        "at": AT,
        "actor": "key:ward-3",
        "action": AuditAction.PREDICTION_READ,
        "outcome": AuditOutcome.DONE,
        "target": "7",
        "site": "north",
        "request_id": "5b1c",
    }
    return AuditEvent(**(fields | changed))
