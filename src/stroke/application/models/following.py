"""Follower makes this process serve what the deployment says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from stroke.application.models.ports import DeploymentStore
from stroke.application.predictions.deployed import Deployed, Serving
from stroke.application.predictions.ports import RiskModel
from stroke.domain.deployment import Deployment
from stroke.domain.errors import ModelError, StoreUnavailable
from stroke.domain.risk import ModelDescription

RETRY_SECONDS: Final = 30.0
"""After so long a model that could not be loaded is tried once more."""


class Follower:
    """Looks at the deployment in ``store``, loads its models, and swaps them in ``serving``.

    ``load`` returns the model of a version, and may take seconds: it runs in a thread, while the
    former models go on to answer. Models that stay are not loaded again, nor is the champion of
    before: a roll-back waits for nothing, and needs no store of models. A challenger or a shadow
    that cannot be loaded is left out; for a champion that cannot be, everything stays as it was.
    ``swapped`` is called after each change, ``tell`` with what is wrong. ``clock`` counts seconds.
    """

    def __init__(
        self,
        store: DeploymentStore,
        serving: Serving,
        load: Callable[[str], RiskModel],
        *,
        swapped: Callable[[Deployed], object],
        tell: Callable[[str], object],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._serving = serving
        self._load = load
        self._saved = self._former = serving.now.champion
        self._swapped = swapped
        self._tell = tell
        self._clock = clock
        self._looking = asyncio.Lock()
        self._seen = 0
        self._tried_at = float("-inf")
        self.trouble: Mapping[str, str] = {}
        """Why models of the deployment are not served here, by their versions."""

    async def look(self) -> bool:
        """Look once, and return whether something else is served now.

        One look at a time: whoever looks while models are being loaded waits for them. A look that
        is cancelled has seen nothing. Raises ``StoreUnavailable``; and ``ModelError`` when the
        champion cannot be loaded.
        """
        async with self._looking:
            found = await self._store.latest()
            if found is None:
                return False
            again = bool(self.trouble) and self._clock() - self._tried_at >= RETRY_SECONDS
            if found.number == self._seen and not again:
                return False
            self._tried_at = self._clock()
            try:
                deployed = await self._deployed(found)
            except ModelError:
                self._seen = found.number
                raise
            self._seen = found.number
            if deployed is None:
                return False
            if deployed.champion is not self._serving.now.champion:
                self._former = self._serving.now.champion
            self._serving.swap(deployed)
            self._swapped(deployed)
            return True

    def loaded(self, version: str) -> ModelDescription | None:
        """Describe the model of a version that is in this process's memory; None if it is not."""
        found = self._in_memory().get(version)
        return None if found is None else found.description

    async def follow(self, pause: Callable[[], Awaitable[object]]) -> None:
        """Look again after each ``pause``, for ever. Troubles are reported and outlived."""
        away = False
        while True:
            await pause()
            try:
                await self.look()
            except StoreUnavailable as error:
                if not away:
                    self._tell(f"which models are served cannot be read: {error}")
                away = True
            except ModelError as error:
                self._tell(f"the former models are served on: {error}")
            else:
                away = False

    async def _deployed(self, wanted: Deployment) -> Deployed | None:
        """Return the models of ``wanted``; None if they are what is served already."""
        now, known = self._serving.now, self._in_memory()
        loaded: dict[str, RiskModel] = {}
        trouble: dict[str, str] = {}
        for version in wanted.versions:
            try:
                loaded[version] = (
                    known[version]
                    if version in known
                    else await asyncio.to_thread(self._load, version)
                )
            except ModelError as error:
                trouble[version] = str(error)
        before, self.trouble = self.trouble, trouble
        for version, why in trouble.items():
            if before.get(version) != why:
                self._tell(f"{version} is to be served and is not: {why}")
        champion, challenger = wanted.champion.version, wanted.challenger
        if champion not in loaded:
            raise ModelError(f"the champion {champion} cannot be loaded: {trouble[champion]}")
        deployed = Deployed(
            loaded[champion],
            None if challenger is None else loaded.get(challenger.version),
            0 if challenger is None else challenger.share or 0,
            tuple(loaded[each.version] for each in wanted.shadows if each.version in loaded),
            wanted.number,
        )
        same = now.number == deployed.number and [*_models(now)] == [*_models(deployed)]
        return None if same else deployed

    def _in_memory(self) -> dict[str, RiskModel]:
        """Return the models that are loaded, by their versions."""
        known = {each.description.version: each for each in _models(self._serving.now)}
        for kept in (self._former, self._saved):
            known.setdefault(kept.description.version, kept)
        return known


def _models(deployed: Deployed) -> Iterable[RiskModel]:
    yield deployed.champion
    if deployed.challenger is not None:
        yield deployed.challenger
    yield from deployed.shadows
