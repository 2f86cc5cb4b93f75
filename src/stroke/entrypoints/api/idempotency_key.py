"""The header that makes a retry safe."""

from __future__ import annotations

import re
from typing import Any, Final

from fastapi import Request

from stroke.entrypoints.api.violations import of_parameter

_KEY: Final = re.compile(rb"[\x21-\x7e]{1,64}")
KEY_PARAMETER: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[!-~]{1,64}$"},
}
"""The header as OpenAPI has it; each route says what its key does."""


def idempotency_key(request: Request) -> str | None:
    """Return the key of a request, None without one. Raises ``InvalidRequest``."""
    keys = [value for name, value in request.scope["headers"] if name == b"idempotency-key"]
    if not keys:
        return None
    if len(keys) > 1:
        raise of_parameter("Idempotency-Key", "must stand once in a request", "invalid_key")
    if not _KEY.fullmatch(keys[0]):
        reason = "must have 1 to 64 visible ASCII characters"
        raise of_parameter("Idempotency-Key", reason, "invalid_key")
    return str(keys[0], "ascii")
