"""How many examples a property test draws."""

from __future__ import annotations

from typing import Final

from hypothesis import settings

_USUAL: Final = 100  # what hypothesis draws in the gate
# Where another run of the gate draws the same properties in full.
BRIEF: Final = "brief"


def register() -> None:
    """Let ``pytest --hypothesis-profile`` know the profiles, and load what is usual.

    None is timed: on a busy machine each example may take long.
    """
    settings.register_profile("untimed", settings.default, deadline=None)
    settings.register_profile(BRIEF, settings.default, max_examples=_USUAL // 5, deadline=None)
    settings.load_profile("untimed")


def examples(in_gate: int) -> int:
    """Return how many a test draws that needs a number of its own, ``in_gate`` in the gate.

    It is as many times more in the soak, and less in a brief run, as other tests draw.
    """
    return max(1, in_gate * settings().max_examples // _USUAL)
