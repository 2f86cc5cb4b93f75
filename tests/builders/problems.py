"""Reads problem documents in tests."""

from __future__ import annotations

from typing import Any

import httpx


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    """Return the problem document of ``answer`` without the id that its header has as well."""
    document: dict[str, Any] = answer.json()
    assert document.pop("request_id") == answer.headers["x-request-id"]
    return document
