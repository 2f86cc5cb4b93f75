"""Whether a model's contributions add up to the probabilities that they explain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stroke.application.predictions.columnar import ColumnarRiskModel, Scores

TOLERANCE: Final = 1e-9
"""How far the sum may be from the logit, in log-odds: rounding stays a thousandfold below."""

# A probability of 0 or 1 has no finite logit: models count it as this far from it.
_CERTAIN: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Soundness:
    """What was found over ``patients``, scored by each of ``variants``.

    ``largest_gap`` is in log-odds.
    """

    patients: int
    variants: tuple[str, ...]
    largest_gap: float
    is_sound: bool


def soundness(model: ColumnarRiskModel, columns: Mapping[str, NDArray[Any]]) -> Soundness:
    """Score the patients of ``columns``, raw features ``(N,)`` each, and add up.

    They lack nothing; each companion of the model scores them without what its patients lack. A
    model is sound when each probability is a number and the logit of each is the sum of the
    contributions and their baseline, within ``TOLERANCE``.
    """
    patients, variants = len(columns["age"]), model.description.variants
    gaps = []
    for variant in variants:
        lacking = dict.fromkeys(variant.missing, np.full(patients, np.nan))
        gaps.append(_gaps(model.score({**columns, **lacking})))
    largest = float(np.max(gaps))  # NaN if one is
    names = tuple(variant.name for variant in variants)
    return Soundness(patients, names, largest, largest <= TOLERANCE)


def _gaps(scores: Scores) -> NDArray[np.float64]:
    """Return how far each patient's sum is from the logit: NaN without a finite probability."""
    probability = np.where(np.isfinite(scores.probability), scores.probability, np.nan)
    clipped = np.clip(probability, _CERTAIN, 1 - _CERTAIN)
    logit = np.log(clipped) - np.log1p(-clipped)
    gaps: NDArray[np.float64] = np.abs(
        scores.log_odds.sum(axis=1) + scores.baseline_log_odds - logit
    )
    return gaps
