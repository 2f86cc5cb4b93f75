"""Exact interventional Shapley values in log-odds, against one reference patient.

For a set S of features, v(S) is the log-odds of a patient who has the assessed patient's values in
S and the reference patient's elsewhere. All sets are scored, 128 of 7 features: no sampling. The
values sum to v(all) - v(none) (Shapley 1953; Lundberg and Lee 2017, section 4, "interventional").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import factorial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stroke.domain.features import RAW_FEATURES

MOST_EXPLAINED: Final = 12
"""With more features the sets of one patient would be too many to score."""

_ROWS_AT_ONCE: Final = 32_768  # a few MB


@cache
def _members(features: int) -> NDArray[np.bool_]:
    """Return ``(2^k, k)``: whether set ``s`` contains feature ``i``."""
    sets = np.arange(1 << features)
    members: NDArray[np.bool_] = ((sets[:, None] >> np.arange(features)[None, :]) & 1).astype(bool)
    return members


@cache
def _shares(features: int) -> list[float]:
    """Return the weight of a gain by the size of the set that it is a gain over."""
    return [
        factorial(size) * factorial(features - size - 1) / factorial(features)
        for size in range(features)
    ]


def _gains(values: NDArray[np.float64], feature: int, features: int) -> NDArray[np.float64]:
    """Return the weighted gains of ``feature`` over all sets ``(N, 2^k)``, summed.

    Differences first: a feature that changes nothing gets 0, and not a rounding error of it.
    """
    members = _members(features)
    joined = np.flatnonzero(members[:, feature])
    left = joined ^ (1 << feature)
    share = np.take(_shares(features), members[left].sum(axis=1))
    gained: NDArray[np.float64] = (values[:, joined] - values[:, left]) @ share
    return gained


def shapley_values(
    log_odds: Callable[[Mapping[str, NDArray[Any]]], NDArray[np.float64]],
    columns: Mapping[str, NDArray[Any]],
    reference: Mapping[str, Any],
    features: Sequence[str] = RAW_FEATURES,
) -> NDArray[np.float64]:
    """Return ``(N, k)`` values, one column for each of ``features``, ``MOST_EXPLAINED`` at most.

    ``log_odds`` scores columns of them and is called with 2^k rows per patient.
    """
    count, wide = len(columns[features[0]]), len(features)
    members, at_once = _members(wide), _ROWS_AT_ONCE >> wide
    values = np.empty((count, wide))
    for start in range(0, count, at_once):
        chunk = slice(start, min(start + at_once, count))
        mixed = {
            name: np.where(
                members[None, :, i], columns[name][chunk][:, None], reference[name]
            ).ravel()
            for i, name in enumerate(features)
        }
        of_sets = log_odds(mixed).reshape(-1, 1 << wide)
        for i in range(wide):
            values[chunk, i] = _gains(of_sets, i, wide)
    return values
