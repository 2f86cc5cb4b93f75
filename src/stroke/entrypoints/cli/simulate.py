"""`stroke simulate`."""

from __future__ import annotations


def simulate() -> None:
    pass
