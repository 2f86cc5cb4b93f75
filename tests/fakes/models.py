"""The store of deployments in memory."""

from __future__ import annotations

from collections.abc import Sequence

from fakes.failing import Failing
from stroke.application.models.ports import DeploymentStore
from stroke.domain.deployment import Deployment
from stroke.domain.errors import DeploymentChanged


class FakeDeploymentStore(Failing, DeploymentStore):
    """A dict by number; remembers how often it was looked at."""

    def __init__(self) -> None:
        self.kept: dict[int, Deployment] = {}
        self.looks = 0

    async def latest(self) -> Deployment | None:
        self.raise_if_failing()
        self.looks += 1
        return self.kept[max(self.kept)] if self.kept else None

    async def append(self, entries: Sequence[Deployment]) -> None:
        self.raise_if_failing()
        new = {each.number: each for each in entries}
        if new.keys() & self.kept.keys():
            raise DeploymentChanged("the deployment was changed by somebody else meanwhile")
        self.kept |= new

    async def history(self, *, limit: int, before: int | None = None) -> list[Deployment]:
        self.raise_if_failing()
        numbers = sorted((n for n in self.kept if before is None or n < before), reverse=True)
        return [self.kept[number] for number in numbers[:limit]]
