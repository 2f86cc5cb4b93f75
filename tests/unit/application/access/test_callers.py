"""Who calls, and how soon a change of the keys holds."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from builders.predictions import NOON
from fakes.access import FakeKeyStore
from stroke.application.access.callers import Callers
from stroke.application.access.keys import KeyService, NewKey
from stroke.domain.access import ANYBODY, Scope
from stroke.domain.errors import NotAuthenticated, StoreUnavailable

pytestmark = pytest.mark.anyio

STRANGERS = f"stroke_{'0' * 16}_{'A' * 43}"


class Access:
    """The use cases over one store, with a clock that tests turn."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []
        self.store = FakeKeyStore()
        self.keys = KeyService(self.store, now=self.now)
        self.callers = Callers(
            self.store,
            now=self.now,
            clock=lambda: self.seconds,
            sleep=self.sleep,
            max_age=2,
            pause=0.25,
        )

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)

    async def make(self, lifetime: timedelta | None = None) -> NewKey:
        return await self.keys.create(name="ward", site="north", scopes=["read"], lifetime=lifetime)


@pytest.fixture
def access() -> Access:
    return Access()


async def test_while_there_is_no_key_everybody_may_call(access: Access) -> None:
    assert await access.callers.is_open()
    for credentials in ([], [STRANGERS], ["nonsense", STRANGERS]):
        assert await access.callers.caller(credentials) is ANYBODY
    assert access.store.looks == 2


async def test_who_has_just_made_the_first_key_is_known_by_it_at_once(access: Access) -> None:
    assert await access.callers.caller([]) is ANYBODY
    made = await access.make()

    assert (await access.callers.caller([made.text])).id == made.key.id
    with pytest.raises(NotAuthenticated):
        await access.callers.caller([])


async def test_an_unknown_key_that_comes_again_makes_no_new_look(access: Access) -> None:
    await access.make()
    for _ in range(20):
        with pytest.raises(NotAuthenticated):
            await access.callers.caller([STRANGERS])

    assert access.store.looks <= 2


async def test_a_key_that_came_before_it_was_kept_is_known_when_the_keys_are_read_again(
    access: Access,
) -> None:
    elsewhere = Access()
    made = await elsewhere.make()
    await access.make()
    with pytest.raises(NotAuthenticated):
        await access.callers.caller([made.text])

    await access.store.add(made.key)  # as a copy of another database does
    access.seconds += 2.01

    assert (await access.callers.caller([made.text])).id == made.key.id


async def test_the_first_key_closes_the_service_and_no_revocation_opens_it_again(
    access: Access,
) -> None:
    assert await access.callers.caller([]) is ANYBODY
    made = await access.make()
    access.seconds += 2.01

    with pytest.raises(NotAuthenticated):
        await access.callers.caller([])
    await access.keys.revoke(made.key.id)
    access.seconds += 2.01
    with pytest.raises(NotAuthenticated):
        await access.callers.caller([])
    assert not await access.callers.is_open()


async def test_a_key_names_its_caller(access: Access) -> None:
    made = await access.make()

    caller = await access.callers.caller([made.text])

    assert (caller.kind, caller.id, caller.site) == ("key", made.key.id, "north")
    assert caller.scopes == {Scope.READ}
    assert await access.callers.caller([made.text, made.text]) == caller


async def test_requests_in_between_cost_no_look_at_the_store(access: Access) -> None:
    made = await access.make()

    for _ in range(100):
        await access.callers.caller([made.text])
        access.seconds += 0.01

    assert access.store.looks == 1


async def test_a_revoked_key_ends_when_the_keys_are_read_again(access: Access) -> None:
    made = await access.make()
    await access.callers.caller([made.text])
    await access.keys.revoke(made.key.id)

    access.seconds += 2
    await access.callers.caller([made.text])
    access.seconds += 0.01
    with pytest.raises(NotAuthenticated):
        await access.callers.caller([made.text])


async def test_a_key_expires_at_its_very_time_though_it_was_read_before(access: Access) -> None:
    made = await access.make(timedelta(seconds=1))
    await access.callers.caller([made.text])

    access.seconds += 1
    with pytest.raises(NotAuthenticated):
        await access.callers.caller([made.text])
    assert access.store.looks == 1


async def test_a_new_key_is_known_at_once(access: Access) -> None:
    first = await access.make()
    await access.callers.caller([first.text])
    second = await access.make()

    assert (await access.callers.caller([second.text])).id == second.key.id


async def test_unknown_keys_make_no_more_looks_than_the_pause_allows(access: Access) -> None:
    await access.make()

    async def guess(number: int) -> None:
        with pytest.raises(NotAuthenticated):
            await access.callers.caller([f"stroke_{number:016x}_{'A' * 43}"])

    for begin in range(0, 100, 20):
        await asyncio.gather(*(guess(number) for number in range(begin, begin + 20)))

    # 100 guesses; the looks are one pause apart.
    assert access.store.looks <= 1 + access.seconds / 0.25
    assert access.store.looks <= 11


@pytest.mark.parametrize("change", ["secret", "id", "case", "cut", "longer", "scheme"])
async def test_what_is_not_the_whole_key_names_nobody(access: Access, change: str) -> None:
    made = await access.make()
    text = made.text
    wrong = {
        "secret": text[:-1] + ("A" if text[-1] != "A" else "B"),
        "id": text.replace(made.key.id, "0" * 16),
        "case": text.swapcase(),
        "cut": text[:-1],
        "longer": text + "A",
        "scheme": f"Bearer {text}",
    }[change]

    with pytest.raises(NotAuthenticated) as raised:
        await access.callers.caller([wrong])

    assert raised.value.presented
    assert wrong not in str(raised.value)


async def test_a_wrong_secret_of_a_known_key_makes_no_new_look(access: Access) -> None:
    made = await access.make()
    for letter in "ABCDEFGH":
        with pytest.raises(NotAuthenticated):
            await access.callers.caller([made.text[:-3] + 3 * letter])
    assert access.store.looks == 1


async def test_two_different_keys_in_one_request_are_refused(access: Access) -> None:
    one, other = await access.make(), await access.make()
    with pytest.raises(NotAuthenticated, match="two different"):
        await access.callers.caller([one.text, other.text])


async def test_while_the_keys_cannot_be_read_nobody_is_let_in_by_what_was_known(
    access: Access,
) -> None:
    made = await access.make()
    await access.callers.caller([made.text])
    access.store.failing = StoreUnavailable("away")
    await access.callers.caller([made.text])  # for a moment only

    access.seconds += 2.01
    results = await asyncio.gather(
        *(access.callers.caller([made.text]) for _ in range(20)), return_exceptions=True
    )
    assert {type(each) for each in results} == {StoreUnavailable}

    access.store.failing = None
    assert (await access.callers.caller([made.text])).id == made.key.id


async def test_a_caller_that_gives_up_does_not_end_the_look_that_others_wait_for(
    access: Access,
) -> None:
    made = await access.make()
    impatient = asyncio.create_task(access.callers.caller([made.text]))
    patient = asyncio.create_task(access.callers.caller([made.text]))
    await asyncio.sleep(0)
    impatient.cancel()

    assert (await patient).id == made.key.id
    with pytest.raises(asyncio.CancelledError):
        await impatient
