"""Restricted cubic splines: smooth between the outer knots, straight beyond them."""

from __future__ import annotations

from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from stroke.domain.errors import InvalidData
from stroke.domain.further import Further, FurtherFeature
from stroke.domain.patient import OPTIONAL, SMOKING_STATUSES

Floats = NDArray[np.float64]

# Harrell, Regression Modeling Strategies, 2nd ed. 2015, table 2.3: quantiles for 4 knots.
KNOT_QUANTILES: Final = (0.05, 0.35, 0.65, 0.95)
# Values beyond these quantiles of the training data count as lying on them: a line fitted to
# few patients says nothing about the next one out there.
CLIP_QUANTILES: Final = (0.001, 0.999)

SMOOTH: Final = ("age", "avg_glucose_level", "bmi")
FLAGS: Final = ("hypertension", "heart_disease")
SMOKING_LEVELS: Final = tuple(status for status in SMOKING_STATUSES if status != "Unknown")


def truncated_cubes_to_basis(knots: Floats) -> Floats:
    """Return ``W (K, K - 2)``: the nonlinear basis is ``max(x - knots, 0) ** 3 @ W``.

    Harrell (2015), equation 2.26, divided by the squared distance of the outer knots.
    """
    count = len(knots)
    weights = np.zeros((count, count - 2))
    last, before = knots[-1], knots[-2]
    for j in range(count - 2):
        weights[j, j] = 1.0
        weights[count - 2, j] -= (last - knots[j]) / (last - before)
        weights[count - 1, j] += (before - knots[j]) / (last - before)
    scaled: Floats = weights / (last - knots[0]) ** 2
    return scaled


def restricted_cubic_basis(values: Floats, knots: Floats) -> Floats:
    """Return the basis ``(N, K - 1)`` of ``values (N,)``: linear first, then nonlinear terms."""
    cubes = np.maximum(values[:, None] - knots[None, :], 0.0) ** 3
    return np.column_stack([values, cubes @ truncated_cubes_to_basis(knots)])


def levels_of(feature: FurtherFeature) -> tuple[str, ...]:
    """Return the words of a category that have an indicator; one empty name for a number."""
    if not feature.is_text:
        return ("",)
    return tuple(each for each in feature.categories if each != feature.reference)


class SplineDesign(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Features to a standardised design matrix ``(N, 15)``, wider with ``further`` features.

    ``groups_[j]`` is the feature that column ``j`` belongs to. A missing measurement counts as
    the median: marking it would let the model read that the sickest were not weighed. A further
    number is a straight line, a flag a step, and a category has an indicator for each word but its
    reference, which a missing one counts as.
    """

    def __init__(self, further: Further = ()) -> None:
        self.further = further

    def fit(self, features: pd.DataFrame, _: Any = None) -> Self:
        self.medians_ = {name: float(features[name].median()) for name in OPTIONAL}
        self.knots_: dict[str, Floats] = {}
        self.clip_: dict[str, tuple[float, float]] = {}
        for name in SMOOTH:
            values = self._filled(features, name)
            self.knots_[name] = np.quantile(values, KNOT_QUANTILES)
            if not (np.diff(self.knots_[name]) > 0).all():
                raise InvalidData(f"the values of {name} are too few to fit a curve to them")
            low, high = np.quantile(values, CLIP_QUANTILES)
            self.clip_[name] = (float(low), float(high))
        for each in self.further:
            if each.is_text:
                continue
            self.medians_[each.name] = float(np.nan_to_num(features[each.name].median()))
            low, high = np.quantile(self._filled(features, each.name), CLIP_QUANTILES)
            self.clip_[each.name] = (float(low), float(high))
        raw = self._raw(features)
        self.mean_ = raw.mean(axis=0)
        spread = raw.std(axis=0)
        self.scale_ = np.where(spread > 0, spread, 1.0)
        self.groups_ = (
            *(name for name in SMOOTH for _ in KNOT_QUANTILES[1:]),
            *FLAGS,
            "gender",
            *("smoking_status" for _ in SMOKING_LEVELS),
            *(each.name for each in self.further for _ in levels_of(each)),
        )
        return self

    def transform(self, features: pd.DataFrame) -> Floats:
        standardised: Floats = (self._raw(features) - self.mean_) / self.scale_
        return standardised

    def _raw(self, features: pd.DataFrame) -> Floats:
        columns: list[Floats] = [
            restricted_cubic_basis(
                np.clip(self._filled(features, name), *self.clip_[name]), self.knots_[name]
            )
            for name in SMOOTH
        ]
        columns += [features[name].to_numpy(np.float64)[:, None] for name in FLAGS]
        columns.append((features["gender"] == "Male").to_numpy(np.float64)[:, None])
        columns += [
            (features["smoking_status"] == level).to_numpy(np.float64)[:, None]
            for level in SMOKING_LEVELS
        ]
        for each in self.further:
            if each.is_text:
                columns += [
                    (features[each.name] == level).to_numpy(np.float64)[:, None]
                    for level in levels_of(each)
                ]
            else:
                values = np.clip(self._filled(features, each.name), *self.clip_[each.name])
                columns.append(values[:, None])
        return np.hstack(columns)

    def _filled(self, features: pd.DataFrame, name: str) -> Floats:
        values = features[name]
        if name in self.medians_:
            values = values.fillna(self.medians_[name])
        numbers: Floats = values.to_numpy(np.float64)
        return numbers
