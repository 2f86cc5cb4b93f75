"""Rules for tests without real components."""

from __future__ import annotations

from runner import examples

examples.register()
