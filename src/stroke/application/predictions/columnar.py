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

    Column ``j`` of ``log_odds`` belongs to ``features[j]``; with ``baseline_log_odds`` each row
    sums to the logit of the probability.
    """

    probability: NDArray[np.float64]
    log_odds: NDArray[np.float64]
    features: tuple[str, ...]
    baseline_log_odds: float


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
        as float64.
        """
