"""`stroke predict`."""

from __future__ import annotations


def predict() -> None:
    pass
