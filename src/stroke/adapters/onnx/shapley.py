"""Exact interventional Shapley values in log-odds, against one reference patient.

For a set S of features, v(S) is the log-odds of a patient who has the assessed patient's values in
S and the reference patient's elsewhere. With 7 features all 128 sets are scored: no sampling. The
values sum to v(all) - v(none) (Shapley 1953; Lundberg and Lee 2017, section 4, "interventional").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import factorial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stroke.domain.features import RAW_FEATURES

_FEATURES: Final = len(RAW_FEATURES)
_SETS: Final = 1 << _FEATURES
_PATIENTS_AT_ONCE: Final = 256  # 32,768 rows, a few MB

# MEMBER[s, i]: set s contains feature i.
MEMBER: Final[NDArray[np.bool_]] = (
    (np.arange(_SETS)[:, None] >> np.arange(_FEATURES)[None, :]) & 1
).astype(bool)


_SHARE: Final = [
    factorial(size) * factorial(_FEATURES - size - 1) / factorial(_FEATURES)
    for size in range(_FEATURES)
]


def _gains(values: NDArray[np.float64], feature: int) -> NDArray[np.float64]:
    """Return the weighted gains of ``feature`` over all sets ``(N, 128)``, summed.

    Differences first: a feature that changes nothing gets 0, and not a rounding error of it.
    """
    joined = np.flatnonzero(MEMBER[:, feature])
    left = joined ^ (1 << feature)
    share = np.take(_SHARE, MEMBER[left].sum(axis=1))
    gained: NDArray[np.float64] = (values[:, joined] - values[:, left]) @ share
    return gained


def shapley_values(
    log_odds: Callable[[Mapping[str, NDArray[Any]]], NDArray[np.float64]],
    columns: Mapping[str, NDArray[Any]],
    reference: Mapping[str, Any],
) -> NDArray[np.float64]:
    """Return ``(N, 7)`` values, one column per raw feature in ``RAW_FEATURES``' order.

    ``log_odds`` scores columns of the raw features and is called with 128 rows per patient.
    """
    count = len(columns[RAW_FEATURES[0]])
    values = np.empty((count, _FEATURES))
    for start in range(0, count, _PATIENTS_AT_ONCE):
        chunk = slice(start, min(start + _PATIENTS_AT_ONCE, count))
        mixed = {
            name: np.where(
                MEMBER[None, :, i], columns[name][chunk][:, None], reference[name]
            ).ravel()
            for i, name in enumerate(RAW_FEATURES)
        }
        of_sets = log_odds(mixed).reshape(-1, _SETS)
        for i in range(_FEATURES):
            values[chunk, i] = _gains(of_sets, i)
    return values
