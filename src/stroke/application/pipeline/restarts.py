"""When something that failed may be restarted: with back-off, and a cap."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """The first restart comes at once, the next after ``first_pause`` seconds, then twice that.

    There are ``at_most`` restarts in any ``window`` seconds: a cause that does not go away is
    retried for ever, but slowly.
    """

    first_pause: float = 5.0
    longest_pause: float = 120.0
    at_most: int = 8
    window: float = 1800.0


class Verdict(Enum):
    """What to do about something that failed."""

    RESTART = "restart"
    WAIT = "wait"
    GIVE_UP = "give up"


class Restarts:
    """The restarts of one connector. Times are monotonic seconds."""

    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy
        self._at: list[float] = []
        self._told_at: float | None = None
        self.ailing = False
        """Whether it failed and was not seen well since."""

    def ask(self, now: float) -> Verdict:
        """Return what to do about a failure that is seen ``now``; a restart counts as done.

        ``GIVE_UP`` comes back every ``longest_pause`` seconds until it is well or may be
        restarted again, and ``WAIT`` in between.
        """
        self.ailing = True
        self._at = [at for at in self._at if now - at < self._policy.window]
        if len(self._at) >= self._policy.at_most:
            if self._told_at is not None and now - self._told_at < self._policy.longest_pause:
                return Verdict.WAIT
            self._told_at = now
            return Verdict.GIVE_UP
        if self._at and now - self._at[-1] < self._pause():
            return Verdict.WAIT
        self._at.append(now)
        return Verdict.RESTART

    def well(self) -> bool:
        """Note that it is well; return whether it was not before.

        A cap that was reached is lifted: somebody found the cause. Below it, earlier restarts go
        on to count, so that one that fails right after each start reaches the cap.
        """
        recovered, self.ailing = self.ailing, False
        if self._told_at is not None:
            self._at, self._told_at = [], None
        return recovered

    def _pause(self) -> float:
        pause = self._policy.first_pause * 2.0 ** (len(self._at) - 1)
        return min(pause, self._policy.longest_pause)
