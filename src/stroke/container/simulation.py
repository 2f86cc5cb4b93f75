"""Synthetic patients, as `stroke simulate` writes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from stroke.adapters.simulation.writing import Format, text


def simulated_patients(
    count: int, seed: int, form: Literal["csv", "ndjson"], *, missing: float = 0
) -> Iterator[bytes]:
    """Yield the UTF-8 text of ``count`` patients, whole lines at a time.

    The same arguments give the same bytes. The share ``missing`` of them has no BMI, and the same
    share has no glucose level.
    """
    return text(count, seed, Format(form), missing=missing)
