"""Rules for tests without real components."""

from __future__ import annotations

from hypothesis import settings

# Nothing is timed: on a busy machine each example may take long.
settings.register_profile("untimed", settings.default, deadline=None)
settings.load_profile("untimed")
