"""What the training data were, for a manifest: drift is measured against it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stroke.domain.drift import SCORE
from stroke.domain.features import RAW_FEATURES
from stroke.domain.further import FeatureKind, Further
from stroke.domain.patient import OPTIONAL

BINS: Final = 10
_FLAGS: Final = ("hypertension", "heart_disease")
# The probabilities differ in their last bits between processors: cuts must not.
_DIGITS: Final = 6


def reference_histograms(
    features: pd.DataFrame, probability: NDArray[np.float64], further: Further = ()
) -> dict[str, dict[str, Any]]:
    """Return a histogram for each feature and for the score, as a manifest holds them.

    ``features`` is ``(N, k)``, those of ``further`` after the raw ones; ``probability (N,)`` is
    what the fitted model gives for them (in sample: it is the distribution that counts, not how
    right it is). Numbers have ten bins of equal count, fewer where values are equal. The bins are
    of the known values; the share of missing ones stands next to them where a patient may lack the
    measurement.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in RAW_FEATURES:
        column = features[name].dropna()
        if name in _FLAGS:
            found[name] = _of_categories([str(int(value)) for value in column])
        elif column.dtype == object or isinstance(column.dtype, pd.StringDtype):
            found[name] = _of_categories([str(value) for value in column])
        else:
            found[name] = _of_numbers(column.to_numpy(dtype=np.float64))
        if name in OPTIONAL:
            found[name]["missing"] = float(features[name].isna().mean())
    for each in further:
        column = features[each.name]
        known = column[column != ""] if each.is_text else column.dropna()
        if each.is_text:
            found[each.name] = _of_categories([str(value) for value in known])
        elif each.kind is FeatureKind.FLAG:
            found[each.name] = _of_categories([str(int(value)) for value in known])
        else:
            found[each.name] = _of_numbers(known.to_numpy(dtype=np.float64))
        if each.may_be_missing:
            found[each.name]["missing"] = float(1 - len(known) / len(column))
    found[SCORE] = _of_numbers(probability, digits=_DIGITS)
    return found


def _of_categories(values: list[str]) -> dict[str, Any]:
    labels, counts = np.unique(values, return_counts=True)
    shares = [*(counts / len(values)).tolist(), 0.0]
    return {"shares": shares, "labels": labels.tolist()}


def _of_numbers(values: NDArray[np.float64], digits: int | None = None) -> dict[str, Any]:
    # A quantile that is one of the values is the same on every machine.
    quantiles = np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1], method="higher")
    cuts = np.unique(quantiles if digits is None else np.round(quantiles, digits))
    counts = np.bincount(np.searchsorted(cuts, values, side="right"), minlength=len(cuts) + 1)
    return {"shares": (counts / len(values)).tolist(), "cuts": cuts.tolist()}
