"""Which models are served: a champion, perhaps a challenger with a share, and shadows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from stroke.domain.errors import DeploymentRefused

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
"""What commands call the models that have these parts; no other model is found by these names."""

LONGEST_REASON: Final = 500
MOST_FORMER: Final = 20
"""How many former champions are remembered for rollbacks."""


class DeploymentAction(StrEnum):
    """What made a deployment out of the one before it."""

    BEGIN = "begin"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    CANARY = "canary"
    CANARY_STOP = "canary-stop"
    CANARY_BREACH = "canary-breach"
    SHADOW = "shadow"
    SHADOW_STOP = "shadow-stop"


class Change(NamedTuple):
    """When a change was made (aware), by whom, and why."""

    at: datetime
    by: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """A model's version in a deployment, since when, by whom and why.

    ``since`` is None for the model of the setting, on which nobody decided here. ``share`` is the
    challenger's part of the patients, above 0 and below 1, and None for the others.
    """

    version: str
    since: datetime | None = None
    by: str | None = None
    reason: str | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """The models that are served from one change to the next. Numbers begin with 1.

    Number 0 is what the setting says, as long as nothing was changed. ``model`` is the version
    that the change was about. ``former`` are the champions before, the last one at the end.
    """

    number: int
    action: DeploymentAction
    champion: Role
    challenger: Role | None = None
    shadows: tuple[Role, ...] = ()
    former: tuple[str, ...] = ()
    at: datetime | None = None
    by: str | None = None
    reason: str | None = None
    model: str | None = None

    @classmethod
    def of_setting(cls, version: str) -> Deployment:
        """Return what is served where nothing was changed: the model of the setting."""
        return cls(0, DeploymentAction.BEGIN, Role(version))

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions of all its models, the champion's first."""
        challenger = () if self.challenger is None else (self.challenger.version,)
        return (self.champion.version, *challenger, *(each.version for each in self.shadows))

    def begun(self, change: Change) -> Deployment:
        """Return the first entry of a history: the setting's model, when it was first changed."""
        return replace(self, number=1, at=change.at, by=change.by, model=self.champion.version)

    def promoted(self, version: str, change: Change) -> Deployment:
        """Return this deployment with another champion, and without a challenger.

        Raises ``DeploymentRefused`` if that is the champion already.
        """
        if version == self.champion.version:
            raise DeploymentRefused(f"{version} is the champion already")
        former = (*self.former, self.champion.version)[-MOST_FORMER:]
        return self._next(
            DeploymentAction.PROMOTE,
            version,
            change,
            champion=_role(version, change),
            challenger=None,
            shadows=self._shadows_but(version),
            former=former,
        )

    def rolled_back(self, change: Change) -> Deployment:
        """Return this deployment with the champion before, and without a challenger.

        Raises ``DeploymentRefused`` if there was none before.
        """
        if not self.former:
            raise DeploymentRefused("there is no champion before this one")
        version = self.former[-1]
        return self._next(
            DeploymentAction.ROLLBACK,
            version,
            change,
            champion=_role(version, change),
            challenger=None,
            shadows=self._shadows_but(version),
            former=self.former[:-1],
        )

    def with_canary(self, version: str, share: float, change: Change) -> Deployment:
        """Return this deployment with a challenger, which gets ``share`` of the patients.

        The same challenger with another share goes on. Raises ``DeploymentRefused`` for the
        champion, beside another challenger, and for a share that is not above 0 and below 1.
        """
        if not 0 < share < 1:
            raise DeploymentRefused("a share is above 0 and below 1")
        if version == self.champion.version:
            raise DeploymentRefused(f"{version} is the champion: it cannot be its own canary")
        now = self.challenger
        if now is not None and now.version != version:
            raise DeploymentRefused(f"{now.version} is the canary: stop it first")
        role = replace(_role(version, change), share=share)
        if now is not None:
            if now.share == share:
                raise DeploymentRefused(f"{version} is the canary with this share already")
            role = replace(role, since=now.since)
        return self._next(
            DeploymentAction.CANARY,
            version,
            change,
            challenger=role,
            shadows=self._shadows_but(version),
        )

    def without_canary(self, change: Change, *, breached: bool = False) -> Deployment:
        """Return this deployment without a challenger. Raises ``DeploymentRefused`` without one.

        ``breached`` says that one of its guards took it back.
        """
        if self.challenger is None:
            raise DeploymentRefused("there is no canary")
        action = DeploymentAction.CANARY_BREACH if breached else DeploymentAction.CANARY_STOP
        return self._next(action, self.challenger.version, change, challenger=None)

    def with_shadow(self, version: str, change: Change, *, most: int) -> Deployment:
        """Return this deployment with one more shadow.

        Raises ``DeploymentRefused`` for a model that is served already, and if there are ``most``.
        """
        if version in self.versions:
            raise DeploymentRefused(f"{version} is deployed already")
        if len(self.shadows) >= most:
            raise DeploymentRefused(
                f"there are {len(self.shadows)} shadows, and no more are allowed "
                "(STROKE_SHADOW_MOST)"
            )
        shadows = (*self.shadows, _role(version, change))
        return self._next(DeploymentAction.SHADOW, version, change, shadows=shadows)

    def without_shadow(self, version: str, change: Change) -> Deployment:
        """Return this deployment without a shadow. Raises ``DeploymentRefused`` if it is none."""
        if all(each.version != version for each in self.shadows):
            raise DeploymentRefused(f"{version} is no shadow")
        left = self._shadows_but(version)
        return self._next(DeploymentAction.SHADOW_STOP, version, change, shadows=left)

    def _shadows_but(self, version: str) -> tuple[Role, ...]:
        return tuple(each for each in self.shadows if each.version != version)

    def _next(
        self, action: DeploymentAction, model: str, change: Change, **changed: object
    ) -> Deployment:
        return replace(
            self,
            number=self.number + 1,
            action=action,
            model=model,
            at=change.at,
            by=change.by,
            reason=change.reason,
            **changed,  # type: ignore[arg-type]
        )


def checked_reason(reason: str | None) -> str | None:
    """Return a reason without blanks around it, None for an empty one.

    Raises ``DeploymentRefused`` for one that is too long, or has more than one line.
    """
    reason = (reason or "").strip()
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise DeploymentRefused(
            f"a reason is one line of at most {LONGEST_REASON} printable characters"
        )
    return reason or None


def _role(version: str, change: Change) -> Role:
    return Role(version, change.at, change.by, change.reason)
