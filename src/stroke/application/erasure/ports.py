"""The ports of the erasure wing: places that can be searched, and those that only forget."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, order=True)
class Trace:
    """Something that a place still keeps of a prediction.

    ``where`` names a table, an object or a position in the place; never a value of a patient.
    ``until`` (aware) is when the place forgets it by itself; None if it does not.
    """

    prediction_id: int
    where: str
    until: datetime | None = None


class ErasablePlace(Protocol):
    """Keeps something of predictions. Calls raise a ``StrokeError`` when it does not answer."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What people call the place."""

    @abstractmethod
    async def erase(self, ids: Collection[int]) -> int:
        """Remove what the place keeps of these predictions; return how many items that were.

        Ids that it does not know change nothing. May be interrupted and called again. What the
        place forgets by itself may stay: ``find`` says until when.
        """

    @abstractmethod
    async def find(self, ids: Collection[int]) -> list[Trace]:
        """Return what the place still keeps of these predictions, sorted. Changes nothing."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that cannot be searched, and may hold rows that were erased.

    ``until`` (aware) is when it has forgotten them; None if nothing says that it ever does.
    """

    what: str
    until: datetime | None


class Retention(Protocol):
    """Something that forgets by itself, and cannot be searched for one prediction."""

    @abstractmethod
    async def kept(self, erased: datetime, *, now: datetime) -> Sequence[Kept]:
        """Return what may hold, at ``now``, rows that were erased at ``erased``, and until when.

        Both times are aware. What should have been removed by now and is still there has no end.
        Raises a ``StrokeError`` when it does not answer.
        """
