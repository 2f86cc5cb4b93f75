"""The one wait for what comes true later: a condition that is looked at again and again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from itertools import chain, repeat
from typing import Final

EVERY: Final = 0.5
"""Seconds between two looks."""

Sleep = Callable[[float], Awaitable[object]]


async def until(
    condition: Callable[[], Awaitable[bool]],
    *,
    within: float,
    clock: Callable[[], float],
    sleep: Sleep,
    passing: tuple[type[Exception], ...] = (),
    first_pauses: Iterable[float] = (),
) -> bool:
    """Return True once ``condition`` holds, and False if it does not within ``within`` seconds.

    It is asked at least once, even when ``within`` is 0 or below, and once more when the time is
    over. ``clock`` is monotonic seconds. ``first_pauses`` are the seconds between the first looks;
    after them it looks every ``EVERY`` seconds. An error of the kinds in ``passing`` means "not
    yet": it is raised only if the last look ends with it. Any other error is raised at once.
    """
    deadline = clock() + within
    pauses = chain(first_pauses, repeat(EVERY))
    while True:
        failure: Exception | None = None
        try:
            if await condition():
                return True
        except passing as error:
            failure = error
        if clock() >= deadline:
            if failure is not None:
                raise failure
            return False
        await sleep(next(pauses))
