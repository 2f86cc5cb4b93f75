"""API keys for tests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from builders.predictions import NOON
from stroke.domain.access import ApiKey, Principal, Scope, Session


def api_key(key_id: str, **changes: Any) -> ApiKey:
    """Return a key as a store keeps it; nobody knows its secret."""
    fields: dict[str, Any] = {
        "name": "ward",
        "site": "north",
        "scopes": frozenset({Scope.PREDICT, Scope.READ}),
        "secret_hash": "ab" * 32,
        "created_at": NOON,
    }
    return ApiKey(key_id, **{**fields, **changes})


def session(id_hash: str, **changes: Any) -> Session:
    """Return a session as a store keeps it: begun at noon for eight hours."""
    fields: dict[str, Any] = {
        "caller": Principal("key", "1" * 16, "north", frozenset({Scope.READ, Scope.PREDICT})),
        "begun_at": NOON,
        "used_at": NOON,
        "ends_at": NOON + timedelta(hours=8),
    }
    return Session(id_hash, **{**fields, **changes})
