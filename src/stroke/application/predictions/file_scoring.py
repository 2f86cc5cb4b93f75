"""Files of patients, scored: what they are, and how far a run has come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from io import BufferedIOBase
from pathlib import Path
from typing import Final, NamedTuple

from stroke.domain.errors import InvalidData
from stroke.domain.patient import Patient

Store = Callable[[Sequence[Patient]], Sequence[int]]
"""Stores patients with their scores, all or none, and returns their ids in order."""


_PACKED: Final = (".gz", ".zst", ".bz2", ".xz", ".zip")
_DELIMITED: Final = (".csv", ".tsv", ".tab", ".txt")


@dataclass(frozen=True, slots=True)
class CsvText:
    """A table as CSV in UTF-8: commas, decimal points, LF or CR LF; the header is on ``line``.

    A file that is so already comes as it is, byte by byte; ``notes`` say how others were read.
    ``position`` returns how many of the file's ``size`` bytes have been read.
    """

    stream: BufferedIOBase
    line: int
    size: int
    position: Callable[[], int]
    notes: tuple[str, ...] = ()


OpenCsv = Callable[[Path], AbstractContextManager[CsvText]]
"""Opens a table as CSV, whatever its dialect, encoding and packing. Raises ``InvalidData``."""


class RejectedLine(NamedTuple):
    """A row that was not scored: the line it starts on (from 1), and why. Quotes no value.

    In Parquet the line is the row's number.
    """

    line: int
    reason: str


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

    @classmethod
    def of_input(cls, path: Path) -> Format:
        """Return the format of a file to read, which may be packed (``.csv.gz``).

        Raises ``InvalidData`` for another one.
        """
        suffix = without_packing(path).suffix.lower()
        return cls.CSV if suffix in _DELIMITED else cls.of(path)

    @classmethod
    def is_input(cls, path: Path) -> bool:
        """Return whether the name of ``path`` says that it is a file to read."""
        suffix = without_packing(path).suffix.lower()
        return suffix in _DELIMITED or path.suffix.lower() == cls.PARQUET


def without_packing(path: Path) -> Path:
    """Return ``path`` without the suffix of its packing, if it has one."""
    return path.with_suffix("") if path.suffix.lower() in _PACKED else path


@dataclass(slots=True)
class ScoringTally:
    """How many rows were read, scored (by which ``variants`` of the model), and rejected."""

    rows: int = 0
    scored: int = 0
    rejected: int = 0
    variants: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: ScoringTally) -> ScoringTally:
        return ScoringTally(
            self.rows + other.rows,
            self.scored + other.scored,
            self.rejected + other.rejected,
            add_counts(dict(self.variants), other.variants),
        )


@dataclass(slots=True)
class ScoringProgress:
    """What is done so far. Every row before ``next_line`` is stored, if rows are stored."""

    rows: int = 0
    scored: int = 0
    rejected: int = 0
    stored: int = 0
    next_line: int = 1
    variants: dict[str, int] = field(default_factory=dict)


def add_counts(counts: dict[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """Add ``more`` to ``counts``, name by name, and return them."""
    for name, count in more.items():
        counts[name] = counts.get(name, 0) + count
    return counts
