"""What scoring patients in Arrow batches needs, and what it gives."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple, Protocol

import pyarrow as pa


class ScoringOptions(NamedTuple):
    """``contributions`` adds those of each feature; ``numbers`` makes measurements numbers.

    ``variants`` adds the name of the model's variant that scored each row, and ``context`` its
    interval, support and comparison.
    """

    contributions: bool = False
    numbers: bool = False
    variants: bool = False
    context: bool = False


class RejectedPlace(NamedTuple):
    """A row that was not scored: its place in its batch, and why. Quotes no value."""

    place: int
    reason: str


class ScoredBatch(NamedTuple):
    """The rows that could be scored, in their order, and those that could not."""

    rows: pa.RecordBatch
    rejects: list[RejectedPlace]


class BatchScorer(Protocol):
    """Scores batches of one schema. Safe to call from several threads."""

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """The schema of scored rows: the columns of the input, then those of the scores."""

    @abstractmethod
    def score(self, batch: pa.RecordBatch) -> ScoredBatch:
        """Score the rows of ``batch``, which may have none."""
