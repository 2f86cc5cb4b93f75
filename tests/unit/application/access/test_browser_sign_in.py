"""What a sign-in at the provider begins, and what a sign-out leads to."""

from __future__ import annotations

from datetime import timedelta

import pytest

from builders.predictions import NOON
from fakes.access import FakeKeyStore, FakeSessionStore, FakeSignInProvider, FakeTokenVerifier
from stroke.application.access.browser_sign_in import BrowserSignIn
from stroke.application.access.callers import Callers
from stroke.application.access.sessions import NewSession, Sessions
from stroke.application.access.tokens import ClaimRules, Tokens
from stroke.domain.access import Principal, Scope
from stroke.domain.errors import NotAuthenticated

pytestmark = pytest.mark.anyio

BACK = "https://stroke.example/ui/sign-in/callback"
RULES = ClaimRules(["roles"], {"doctor": frozenset({Scope.READ})}, "site", {"/n": "north"})


async def no_sleep(seconds: float) -> None:
    raise AssertionError(seconds)


class Access:
    """The use case over fakes, with a time that tests turn."""

    def __init__(self, *, longest: timedelta = timedelta(hours=1)) -> None:
        self.now = NOON
        self.provider, self.store = FakeSignInProvider(), FakeSessionStore()
        self.ticks = 0.0
        tokens = Tokens(
            FakeTokenVerifier(), RULES, now=lambda: self.now, clock=self.seconds, max_age=1
        )
        callers = Callers(
            FakeKeyStore(),
            now=lambda: self.now,
            clock=self.seconds,
            sleep=no_sleep,
            max_age=2,
            pause=0,
            tokens=tokens,
        )
        self.sessions = Sessions(
            self.store,
            callers,
            now=lambda: self.now,
            idle=timedelta(hours=12),
            longest=timedelta(hours=8),
        )
        self.sign_in = BrowserSignIn(self.provider, RULES, self.sessions, longest=longest)

    def seconds(self) -> float:
        self.ticks += 1e-6
        return (self.now - NOON).total_seconds() + self.ticks

    async def signed_in(self, *, former: str | None = None, **user: object) -> NewSession:
        begun = await self.sign_in.begin("/ui", BACK)
        answer = self.provider.log_in(begun.address, **user)
        session, _ = await self.sign_in.finish(begun.kept, answer, former=former)
        return session


async def test_the_session_is_of_the_subject_with_the_roles_and_the_site_of_the_id_token() -> None:
    access = Access()
    begun = await access.signed_in(sub="nora", roles=["doctor", "cook"], site="/n")
    kept = await access.sessions.session(begun.text)
    assert kept.caller == Principal("token", "nora", "north", frozenset({Scope.READ}))


async def test_signing_in_ends_the_session_that_the_browser_had() -> None:
    access = Access()
    first = await access.signed_in()
    second = await access.signed_in(former=first.text)
    with pytest.raises(NotAuthenticated):
        await access.sessions.session(first.text)
    assert await access.sessions.session(second.text)


@pytest.mark.parametrize("hours", [1, 20])
async def test_the_session_ends_after_the_shorter_of_two_times(hours: int) -> None:
    access = Access(longest=timedelta(hours=hours))
    begun = await access.signed_in()
    access.now = NOON + timedelta(hours=min(hours, 8), seconds=-1)
    assert await access.sessions.session(begun.text)
    access.now += timedelta(seconds=1)
    with pytest.raises(NotAuthenticated):
        await access.sessions.session(begun.text)


async def test_an_answer_that_does_not_hold_begins_no_session_and_ends_none() -> None:
    access = Access()
    mine = await access.signed_in()
    begun = await access.sign_in.begin("/ui", BACK)
    answer = access.provider.log_in(begun.address, nonce="another")
    with pytest.raises(NotAuthenticated):
        await access.sign_in.finish(begun.kept, answer, former=mine.text)
    assert len(access.store.kept) == 1
    assert await access.sessions.session(mine.text)


async def test_the_sign_out_of_a_session_of_the_provider_leads_there() -> None:
    access = Access()
    begun = await access.signed_in()
    ended = await access.sessions.end(begun.text)
    assert ended is not None
    address = await access.sign_in.sign_out_address(ended, begun.text, "https://x.example/bye")
    assert address is not None
    assert "id_token_hint" in address


async def test_the_sign_out_ends_here_while_the_provider_is_away_and_for_a_key() -> None:
    access = Access()
    begun = await access.signed_in()
    of_key = await access.sessions.begin(Principal("key", "k", "north", frozenset({Scope.READ})))
    access.provider.go_away()
    for each in (begun, of_key):
        assert await access.sign_in.sign_out_address(each.session, each.text, BACK) is None
