"""Ports of the models wing: the deployment, its artefacts, what shadows said, whose turn it is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import DTypeLike, NDArray

from stroke.domain.canary import AnsweredRisk
from stroke.domain.deployment import Deployment
from stroke.domain.prediction import PredictionFilter
from stroke.domain.shadow import ShadowPair, ShadowScore


class DeploymentStore(Protocol):
    """Keeps which models are served, for all workers. Nothing in it is ever changed or removed.

    Each call is one transaction, and raises ``StoreUnavailable``.
    """

    @abstractmethod
    async def latest(self) -> Deployment | None:
        """Return the deployment that holds; None while nothing was changed. It is cheap."""

    @abstractmethod
    async def append(self, entries: Sequence[Deployment]) -> None:
        """Add all ``entries`` or none, in their order; they are durable when this returns.

        Raises ``DeploymentChanged`` when one has a number that is taken.
        """

    @abstractmethod
    async def history(self, *, limit: int, before: int | None = None) -> list[Deployment]:
        """Return up to ``limit`` deployments, the newest first, from below number ``before``."""


class ShadowScores(Protocol):
    """Keeps what shadows said of stored predictions, and forgets it with them.

    Each call is one transaction, and raises ``StoreUnavailable``.
    """

    @abstractmethod
    async def add(self, scores: Sequence[ShadowScore]) -> int:
        """Store all ``scores`` whose predictions are still stored; return how many these are.

        Raises ``PredictionRejected`` when one of them was stored before; then none is.
        """

    @abstractmethod
    async def versions(self) -> list[str]:
        """Return of which shadows something is stored, sorted."""

    @abstractmethod
    async def pairs(
        self, version: str, within: PredictionFilter, *, limit: int, before: int | None = None
    ) -> list[ShadowPair]:
        """Return up to ``limit`` predictions within ``within`` of which this shadow said something.

        The newest (highest id) first. ``before`` continues after the one with that id.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let connections go. The next call opens one again."""


class AnsweredRisks(Protocol):
    """Reads what models answered last."""

    @abstractmethod
    async def newest(self, version: str, since: datetime, *, limit: int) -> list[AnsweredRisk]:
        """Return what ``version`` answered at or after ``since`` (aware), the newest first.

        Of its newest ``limit`` predictions; those without a risk are left out. Raises
        ``StoreUnavailable``.
        """


class Turns(Protocol):
    """Gives a task that all workers could do to one of them at a time."""

    @abstractmethod
    async def take(self, task: str, *, now: datetime, every: timedelta) -> bool:
        """Return whether the task is the caller's: nobody took it up in the last ``every``.

        ``now`` is the caller's time, aware. Raises ``StoreUnavailable``.
        """


class Webhook(Protocol):
    """An address that gets word of changes."""

    @abstractmethod
    async def send(self, document: Mapping[str, object]) -> None:
        """Return once the address has taken ``document``, which is sent as JSON.

        Raises ``EndpointUnavailable``; the address may have taken it nevertheless.
        """


class ArtefactStore(Protocol):
    """Keeps artefacts of models: by the names that were given, and by version for good.

    An artefact is a folder of this machine with a graph, a manifest, and files about them. A name
    may be given to another artefact; the one before can still be found by its version. Calls
    block. They raise ``ModelStoreUnavailable`` where the store cannot be reached.
    """

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the store is, for messages."""

    @abstractmethod
    def names(self) -> list[str]:
        """Return all names, sorted."""

    @abstractmethod
    def archived(self) -> list[str]:
        """Return the versions of the artefacts that have no name, sorted."""

    @abstractmethod
    def stored(self, name: str) -> Path:
        """Return the folder of the artefact of this name. Raises ``ModelNotFound``.

        Also raises ``InvalidModel`` where the artefact is not what was put there.
        """

    @abstractmethod
    def with_version(self, version: str) -> Path | None:
        """Return the folder of the artefact of a version, None where there is none.

        ``version`` may be any text: nothing but artefacts of the store is reached. Raises
        ``InvalidModel`` as ``stored`` does.
        """

    @abstractmethod
    def check_free(self, name: str, *, replace: bool) -> None:
        """Return if an artefact may be put under ``name``. Raises ``InvalidData`` otherwise."""

    @abstractmethod
    def put(
        self,
        name: str,
        files: Mapping[str, bytes],
        *,
        replace: bool,
        accept: Callable[[Path], object] = lambda _: None,
    ) -> None:
        """Keep ``files`` as the artefact of this name, all of them or nothing.

        No version ever changes: of one that is there already, what is there stays, with its
        signature, and gets the name. ``accept`` sees the new artefact as a folder before it takes
        the name, and raises to refuse it. Raises ``InvalidData`` when the name is taken and is not
        to be replaced, or the version is there with another graph or manifest; ``InvalidSetting``
        when the store cannot be written.
        """

    @abstractmethod
    def put_signature(self, folder: Path, content: bytes) -> None:
        """Keep a signature beside the artefact in ``folder``; the one before goes.

        ``folder`` is what ``stored`` or ``with_version`` returned. Raises ``InvalidSetting`` when
        the store cannot be written.
        """

    @abstractmethod
    def archive(self, name: str) -> str:
        """Give the name of an artefact up; return the version by which it is still found.

        Raises ``ModelNotFound``, ``InvalidModel``, and ``InvalidSetting`` when the store cannot be
        written.
        """


class Scratch(Protocol):
    """Values of one NumPy type, outside memory, that come back in the order in which they came.

    They need not be kept: they are gone when it is closed, or when the process ends.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Return how many values there are."""

    @abstractmethod
    def append(self, values: NDArray[Any]) -> None:
        """Add values ``(N,)``, of which there may be none. Raises ``ScratchFull``."""

    @abstractmethod
    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the values from ``start`` to below ``stop``, or to the last one."""

    @abstractmethod
    def close(self) -> None:
        """Let the values go."""


NewScratch = Callable[[DTypeLike], Scratch]
"""Makes an empty place for values of a type. Raises ``ScratchFull``."""
