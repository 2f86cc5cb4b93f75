"""Synthetic patients, as `stroke simulate` writes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from stroke.adapters.simulation.writing import Format, text


def simulated_patients(count: int, seed: int, form: Literal["csv", "ndjson"]) -> Iterator[bytes]:
    """Yield the UTF-8 text of ``count`` patients, whole lines at a time.

    The same ``count`` and ``seed`` give the same bytes.
    """
    return text(count, seed, Format(form))
