"""API keys for tests."""

from __future__ import annotations

from typing import Any

from builders.predictions import NOON
from stroke.domain.access import ApiKey, Scope


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
