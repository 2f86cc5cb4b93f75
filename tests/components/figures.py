"""Figures of a benchmark that fail when they could not be read, and the rate that is carried.

A counter that nothing feeds reads 0, which is below every limit: a figure that is 0, absent or not
a number is refused here, so that no goal is met by it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

# A lag that grows by a tenth of the time is more than what noise and commits in bulk do.
GROWTH = 0.1


class UnreadError(RuntimeError):
    """A figure could not be read; the text says which one, and why."""


def read(what: str, value: float | None) -> float:
    """Return ``value``, which must be a number above 0.

    Raises:
        UnreadError: it is absent, not finite, 0 or less.
    """
    if value is None or not math.isfinite(value) or value <= 0:
        raise UnreadError(f"{what} could not be read: {value}")
    return value


def counted(what: str, value: int, expected: int) -> int:
    """Return ``value``, which must be what was given to the program that is measured.

    Raises:
        UnreadError: the program did more or less than that.
    """
    if value != expected:
        raise UnreadError(f"{what}: {expected:,} expected, {value:,} found: no rate follows")
    return value


@dataclass(frozen=True)
class Arrivals:
    """How many rows of a stream a copy held, in order, at moments (seconds, monotonic)."""

    copy: str
    seen: list[tuple[float, int]] = field(default_factory=list)

    def look(self, now: float, rows: int) -> None:
        self.seen.append((now, rows))

    def rate(self, until: float) -> float:
        """Return the rows per second that arrived up to a moment, between two arrivals.

        What arrives in bulk (a commit of the lake) counts from the first one on.

        Raises:
            UnreadError: fewer than two arrivals were seen.
        """
        moments: list[tuple[float, int]] = []
        held = 0
        for now, rows in self.seen:
            if now <= until and rows > held:
                moments.append((now, rows))
                held = rows
        if len(moments) < 2:
            raise UnreadError(f"{self.copy}: {len(moments)} arrivals were seen: no rate follows")
        (began, first), (ended, last) = moments[0], moments[-1]
        return (last - first) / (ended - began)

    def lags(self, committed: Sequence[float], until: float) -> list[tuple[float, float]]:
        """Return, for each look, how long (s) the oldest row that lacks has been committed.

        ``committed`` are the moments at which the rows were, in order.
        """
        return [
            (now, max(now - committed[rows], 0.0) if rows < len(committed) else 0.0)
            for now, rows in self.seen
            if now <= until
        ]


def worst(lags: Sequence[tuple[float, float]]) -> float:
    """Return the longest lag, in seconds.

    Raises:
        UnreadError: nobody looked.
    """
    if not lags:
        raise UnreadError("the lag could not be read: nobody looked")
    return max(lag for _, lag in lags)


def grows(lags: Sequence[tuple[float, float]]) -> bool:
    """Say whether the lag was longer at the end: the copy carries less than is offered.

    The longest lags of both halves are compared, because a copy that commits in bulk lags by up to
    the time between two commits at any rate.

    Raises:
        UnreadError: one half was not looked at.
    """
    if not lags:
        raise UnreadError("the lag could not be read: nobody looked")
    began, ended = lags[0][0], lags[-1][0]
    half = (ended - began) / 2
    first = [each for each in lags if each[0] < began + half]
    second = [each for each in lags if each[0] >= began + half]
    return worst(second) - worst(first) > GROWTH * half
