"""The port for scoring many patients at once, by columns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from stroke.domain.risk import TOP_FACTORS, ModelDescription
from stroke.domain.support import Support

FACTOR_SEPARATOR: Final = ";"


@dataclass(frozen=True, slots=True)
class ScoreContext:
    """What a careful reader wants beside N scores; each part is None where the model cannot say it.

    ``interval (N, 2)``: both ends of the 95 % interval. ``support``: one for each patient.
    ``comparison (N, 5)``: columns in the order of ``Comparison``, NaN for what is not known.
    """

    interval: NDArray[np.float64] | None = None
    support: Sequence[Support] | None = None
    comparison: NDArray[np.float64] | None = None


NO_CONTEXT: Final = ScoreContext()


@dataclass(frozen=True, slots=True)
class Risks:
    """Risks of N patients: ``probability (N,)``, and ``variant (N,)``.

    The latter says which one of the model's ``variants`` scored the patient.
    """

    probability: NDArray[np.float64]
    variant: NDArray[np.int64]

    def categories(self, model: ModelDescription) -> NDArray[np.int64]:
        """Return each patient's place among the risk categories, by the bands of their variant."""
        cuts = np.array([(each.bands.medium, each.bands.high) for each in model.variants])
        above = self.probability[:, None] >= cuts[self.variant]
        counted: NDArray[np.int64] = above.sum(axis=1)
        return counted


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of N patients: ``probability (N,)`` and its parts ``log_odds (N, k)``.

    Column ``j`` of ``log_odds`` belongs to ``features[j]``; with its ``baseline_log_odds (N,)``
    each row sums to the logit of the probability. ``variant (N,)`` says which one of the model's
    ``variants`` scored the patient. ``context`` is there if it was asked for.
    """

    probability: NDArray[np.float64]
    log_odds: NDArray[np.float64]
    features: tuple[str, ...]
    baseline_log_odds: NDArray[np.float64]
    variant: NDArray[np.int64]
    context: ScoreContext = NO_CONTEXT

    def categories(self, model: ModelDescription) -> NDArray[np.int64]:
        """Return each patient's place among the risk categories, by the bands of their variant."""
        return Risks(self.probability, self.variant).categories(model)

    def at(self, rows: NDArray[Any]) -> Scores:
        """Return the scores of some rows: a mask, or their places."""
        return Scores(
            self.probability[rows],
            self.log_odds[rows],
            self.features,
            self.baseline_log_odds[rows],
            self.variant[rows],
        )

    def by_variant(self, model: ModelDescription) -> dict[str, int]:
        """Return how many patients each variant scored, by its name; those that scored none too."""
        counts = np.bincount(self.variant, minlength=len(model.variants)).tolist()
        return {each.name: n for each, n in zip(model.variants, counts, strict=True)}


@runtime_checkable
class ColumnarRiskModel(Protocol):
    """A risk model that takes columns. Safe to call from several threads."""

    @property
    @abstractmethod
    def description(self) -> ModelDescription:
        """What is served, as its artefact describes it."""

    @abstractmethod
    def score(self, columns: Mapping[str, NDArray[Any]], *, context: bool = False) -> Scores:
        """Score N patients, of whom there is at least one, with their ``context`` if wanted.

        ``columns`` holds the raw features, ``(N,)`` each: text as an object array of str, numbers
        as float64, NaN where a measurement is missing. Raises ``InvalidPatient`` where one is
        missing that the model needs.
        """

    @abstractmethod
    def risks(self, columns: Mapping[str, NDArray[Any]]) -> Risks:
        """Return the risks alone, bit by bit those of ``score``, for what explains nothing.

        An explanation takes many runs of a graph that gives no contributions. Raises what
        ``score`` raises.
        """


def strongest(log_odds: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Return the columns of each row's strongest contributions, first to third, k for none.

    Where two are equal, the earlier column comes first; a contribution of zero is none.
    """
    left = np.abs(log_odds).T.copy()
    count, everyone = len(left), np.arange(left.shape[1])
    ranks = []
    for _ in range(TOP_FACTORS):
        column = left.argmax(axis=0) if count else np.zeros(len(everyone), np.int64)
        strength = left[column, everyone] if count else np.zeros(len(everyone))
        ranks.append(np.where(strength > 0, column, count))
        if count:
            left[column, everyone] = 0
    return ranks


def factor_codes(scores: Scores, codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``codes`` combined with those of the strongest factors, for a table of all choices."""
    for rank in strongest(scores.log_odds):
        codes = codes * (len(scores.features) + 1) + rank
    return codes


@cache
def factor_choices(features: tuple[str, ...]) -> list[str]:
    """Return the text for every choice of strongest factors, in the order of their codes."""
    choices = product(*[(*features, "")] * TOP_FACTORS)
    return [FACTOR_SEPARATOR.join(filter(None, each)) for each in choices]


def factor_texts(scores: Scores) -> NDArray[Any]:
    """Return the names of each row's strongest factors ``(N,)``, joined by ``;``."""
    codes = factor_codes(scores, np.zeros(len(scores.probability), np.int64))
    found: NDArray[Any] = np.array(factor_choices(scores.features), object)[codes]
    return found
