"""How many examples a property test draws that needs a number of its own."""

from __future__ import annotations

from hypothesis import settings

_USUAL = 100  # what hypothesis draws in the gate


def examples(in_gate: int) -> int:
    """Return ``in_gate`` in the gate, and as many times more in the soak as other tests draw."""
    return in_gate * settings().max_examples // _USUAL
