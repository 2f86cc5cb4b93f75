"""Files of patients, scored: what they are, and how far a run has come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from stroke.domain.errors import InvalidData
from stroke.domain.patient import Patient

Store = Callable[[Sequence[Patient]], Sequence[int]]
"""Stores patients with their scores, all or none, and returns their ids in order."""


class Format(StrEnum):
    """What a file is, by the end of its name."""

    PARQUET = ".parquet"
    CSV = ".csv"

    @classmethod
    def of(cls, path: Path) -> Format:
        """Return the format of ``path``. Raises ``InvalidData`` for another one."""
        try:
            return cls(path.suffix.lower())
        except ValueError:
            raise InvalidData(
                f"{path} is neither .parquet nor .csv: the end of its name says what a file is"
            ) from None


@dataclass(slots=True)
class ScoringTally:
    """How many rows were read, scored, and rejected."""

    rows: int = 0
    scored: int = 0
    rejected: int = 0

    def __add__(self, other: ScoringTally) -> ScoringTally:
        return ScoringTally(
            self.rows + other.rows,
            self.scored + other.scored,
            self.rejected + other.rejected,
        )


@dataclass(slots=True)
class ScoringProgress:
    """What is done so far. Every row before ``next_line`` is stored, if rows are stored."""

    rows: int = 0
    scored: int = 0
    rejected: int = 0
    stored: int = 0
    next_line: int = 1
