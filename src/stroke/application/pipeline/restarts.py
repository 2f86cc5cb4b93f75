"""When something that failed may be restarted: with back-off, and a cap."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """The first restart comes at once, the next after ``first_pause`` seconds, then twice that.

    There are ``at_most`` restarts in any ``window`` seconds: a cause that does not go away is
    retried for ever, but slowly. A failure that comes back in the same way after
    ``same_at_most`` restarts was not healed by them: the pauses go on doubling beyond
    ``longest_pause``, up to ``slowest_pause``, and it counts as well only once it has run for
    ``steady`` seconds.
    """

    first_pause: float = 5.0
    longest_pause: float = 120.0
    at_most: int = 8
    window: float = 1800.0
    same_at_most: int = 3
    slowest_pause: float = 1800.0
    steady: float = 120.0


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
        self._gave_up_at: float | None = None
        self.ailing = False
        """Whether it failed and was not seen well since."""
        self._why = ""
        self.same = 0
        """How many restarts in a row were for the same failure."""

    @property
    def is_unhealed(self) -> bool:
        """Whether restarts have proved not to heal it."""
        return self.same >= self._policy.same_at_most

    @property
    def pause(self) -> float:
        """How many seconds after the last restart the next one may follow."""
        pause = self._policy.first_pause * 2.0 ** (len(self._at) - 1)
        pause = min(pause, self._policy.longest_pause)
        if self.is_unhealed:
            beyond = self.same - self._policy.same_at_most + 1
            pause = min(self._policy.longest_pause * 2.0**beyond, self._policy.slowest_pause)
        return pause

    def ask(self, now: float, why: str = "") -> Verdict:
        """Return what to do about a failure that is seen ``now``; a restart counts as done.

        ``why`` sets one failure apart from another; without it no two are alike. ``GIVE_UP`` comes
        back every ``longest_pause`` seconds until it is well or may be restarted again, and
        ``WAIT`` in between.
        """
        self.ailing = True
        if not why or why != self._why:
            self._why, self.same = why, 0
        self._at = [at for at in self._at if now - at < self._policy.window]
        if len(self._at) >= self._policy.at_most:
            return self._give_up(now)
        if self._at and now - self._at[-1] < self.pause:
            return self._give_up(now) if self.is_unhealed else Verdict.WAIT
        self._at.append(now)
        if why:
            self.same += 1
        return Verdict.RESTART

    def well(self, now: float | None = None) -> bool:
        """Note that it is well ``now``; return whether it was not before.

        One that restarts do not heal runs for a while after each: that is no recovery before it
        has lasted. Without ``now`` it always is.
        A cap that was reached is lifted: somebody found the cause. Below it, earlier restarts go
        on to count, so that one that fails right after each start reaches the cap.
        """
        lasts = now is None or not self._at or now - self._at[-1] >= self._policy.steady
        if self.is_unhealed and not lasts:
            return False
        if lasts:
            self._why, self.same = "", 0
        recovered, self.ailing = self.ailing, False
        if self._gave_up_at is not None:
            self._at, self._gave_up_at = [], None
        return recovered

    def _give_up(self, now: float) -> Verdict:
        if self._gave_up_at is not None and now - self._gave_up_at < self._policy.longest_pause:
            return Verdict.WAIT
        self._gave_up_at = now
        return Verdict.GIVE_UP
