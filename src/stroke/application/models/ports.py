"""Ports of the models wing: where the state of the deployment is kept."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from stroke.domain.deployment import Deployment


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
