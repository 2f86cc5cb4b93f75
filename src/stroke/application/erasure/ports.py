"""The ports of the erasure wing: places that are erased or searched, and what only forgets."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from stroke.application.erasure.values import SoughtValues


@dataclass(frozen=True, slots=True, order=True)
class Trace:
    """Something that a place still keeps of a prediction.

    ``where`` names a table, an object or a position in the place; never a value of a patient.
    ``until`` (aware) is when the place forgets it by itself; None if it does not.
    """

    prediction_id: int
    where: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True, order=True)
class ValueTrace:
    """Somewhere that one of the sought values is. ``value`` is its number, and never the value.

    ``where`` and ``until`` are those of a ``Trace``.
    """

    value: int
    where: str
    until: datetime | None = None


class SearchedPlace(Protocol):
    """Keeps something of predictions. Calls raise a ``StrokeError`` when it does not answer."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What people call the place."""

    @abstractmethod
    async def find(self, ids: Collection[int]) -> list[Trace]:
        """Return what the place still keeps of these predictions, sorted. Changes nothing."""


class ErasablePlace(SearchedPlace, Protocol):
    """A place from which predictions can be taken out."""

    @abstractmethod
    async def erase(self, ids: Collection[int]) -> int:
        """Remove what the place keeps of these predictions; return how many items that were.

        Ids that it does not know change nothing. May be interrupted and called again. What the
        place forgets by itself may stay: ``find`` says until when. A place may take along what it
        keeps of other predictions, where nothing needs that.
        """


class ValueSearch(Protocol):
    """Something in which values of a patient can be searched for, whoever's row has them."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What people call what is searched."""

    @abstractmethod
    async def find_values(self, sought: SoughtValues) -> list[ValueTrace]:
        """Return where which of the values are. Changes nothing.

        Raises a ``StrokeError`` where something cannot be read, and may hold them.
        """


@dataclass(frozen=True, slots=True)
class Retained:
    """Something that cannot be searched, and may hold rows that were erased.

    ``until`` (aware) is when it has forgotten them; None if nothing says that it ever does.
    """

    what: str
    until: datetime | None


class Retention(Protocol):
    """Something that forgets by itself, and cannot be searched for one prediction."""

    @abstractmethod
    async def retained(self, erased: datetime, *, now: datetime) -> Sequence[Retained]:
        """Return what may hold, at ``now``, rows that were erased at ``erased``, and until when.

        Both times are aware. What should have been removed by now and is still there has no end.
        Raises a ``StrokeError`` when it does not answer.
        """


class JobState(StrEnum):
    """How far an erasure job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a job did. ``removed`` counts items by the name of the place."""

    erased: tuple[int, ...]
    unknown: tuple[int, ...]
    removed: Mapping[str, int]
    retained: tuple[Retained, ...]


@dataclass(frozen=True, slots=True)
class ErasureJob:
    """An erasure that somebody asked for. Times are aware."""

    id: str
    ids: tuple[int, ...]
    """What is to be erased."""
    unknown: tuple[int, ...]
    """What was asked for and is not erased: nobody's, or another site's."""
    site: str | None
    """The site whose rows alone may be erased; None for those of all."""
    actor: str
    request_id: str | None
    asked_at: datetime
    state: JobState = JobState.QUEUED
    attempts: int = 0
    """How often a worker took it up."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    result: JobResult | None = None
    trouble: str | None = None
    """Why the last attempt failed; never a value of a patient."""

    @property
    def asked_for(self) -> frozenset[int]:
        """All ids of the request."""
        return frozenset((*self.ids, *self.unknown))


class ErasureJobs(Protocol):
    """Keeps jobs, for all workers. Each call is one transaction, and raises ``StoreUnavailable``.

    A job belongs to the worker that claimed it last. For any other one, ``renew``, ``finish`` and
    ``put_back`` change nothing and return False.
    """

    @abstractmethod
    async def add(self, job: ErasureJob, *, key: str | None = None) -> ErasureJob | None:
        """Store a job and return it; or return the one that has its request's ``key`` already.

        If the job has a site, the ids of rows of other sites become ``unknown``. Where
        none is left, nothing is stored, and None is returned.
        """

    @abstractmethod
    async def find(self, job_id: str) -> ErasureJob | None:
        """Return a job, None where there is none."""

    @abstractmethod
    async def claim(self, worker: str, *, now: datetime, until: datetime) -> ErasureJob | None:
        """Give ``worker`` the job that waits longest until a time, and return it, running.

        Jobs wait that nobody has, or whose worker's time was over at ``now``. None if none waits.
        """

    @abstractmethod
    async def renew(self, job_id: str, worker: str, *, until: datetime) -> bool:
        """Give ``worker`` more time for its job."""

    @abstractmethod
    async def finish(self, job_id: str, worker: str, result: JobResult, *, at: datetime) -> bool:
        """Store what a job did."""

    @abstractmethod
    async def put_back(
        self, job_id: str, worker: str, trouble: str, *, not_before: datetime
    ) -> bool:
        """Store why a job failed; it waits again from ``not_before`` on."""

    @abstractmethod
    async def forget(self, ended_before: datetime) -> int:
        """Remove the jobs that ended before; return how many that were."""


class OldRows(Protocol):
    """Knows when predictions were made. Those of an unknown time are never old.

    Each call is one transaction, and raises ``StoreUnavailable``.
    """

    @abstractmethod
    async def count(self, before: datetime) -> int:
        """Return how many were made before a time (aware)."""

    @abstractmethod
    async def oldest(self, before: datetime, *, limit: int) -> list[int]:
        """Return the ids of up to ``limit`` that were made before a time, the oldest first."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A patient of a record system: the id on a server; ``server`` None stands for any one."""

    id: str = field(repr=False)
    server: str | None = None


class Subjects(Protocol):
    """Knows which predictions are those of record systems' patients."""

    @abstractmethod
    async def find(
        self, subject: Subject, *, site: str | None
    ) -> Mapping[str | None, Sequence[int]]:
        """Return the ids of a patient's predictions, by the server whose patient it is.

        Ids and servers differ by case; a slash at the end of a server does not matter. With a
        ``site``, charts of other sites are left out. Charts that came without a server are under
        None. One transaction, which raises ``StoreUnavailable``.
        """
