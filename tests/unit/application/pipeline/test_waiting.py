from __future__ import annotations

import pytest

from fakes.pipeline import FakeClock
from stroke.application.pipeline.waiting import EVERY, until
from stroke.domain.errors import BrokerUnavailable, ConnectUnavailable

pytestmark = pytest.mark.anyio


class Looks:
    """Gives what each look sees, the last of it again and again."""

    def __init__(self, *seen: bool | Exception) -> None:
        self._seen = list(seen)
        self.count = 0

    async def __call__(self) -> bool:
        self.count += 1
        found = self._seen.pop(0) if len(self._seen) > 1 else self._seen[0]
        if isinstance(found, Exception):
            raise found
        return found


async def wait(looks: Looks, within: float, *passing: type[Exception]) -> tuple[bool, float]:
    """Return what came of it, and how long it took."""
    clock = FakeClock()
    found = await until(looks, within=within, clock=clock, sleep=clock.sleep, passing=passing)
    return found, clock.seconds


async def test_what_holds_already_is_not_waited_for() -> None:
    for within in (10.0, 0.0, -1.0):
        assert await wait(Looks(True), within) == (True, 0.0)


async def test_what_comes_true_is_seen_at_the_next_look() -> None:
    assert await wait(Looks(False, False, True), 10) == (True, 2 * EVERY)


async def test_what_never_holds_takes_the_time_and_is_looked_at_once_more_at_the_end() -> None:
    looks = Looks(False)

    assert await wait(looks, 3 * EVERY) == (False, 3 * EVERY)
    assert looks.count == 4
    assert await wait(Looks(False), 0) == (False, 0.0)


async def test_an_error_that_passes_means_not_yet() -> None:
    away = ConnectUnavailable("away")

    assert await wait(Looks(away, away, True), 10, ConnectUnavailable) == (True, 2 * EVERY)


async def test_an_error_that_stays_is_raised_at_the_end_and_a_past_one_is_not() -> None:
    away = ConnectUnavailable("away")

    with pytest.raises(ConnectUnavailable):
        await wait(Looks(False, away), 2, ConnectUnavailable)
    assert await wait(Looks(away, False), 2, ConnectUnavailable) == (False, 2.0)


async def test_any_other_error_ends_the_wait_at_once() -> None:
    looks = Looks(BrokerUnavailable("away"))

    with pytest.raises(BrokerUnavailable):
        await wait(looks, 10, ConnectUnavailable)
    assert looks.count == 1


async def test_the_first_pauses_are_shorter_and_the_others_are_as_ever() -> None:
    clock = FakeClock()
    looks = Looks(False, False, False, False, True)

    assert await until(looks, within=10, clock=clock, sleep=clock.sleep, first_pauses=(0.125, 0.25))
    assert clock.seconds == 0.125 + 0.25 + 2 * EVERY
