"""The clock of the event loop, which a test can put ahead."""

from __future__ import annotations

import asyncio

import pytest


def put_ahead(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Put the loop's clock ahead: what is due by then happens at once, and nobody sleeps."""
    loop = asyncio.get_running_loop()
    before = loop.time
    monkeypatch.setattr(loop, "time", lambda: before() + seconds)
