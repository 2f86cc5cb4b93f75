"""How long a session lasts, whose it is, and what ends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from builders.predictions import NOON
from fakes.access import FakeKeyStore, FakeSessionStore, FakeTokenVerifier
from stroke.application.access.callers import Callers
from stroke.application.access.keys import KeyService, NewKey
from stroke.application.access.sessions import NewSession, Sessions, new_session_id
from stroke.application.access.tokens import ClaimRules, Tokens
from stroke.domain.access import ANYBODY, Principal, Scope
from stroke.domain.errors import NotAuthenticated, StoreUnavailable

pytestmark = pytest.mark.anyio

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=8)
SECOND = timedelta(seconds=1)
OF_TOKEN = Principal("token", "user-1", "north", frozenset({Scope.READ}))


class Access:
    """The use cases over fakes, with a time that tests turn."""

    def __init__(self, *, tokens: bool = False) -> None:
        self.now, self.ticks = NOON, 0.0
        self.keys = FakeKeyStore()
        self.store = FakeSessionStore()
        self.service = KeyService(self.keys, now=lambda: self.now)
        rules = ClaimRules(["roles"], {}, "site", {})
        self.callers = Callers(
            self.keys,
            now=lambda: self.now,
            clock=self.seconds,
            sleep=self.no_sleep,
            max_age=2,
            pause=0,
            tokens=Tokens(
                FakeTokenVerifier(), rules, now=lambda: self.now, clock=self.seconds, max_age=10
            )
            if tokens
            else None,
        )
        self.sessions = Sessions(
            self.store, self.callers, now=lambda: self.now, idle=IDLE, longest=LONGEST
        )

    def seconds(self) -> float:
        self.ticks += 1e-6  # a clock never stands still
        return (self.now - NOON).total_seconds() + self.ticks

    async def no_sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)

    async def begin(
        self, *scopes: str, lifetime: timedelta | None = None
    ) -> tuple[NewKey, NewSession]:
        key = await self.service.create(
            name="ward", site="north", scopes=scopes or ["read"], lifetime=lifetime
        )
        return key, await self.sessions.begin(await self.callers.caller([key.text]))

    async def holds(self, text: str | None) -> bool:
        try:
            await self.sessions.session(text)
        except NotAuthenticated:
            return False
        return True


@pytest.fixture
def access() -> Access:
    return Access()


async def test_a_session_is_its_key_s_caller(access: Access) -> None:
    key, begun = await access.begin("read", "predict")

    caller = (await access.sessions.session(begun.text)).caller

    assert caller == await access.callers.caller([key.text])


async def test_the_id_is_kept_nowhere_and_shown_nowhere(access: Access) -> None:
    key, begun = await access.begin()

    assert begun.text not in repr(access.store.kept) + repr(begun)
    assert key.text not in repr(access.store.kept)


async def test_no_two_sessions_have_the_same_id(access: Access) -> None:
    ids = {new_session_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(each) == 43 for each in ids)


@pytest.mark.parametrize("text", [None, "", "x", "Ü" * 43, "A" * 43, "A" * 42 + "\n", "%" * 43])
async def test_any_other_id_is_no_session(access: Access, text: str | None) -> None:
    await access.begin()

    with pytest.raises(NotAuthenticated) as refused:
        await access.sessions.session(text)

    assert refused.value.presented is (text is not None)


async def test_the_hash_that_is_kept_opens_nothing(access: Access) -> None:
    _, begun = await access.begin()
    assert not await access.holds(begun.session.id_hash)


async def test_a_session_that_is_used_lasts_until_its_end_and_no_longer(access: Access) -> None:
    _, begun = await access.begin()
    while access.now + IDLE / 2 < NOON + LONGEST:
        access.now += IDLE / 2
        assert await access.holds(begun.text)

    access.now = NOON + LONGEST - SECOND
    assert await access.holds(begun.text)
    access.now = NOON + LONGEST
    assert not await access.holds(begun.text)


async def test_a_session_that_is_not_used_ends_and_does_not_come_back(access: Access) -> None:
    _, begun = await access.begin()
    access.now += IDLE - SECOND
    assert await access.holds(begun.text)

    access.now += IDLE
    assert not await access.holds(begun.text)
    assert not await access.holds(begun.text)


async def test_a_use_is_noted_a_few_times_and_not_each_time(access: Access) -> None:
    _, begun = await access.begin()

    for _ in range(60):
        access.now += SECOND
        assert await access.holds(begun.text)
    assert access.store.notes == 0

    access.now += IDLE / 10
    assert await access.holds(begun.text)
    assert access.store.notes == 1


async def test_a_session_may_be_shorter_and_never_longer_than_all_are(access: Access) -> None:
    await access.begin()
    for longest, lasting in ((SECOND, SECOND), (2 * LONGEST, LONGEST)):
        begun = await access.sessions.begin(OF_TOKEN, longest=longest)
        assert begun.session.ends_at == NOON + lasting


@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_a_session_ends_with_its_key_within_the_time_that_holds_for_keys(
    access: Access, how: str
) -> None:
    key, begun = await access.begin(lifetime=timedelta(minutes=1) if how == "expired" else None)
    if how == "revoked":
        await access.service.revoke(key.key.id)
        access.now += 2.1 * SECOND
    else:
        access.now += timedelta(minutes=1)

    assert not await access.holds(begun.text)


async def test_a_session_has_the_scopes_that_its_key_has_by_now(access: Access) -> None:
    key, begun = await access.begin("read", "admin")
    access.keys._keys[key.key.id] = replace(key.key, scopes=frozenset({Scope.READ}), site="south")
    access.now += 3 * SECOND

    caller = (await access.sessions.session(begun.text)).caller

    assert (caller.scopes, caller.site) == (frozenset({Scope.READ}), "south")


async def test_who_signs_out_is_out_and_others_stay(access: Access) -> None:
    _, begun = await access.begin()
    _, other = await access.begin()

    ended = await access.sessions.end(begun.text)

    assert ended == begun.session
    assert not await access.holds(begun.text)
    assert await access.holds(other.text)
    assert await access.sessions.end(begun.text) is None
    assert await access.sessions.end(None) is None


async def test_a_new_session_ends_the_one_that_the_browser_had(access: Access) -> None:
    key, former = await access.begin()

    begun = await access.sessions.begin(await access.callers.caller([key.text]), former=former.text)

    assert begun.text != former.text
    assert not await access.holds(former.text)
    assert await access.holds(begun.text)


async def test_sessions_that_have_ended_do_not_stay_for_ever(access: Access) -> None:
    await access.begin()
    access.now += LONGEST

    _, begun = await access.begin()

    assert list(access.store.kept) == [begun.session.id_hash]


async def test_a_session_of_a_token_ends_when_tokens_are_not_taken_any_more() -> None:
    access = Access(tokens=True)
    begun = await access.sessions.begin(OF_TOKEN)
    assert (await access.sessions.session(begun.text)).caller == OF_TOKEN

    without = Access()
    without.store = access.store
    without.sessions = Sessions(
        access.store, without.callers, now=lambda: NOON, idle=IDLE, longest=LONGEST
    )
    assert not await without.holds(begun.text)


async def test_nobody_holds_a_session_of_an_open_service(access: Access) -> None:
    begun = await access.sessions.begin(ANYBODY)
    assert not await access.holds(begun.text)


async def test_when_the_sessions_cannot_be_read_nobody_is_let_in(access: Access) -> None:
    _, begun = await access.begin()
    access.store.failing = StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        await access.sessions.session(begun.text)
