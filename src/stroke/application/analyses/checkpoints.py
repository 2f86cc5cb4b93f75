"""What a run keeps, so that the next one reads only the changes since."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from stroke.application.analyses.changes import Input


class CannotContinue(Exception):
    """Changes since a checkpoint cannot be told from the others; says why.

    No error: the run reads everything instead.
    """


class CheckpointStore(Protocol):
    """Keeps one checkpoint: a file that an engine made."""

    @abstractmethod
    def load(self) -> Path | None:
        """Return a copy of the last checkpoint, to be changed at will; None if there is none.

        Raises ``CannotContinue`` when it cannot be read.
        """

    @abstractmethod
    def save(self, checkpoint: Path) -> None:
        """Put it in the place of the last one: all of it, or nothing. Raises ``InvalidData``."""


class IncrementalSource(Protocol):
    """A source that knows what came after a point it was at."""

    @abstractmethod
    def read_since(self, point: Mapping[str, Any]) -> Input:
        """Begin to read what came after ``point``, without names.

        Raises ``CannotContinue``, or what ``ChangeSource.read`` raises.
        """


class IncrementalEngine(Protocol):
    """An engine that goes on from what it loaded in a run before."""

    @abstractmethod
    def resume(self, checkpoint: Path) -> Mapping[str, Any]:
        """Open a checkpoint; return the point of the source that it was made at.

        Raises ``CannotContinue`` when it is broken or of another version.
        """

    @abstractmethod
    def extend(self, batches: Iterator[pa.RecordBatch]) -> int:
        """Take in what came since; return how many predictions there are now.

        Raises ``CannotContinue`` when it does not fit the checkpoint: load everything then.
        """

    @abstractmethod
    def checkpoint(self, point: Mapping[str, Any]) -> Path:
        """Return what was loaded, without names, as a file that is gone with the engine.

        No query may follow.
        """
