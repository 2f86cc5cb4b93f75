"""DeploymentService changes which models are served, and says which ones are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from stroke.application.models.ports import DeploymentStore
from stroke.domain.audit import AuditOutcome
from stroke.domain.deployment import Change, Deployment, DeploymentAction, checked_reason
from stroke.domain.errors import (
    DeploymentChanged,
    DeploymentRefused,
    ModelNotFound,
    StrokeError,
)
from stroke.domain.risk import ModelDescription

_NEEDS_MODEL: Final = frozenset(
    {
        DeploymentAction.PROMOTE,
        DeploymentAction.CANARY,
        DeploymentAction.SHADOW,
    }
)


class Asker(NamedTuple):
    """Who asks for a change, as the audit trail names it, and with which request."""

    name: str
    site: str | None = None
    request_id: str | None = None


Record = Callable[[Asker, str, AuditOutcome], Awaitable[None]]
"""Writes who asked for which change, and how that ended, into the trail: ``StoreUnavailable``."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A change that somebody asks for.

    ``model`` is a name or a version, needed by all but those that stop or roll back; a shadow that
    is stopped needs it where there are several. ``share`` is that of a canary. With ``after``, the
    change is refused unless that is the deployment's number by now. ``asks_for_more`` allows a
    model that needs measurements that callers may leave out.
    """

    action: DeploymentAction
    model: str | None = None
    share: float | None = None
    reason: str | None = None
    after: int | None = None
    asks_for_more: bool = False


class DeploymentService:
    """Changes the deployment in ``store``; every change is in the audit trail.

    ``saved`` describes the model of the setting. ``candidate`` loads the model of a name or version
    and verifies it, which takes a while; ``described`` only reads what it says of itself. Both
    raise ``ModelNotFound`` or ``InvalidModel``. ``loaded`` describes the model of a version that
    this process has in memory, verified once, and needs no store of models; None where it has not.
    ``now`` returns the present, aware.
    """

    def __init__(
        self,
        store: DeploymentStore,
        *,
        saved: Callable[[], ModelDescription],
        candidate: Callable[[str], ModelDescription],
        described: Callable[[str], ModelDescription],
        record: Record,
        now: Callable[[], datetime],
        most_shadows: int,
        loaded: Callable[[str], ModelDescription | None] = lambda _: None,
    ) -> None:
        self._store = store
        self._saved = saved
        self._candidate = candidate
        self._described = described
        self._record = record
        self._now = now
        self._most_shadows = most_shadows
        self._in_memory = loaded

    async def present(self) -> Deployment:
        """Return the deployment that holds. Raises ``StoreUnavailable``."""
        found = await self._store.latest()
        return Deployment.of_setting(self._saved().version) if found is None else found

    async def version_of(self, model: str) -> str:
        """Return the version of a model of the store, by its name or its version.

        Raises ``ModelNotFound``, ``InvalidModel`` and ``ModelStoreUnavailable``.
        """
        return (await asyncio.to_thread(self._described, model)).version

    async def history(self, *, limit: int, before: int | None = None) -> list[Deployment]:
        """Return past deployments and the present one, the newest first."""
        return await self._store.history(limit=limit, before=before)

    async def change(self, wish: Wish, asker: Asker, *, dry_run: bool = False) -> Deployment:
        """Make a change, and return the deployment after it, once it is durable.

        Workers follow within seconds. A ``dry_run`` checks everything and changes nothing. Raises
        ``DeploymentRefused``, ``DeploymentChanged``, ``ModelNotFound``, ``InvalidModel`` and
        ``StoreUnavailable``.
        """
        if dry_run:
            _, planned = await self._planned(wish, asker)
            return planned
        target = " ".join(filter(None, [str(wish.action), wish.model]))
        await self._record(asker, target, AuditOutcome.ASKED)
        try:
            begun, after = await self._planned(wish, asker)
            target = f"{after.action} {after.model}"
            await self._store.append([after] if begun is None else [begun, after])
        except StrokeError:
            await self._record(asker, target, AuditOutcome.FAILED)
            raise
        await self._record(asker, target, AuditOutcome.DONE)
        return after

    async def _planned(self, wish: Wish, asker: Asker) -> tuple[Deployment | None, Deployment]:
        """Return the first entry of the history if this is the first change, and the change's."""
        present = await self.present()
        if wish.after is not None and wish.after != present.number:
            raise DeploymentChanged(
                f"the deployment has the number {present.number}, and not {wish.after}: look again"
            )
        change = Change(self._now(), asker.name, checked_reason(wish.reason))
        begun = present.begun(change) if present.number == 0 else None
        return begun, await self._changed(begun or present, wish, change)

    async def _changed(self, present: Deployment, wish: Wish, change: Change) -> Deployment:
        if wish.action in _NEEDS_MODEL and not wish.model:
            raise DeploymentRefused(f"{wish.action} needs a model")
        model = wish.model or ""
        match wish.action:
            case DeploymentAction.PROMOTE:
                return present.promoted(await self._checked(present, wish), change)
            case DeploymentAction.ROLLBACK:
                after = present.rolled_back(change)
                # It is urgent, and the store may be what is broken.
                if self._in_memory(after.champion.version) is None:
                    await self._loaded(after.champion.version)
                return after
            case DeploymentAction.CANARY:
                if wish.share is None:
                    raise DeploymentRefused("a canary needs a share")
                version = await self._checked(present, wish)
                return present.with_canary(version, wish.share, change)
            case DeploymentAction.CANARY_STOP | DeploymentAction.CANARY_BREACH:
                breached = wish.action is DeploymentAction.CANARY_BREACH
                return present.without_canary(change, breached=breached)
            case DeploymentAction.SHADOW:
                version = (await self._loaded(model)).version
                return present.with_shadow(version, change, most=self._most_shadows)
            case _:
                return present.without_shadow(await self._shadow(present, wish.model), change)

    async def _checked(self, present: Deployment, wish: Wish) -> str:
        """Return the version of a model that may answer callers of the champion."""
        found = await self._loaded(wish.model or "")
        if not wish.asks_for_more:
            champion = await asyncio.to_thread(self._of, present.champion.version)
            if needed := found.asks_beyond(champion):
                raise DeploymentRefused(
                    f"{found.version} needs {' and '.join(needed)}, which callers of "
                    f"{champion.version} may leave out"
                )
        return found.version

    async def _loaded(self, name: str) -> ModelDescription:
        """Return what a model says of itself once it was loaded and verified."""
        saved = self._saved()
        if name == saved.version:
            return saved
        return await asyncio.to_thread(self._candidate, name)

    async def _shadow(self, present: Deployment, name: str | None) -> str:
        """Return the version of the shadow that is meant: the only one if no name is given."""
        versions = [each.version for each in present.shadows]
        if name is None:
            if len(versions) != 1:
                raise DeploymentRefused(
                    f"say which shadow: there are {', '.join(versions)}"
                    if versions
                    else "there is no shadow"
                )
            return versions[0]
        if name in versions:
            return name
        try:
            return (await asyncio.to_thread(self._of, name)).version
        except ModelNotFound:
            return name

    def _of(self, name: str) -> ModelDescription:
        saved = self._saved()
        return saved if name == saved.version else self._in_memory(name) or self._described(name)
