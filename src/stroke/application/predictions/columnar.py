"""The port for scoring many patients at once, by columns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stroke.domain.risk import ModelDescription


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of N patients: ``probability (N,)`` and its parts ``log_odds (N, k)``.

    Column ``j`` of ``log_odds`` belongs to ``features[j]``; with its ``baseline_log_odds (N,)``
    each row sums to the logit of the probability. ``variant (N,)`` says which one of the model's
    ``variants`` scored the patient.
    """

    probability: NDArray[np.float64]
    log_odds: NDArray[np.float64]
    features: tuple[str, ...]
    baseline_log_odds: NDArray[np.float64]
    variant: NDArray[np.int64]

    def categories(self, model: ModelDescription) -> NDArray[np.int64]:
        """Return each patient's place among the risk categories, by the bands of their variant."""
        cuts = np.array([(each.bands.medium, each.bands.high) for each in model.variants])
        above = self.probability[:, None] >= cuts[self.variant]
        counted: NDArray[np.int64] = above.sum(axis=1)
        return counted

    def by_variant(self, model: ModelDescription) -> dict[str, int]:
        """Return how many patients each variant scored, by its name; those that scored none too."""
        counts = np.bincount(self.variant, minlength=len(model.variants)).tolist()
        return {each.name: n for each, n in zip(model.variants, counts, strict=True)}


class ColumnarRiskModel(Protocol):
    """A risk model that takes columns. Safe to call from several threads."""

    @property
    @abstractmethod
    def description(self) -> ModelDescription:
        """What is served, as its artefact describes it."""

    @abstractmethod
    def score(self, columns: Mapping[str, NDArray[Any]]) -> Scores:
        """Score N patients, of whom there is at least one.

        ``columns`` holds the raw features, ``(N,)`` each: text as an object array of str, numbers
        as float64, NaN where a measurement is missing. Raises ``InvalidPatient`` where one is
        missing that the model needs.
        """
