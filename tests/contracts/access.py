"""Behaviour that every implementation of the ports of access shares; see contracts.py."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qs, urlsplit

import pytest

from builders.access import api_key, session
from builders.predictions import NOON
from stroke.application.access.ports import (
    ClientTokenVerifier,
    EndedSignIn,
    KeyStore,
    SessionStore,
    SignInProvider,
    TokenLedger,
    TokenVerifier,
)
from stroke.application.access.sessions import new_session_id
from stroke.domain.access import EVERYTHING, Principal, Scope, Session
from stroke.domain.errors import (
    KeyNotFound,
    KeyTaken,
    NotAuthenticated,
    ProviderUnavailable,
    StoreUnavailable,
)

DAY = timedelta(days=1)


@pytest.mark.anyio
class KeyStoreContract:
    """Provide a fixture ``store``: empty, and new for each test."""

    async def test_a_new_store_has_no_key(self, store: KeyStore) -> None:
        assert list(await store.all()) == []

    async def test_keys_come_back_as_they_were_and_the_oldest_first(self, store: KeyStore) -> None:
        later = api_key(
            "b" * 16,
            name="Ünïcödé 山田 😀 'ward'",
            site="Site-1.a_b",
            scopes=EVERYTHING,
            created_at=NOON + timedelta(microseconds=1),
            expires_at=NOON + 90 * DAY,
            revoked_at=NOON + DAY,
            replaced_by="c" * 16,
        )
        first = api_key("f" * 16, scopes=frozenset({Scope.ALL_SITES}))

        await store.add(later)
        await store.add(first)

        assert list(await store.all()) == [first, later]

    async def test_a_key_whose_id_is_taken_is_refused_and_the_first_one_stays(
        self, store: KeyStore
    ) -> None:
        kept = api_key("1" * 16, site="north")
        await store.add(kept)

        with pytest.raises(KeyTaken):
            await store.add(api_key("1" * 16, site="south"))

        assert list(await store.all()) == [kept]

    async def test_sites_that_differ_by_case_stay_apart(self, store: KeyStore) -> None:
        await store.add(api_key("1" * 16, site="north"))
        await store.add(api_key("2" * 16, site="North"))

        assert [key.site for key in await store.all()] == ["north", "North"]

    async def test_a_key_is_revoked_once_and_the_first_time_stays(self, store: KeyStore) -> None:
        kept, other = api_key("1" * 16), api_key("2" * 16)
        await store.add(kept)
        await store.add(other)

        await store.revoke(kept.id, NOON + DAY)
        await store.revoke(kept.id, NOON + 2 * DAY)
        await store.revoke(kept.id, NOON + DAY)

        assert list(await store.all()) == [replace(kept, revoked_at=NOON + DAY), other]

    async def test_a_key_that_is_not_there_cannot_be_revoked(self, store: KeyStore) -> None:
        await store.add(api_key("1" * 16))

        for unknown in ("2" * 16, "", "x" * 100):
            with pytest.raises(KeyNotFound):
                await store.revoke(unknown, NOON)

    async def test_a_key_that_is_replaced_ends_at_the_time_given(self, store: KeyStore) -> None:
        former, new = api_key("1" * 16), api_key("2" * 16, created_at=NOON + DAY)
        await store.add(former)

        await store.replace(former.id, new, until=NOON + 2 * DAY)

        ended = replace(former, expires_at=NOON + 2 * DAY, replaced_by=new.id)
        assert list(await store.all()) == [ended, new]

    @pytest.mark.parametrize(("days", "ends"), [(1, 1), (3, 2)])
    async def test_a_key_that_is_replaced_never_lives_longer_for_that(
        self, store: KeyStore, days: int, ends: int
    ) -> None:
        former = api_key("1" * 16, expires_at=NOON + days * DAY)
        await store.add(former)

        await store.replace(
            former.id, api_key("2" * 16, created_at=NOON + DAY), until=NOON + 2 * DAY
        )

        assert (await store.all())[0].expires_at == NOON + ends * DAY

    @pytest.mark.parametrize(
        "fault", [{"revoked_at": NOON}, {"replaced_by": "3" * 16}, {"id": "4" * 16}]
    )
    async def test_only_a_key_that_is_there_and_was_neither_revoked_nor_replaced_is_replaced(
        self, store: KeyStore, fault: dict[str, object]
    ) -> None:
        former = replace(api_key("1" * 16), **fault)  # type: ignore[arg-type]
        await store.add(former)

        with pytest.raises(KeyNotFound):
            await store.replace("1" * 16, api_key("2" * 16), until=NOON + DAY)

        assert list(await store.all()) == [former]


ONE: str = "1a" * 32
TWO: str = "2b" * 32


@pytest.mark.anyio
class SessionStoreContract:
    """Provide a fixture ``sessions``: a store that is empty, and new for each test."""

    @pytest.mark.parametrize(
        "kept",
        [
            session(ONE),
            session(
                ONE,
                caller=Principal("token", "Ünï 山 😀 'x'", None, frozenset()),
                begun_at=NOON + timedelta(microseconds=1),
                sealed=bytes(range(256)) * 16,
            ),
            session(ONE, caller=Principal("key", "k", "Site-1.a_b", EVERYTHING), sealed=b""),
        ],
        ids=["of a key", "of a token", "of every scope"],
    )
    async def test_a_session_comes_back_as_it_was(
        self, sessions: SessionStore, kept: Session
    ) -> None:
        await sessions.add(session(TWO))
        await sessions.add(kept)

        assert await sessions.get(ONE) == kept
        assert ONE not in repr(await sessions.get(ONE))

    async def test_only_the_very_hash_finds_a_session(self, sessions: SessionStore) -> None:
        await sessions.add(session(ONE))

        for other in (TWO, ONE.upper(), ONE + " ", ONE[:-1], "", "%", "' OR 1=1 --"):
            assert await sessions.get(other) is None

    async def test_the_latest_use_is_kept(self, sessions: SessionStore) -> None:
        await sessions.add(session(ONE))
        await sessions.add(session(TWO))

        await sessions.note_use(ONE, NOON + 2 * DAY)
        await sessions.note_use(ONE, NOON + DAY)
        await sessions.note_use("3c" * 32, NOON + DAY)

        assert await sessions.get(ONE) == session(ONE, used_at=NOON + 2 * DAY)
        assert await sessions.get(TWO) == session(TWO)
        assert await sessions.get("3c" * 32) is None

    async def test_a_session_that_was_removed_is_gone_and_the_others_stay(
        self, sessions: SessionStore
    ) -> None:
        await sessions.add(session(ONE))
        await sessions.add(session(TWO))

        await sessions.remove(ONE)
        await sessions.remove(ONE)

        assert await sessions.get(ONE) is None
        assert await sessions.get(TWO) is not None

    async def test_only_sessions_that_have_ended_are_removed_together(
        self, sessions: SessionStore
    ) -> None:
        await sessions.add(session(ONE, ends_at=NOON + DAY))
        await sessions.add(session(TWO, ends_at=NOON + DAY + timedelta(microseconds=1)))

        await sessions.remove_ended(NOON + DAY)

        assert await sessions.get(ONE) is None
        assert await sessions.get(TWO) is not None


class Provider(Protocol):
    """Who issues the tokens that a verifier verifies."""

    def issue(self, **changes: Any) -> str:
        """Return a token that holds but for changed claims; None takes one away."""

    def go_away(self) -> None:
        """Answer nothing from now on."""


HOUR = 3600.0


@pytest.mark.anyio
class TokenVerifierContract:
    """Provide fixtures ``provider``, and ``verifier`` of its tokens, which has seen none yet."""

    async def test_a_token_says_whom_it_names_and_what_and_until_when(
        self, verifier: TokenVerifier, provider: Provider
    ) -> None:
        ends = int(time.time()) + 100

        token = await verifier.verified(provider.issue(sub="who", exp=ends, inner={"a": [1, "b"]}))

        assert token.subject == "who"
        assert token.claims["inner"] == {"a": [1, "b"]}
        assert token.until >= datetime.fromtimestamp(ends, UTC)
        assert "inner" not in repr(token)

    async def test_a_token_may_be_for_others_too(
        self, verifier: TokenVerifier, provider: Provider
    ) -> None:
        aud = ["other", "stroke"]
        assert (await verifier.verified(provider.issue(aud=aud))).claims["aud"] == aud

    @pytest.mark.parametrize(
        "fault",
        [
            {"aud": "other"},
            {"aud": ["other", "stroke2"]},
            {"aud": []},
            {"aud": None},
            {"iss": "https://another.example"},
            {"iss": None},
            {"exp": -HOUR},
            {"exp": None},
            {"nbf": HOUR},
            {"iat": HOUR},
            {"sub": None},
        ],
        ids=str,
    )
    async def test_a_token_that_does_not_hold_is_refused_without_its_values(
        self, verifier: TokenVerifier, provider: Provider, fault: dict[str, Any]
    ) -> None:
        times = {n: time.time() + v if isinstance(v, float) else v for n, v in fault.items()}
        token = provider.issue(canary="CANARY", **times)

        with pytest.raises(NotAuthenticated) as refused:
            await verifier.verified(token)

        assert refused.value.presented
        for value in ("CANARY", "user-1", "another.example", token):
            assert value not in str(refused.value)

    @pytest.mark.parametrize("text", ["", "..", "a.b.c", "ey.ey.ey", "\0", "Ünï.cö.dé", "x" * 100])
    async def test_what_is_no_token_is_refused(
        self, verifier: TokenVerifier, provider: Provider, text: str
    ) -> None:
        with pytest.raises(NotAuthenticated):
            await verifier.verified(text)

    async def test_without_the_provider_no_new_token_is_verified(
        self, verifier: TokenVerifier, provider: Provider
    ) -> None:
        token = provider.issue()
        provider.go_away()

        with pytest.raises(ProviderUnavailable):
            await verifier.verified(token)


class CdsClient(NamedTuple):
    """A record system of the tests: its issuer, and what signs its tokens."""

    issuer: str
    sign: Callable[..., str]
    """Returns a token with these changes of its claims; None takes one away.

    ``exp``, ``iat`` and ``nbf`` are seconds from now. The verifier takes 600 seconds between
    ``iat`` and ``exp``, and a difference of 5 seconds between clocks.
    """


BASE = "https://risk.example"
ADDRESS = f"{BASE}/cds-services/stroke-risk"
ADDRESSES = (ADDRESS, BASE)
LEEWAY = 5


@pytest.mark.anyio
class ClientTokenVerifierContract:
    """Provide fixtures ``verifier``, and ``client``: a system whose tokens it takes."""

    async def test_a_token_says_who_signed_it_and_which_one_it_is(
        self, verifier: ClientTokenVerifier, client: CdsClient
    ) -> None:
        token = client.sign(jti="one")

        assert verifier.issuer_of(token) == client.issuer
        found = await verifier.verified(token, ADDRESSES)

        assert (found.issuer, found.token_id) == (client.issuer, "one")
        assert found.until > datetime.now(UTC)

    @pytest.mark.parametrize(
        "audience",
        [ADDRESS, BASE, f"{BASE}/", ["https://other.example", ADDRESS]],
        ids=str,
    )
    async def test_a_token_may_be_for_the_address_or_the_service(
        self, verifier: ClientTokenVerifier, client: CdsClient, audience: Any
    ) -> None:
        token = client.sign(aud=audience)

        assert (await verifier.verified(token, ADDRESSES)).issuer == client.issuer

    async def test_a_token_is_remembered_until_no_host_takes_it_any_more(
        self, verifier: ClientTokenVerifier, client: CdsClient
    ) -> None:
        ends_at = int(time.time()) + 60

        found = await verifier.verified(client.sign(exp=60), ADDRESSES)

        assert found.until.timestamp() >= ends_at + 2 * LEEWAY

    @pytest.mark.parametrize(
        "times",
        [
            {"exp": 600},
            {"iat": -300},
            {"iat": -60, "exp": -2},
            {"nbf": -HOUR},
            {"iat": 2},
            {"nbf": 2},
        ],
        ids=str,
    )
    async def test_a_token_holds_within_its_times_and_what_clocks_may_differ(
        self, verifier: ClientTokenVerifier, client: CdsClient, times: dict[str, Any]
    ) -> None:
        assert (await verifier.verified(client.sign(**times), ADDRESSES)).issuer == client.issuer

    @pytest.mark.parametrize(
        "fault",
        [
            {"aud": f"{BASE}/cds-services"},
            {"aud": f"{ADDRESS}/feedback"},
            {"aud": "https://risk.example.evil"},
            {"aud": "http://risk.example"},
            {"aud": "https://other.example/cds-services/stroke-risk"},
            {"aud": [7]},
            {"aud": {"url": ADDRESS}},
            {"aud": []},
            {"aud": None},
            {"iss": "https://stranger.example"},
            {"iss": None},
            {"iss": ["https://ehr.example"]},
            {"jti": None},
            {"jti": ""},
            {"jti": 7},
            {"jti": "\ud800"},
            {"jti": "x" * 300},
            {"iat": None},
            {"exp": None},
            {"exp": -HOUR},
            {"iat": -60, "exp": -20},
            {"exp": 601},
            {"iat": 5, "exp": 5},
            {"exp": 10 * 365 * 24 * HOUR},
            {"exp": float("inf")},
            {"iat": float("nan")},
            {"nbf": HOUR},
            {"nbf": float("inf")},
            {"iat": HOUR, "exp": 2 * HOUR},
        ],
        ids=str,
    )
    async def test_a_token_that_does_not_hold_is_refused(
        self, verifier: ClientTokenVerifier, client: CdsClient, fault: dict[str, Any]
    ) -> None:
        with pytest.raises(NotAuthenticated) as raised:
            await verifier.verified(client.sign(**fault), ADDRESSES)

        assert "example" not in str(raised.value)

    async def test_what_is_no_token_has_no_issuer(self, verifier: ClientTokenVerifier) -> None:
        for text in ("", "a.b.c", "x" * 100_000, "ü.ü.ü"):
            assert verifier.issuer_of(text) is None
            with pytest.raises(NotAuthenticated):
                await verifier.verified(text, ADDRESSES)


@pytest.mark.anyio
class TokenLedgerContract:
    """Provide fixtures ``ledger``, ``again``: another process's view of it, and ``away``."""

    async def test_a_token_is_used_once_by_whomever(
        self, ledger: TokenLedger, again: TokenLedger
    ) -> None:
        until = NOON + timedelta(minutes=5)

        assert await ledger.use("a" * 64, until=until, now=NOON)
        assert not await ledger.use("a" * 64, until=until, now=NOON)
        assert not await again.use("a" * 64, until=until, now=NOON)
        assert await again.use("b" * 64, until=until, now=NOON)

    async def test_of_many_at_the_same_time_one_is_the_first(
        self, ledger: TokenLedger, again: TokenLedger
    ) -> None:
        until = NOON + timedelta(minutes=5)

        found = await asyncio.gather(
            *(each.use("c" * 64, until=until, now=NOON) for each in (ledger, again) * 4)
        )

        assert sorted(found) == [False] * 7 + [True]

    async def test_a_token_that_has_ended_is_forgotten(self, ledger: TokenLedger) -> None:
        assert await ledger.use("d" * 64, until=NOON, now=NOON)

        later = NOON + timedelta(hours=1)
        assert await ledger.use("e" * 64, until=later, now=later)

        assert await ledger.use("d" * 64, until=later, now=later)

    async def test_a_store_that_is_away_is_said_to_be(self, away: TokenLedger) -> None:
        with pytest.raises(StoreUnavailable):
            await away.use("f" * 64, until=NOON, now=NOON)


class SignInSite(Protocol):
    """Where the users of a ``SignInProvider`` log in."""

    def log_in(self, address: str, **user: Any) -> dict[str, str]:
        """Open ``address`` and log in; return what the browser brings back.

        ``user`` changes the claims of the ID token; None takes one away.
        """

    def go_away(self) -> None:
        """Answer nothing from now on."""


BACK = "https://stroke.example/ui/sign-in/callback"


@pytest.mark.anyio
class SignInProviderContract:
    """Provide fixtures ``site``, and ``sign_in``, which leads its browsers there."""

    async def test_who_comes_back_is_whom_the_id_token_names_and_wants_what_it_wanted(
        self, sign_in: SignInProvider, site: SignInSite
    ) -> None:
        begun = await sign_in.begin("/ui/history?page=2", BACK)
        answer = site.log_in(begun.address, sub="nora", roles=["doctor"])

        ended = await sign_in.finish(begun.kept, answer, new_session_id())

        assert (ended.token.subject, ended.wanted) == ("nora", "/ui/history?page=2")
        assert ended.token.claims["roles"] == ["doctor"]
        assert begun.kept not in repr(begun)
        assert repr(ended.sealed) not in repr(ended)

    async def test_no_two_ways_are_the_same(self, sign_in: SignInProvider) -> None:
        one, two = [await sign_in.begin("/ui", BACK) for _ in range(2)]
        assert one.address != two.address
        assert one.kept != two.kept

    async def test_an_answer_holds_once(self, sign_in: SignInProvider, site: SignInSite) -> None:
        begun = await sign_in.begin("/ui", BACK)
        answer = site.log_in(begun.address)
        await sign_in.finish(begun.kept, answer, new_session_id())

        await refused(sign_in, begun.kept, answer)

    async def test_an_answer_holds_in_the_browser_that_began_alone(
        self, sign_in: SignInProvider, site: SignInSite
    ) -> None:
        mine, others = [await sign_in.begin("/ui", BACK) for _ in range(2)]
        answer = site.log_in(others.address)

        for kept in (mine.kept, None, "", "CANARY", "Ünï", others.kept[:-8] + "AAAAAAA="):
            await refused(sign_in, kept, answer)
        assert (await finished(sign_in, others.kept, answer)).wanted == "/ui"

    @pytest.mark.parametrize(
        "changes",
        [
            {"state": "CANARY"},
            {"state": "Ünï\ud800"},
            {"state": None},
            {"code": "CANARY"},
            {"code": "Ünï\ud800"},
            {"code": ""},
            {"code": None},
            {"iss": "https://another.example"},
            {"code": None, "error": "access_denied", "error_description": "CANARY"},
            {"error": "CANARY"},
        ],
        ids=ascii,
    )
    async def test_an_answer_that_was_changed_is_refused_without_its_values(
        self, sign_in: SignInProvider, site: SignInSite, changes: dict[str, str | None]
    ) -> None:
        begun = await sign_in.begin("/ui", BACK)
        answer = {**site.log_in(begun.address), **changes}

        text = await refused(
            sign_in, begun.kept, {name: each for name, each in answer.items() if each is not None}
        )

        assert "CANARY" not in text

    @pytest.mark.parametrize(
        "fault",
        [
            {"aud": "stroke"},
            {"aud": None},
            {"azp": "another"},
            {"iss": "https://another.example"},
            {"nonce": "CANARY"},
            {"nonce": None},
            {"nonce": 7},
            {"exp": 1},
            {"exp": None},
            {"sub": None},
        ],
        ids=str,
    )
    async def test_an_id_token_that_does_not_hold_is_refused(
        self, sign_in: SignInProvider, site: SignInSite, fault: dict[str, Any]
    ) -> None:
        begun = await sign_in.begin("/ui", BACK)
        text = await refused(sign_in, begun.kept, site.log_in(begun.address, **fault))
        assert "CANARY" not in text

    async def test_the_way_out_leads_back(self, sign_in: SignInProvider, site: SignInSite) -> None:
        begun = await sign_in.begin("/ui", BACK)
        session_id = new_session_id()
        ended = await sign_in.finish(begun.kept, site.log_in(begun.address), session_id)

        addresses = [
            await sign_in.sign_out_address(ended.sealed, each, "https://stroke.example/bye")
            for each in (session_id, new_session_id())
        ]

        queries = [parse_qs(urlsplit(each or "").query) for each in addresses]
        for query in queries:
            assert query["post_logout_redirect_uri"] == ["https://stroke.example/bye"]
        # Only the holder of the session's id can say who signs out.
        assert ["id_token_hint" in query for query in queries] == [True, False]

    async def test_without_the_site_nobody_signs_in(
        self, sign_in: SignInProvider, site: SignInSite
    ) -> None:
        begun = await sign_in.begin("/ui", BACK)
        answer = site.log_in(begun.address)
        site.go_away()

        with pytest.raises(ProviderUnavailable):
            await finished(sign_in, begun.kept, answer)

    async def test_while_the_site_is_away_no_sign_in_begins(
        self, sign_in: SignInProvider, site: SignInSite
    ) -> None:
        site.go_away()
        with pytest.raises(ProviderUnavailable):
            await sign_in.begin("/ui", BACK)


async def finished(
    sign_in: SignInProvider, kept: str | None, answer: dict[str, str]
) -> EndedSignIn:
    return await sign_in.finish(kept, answer, new_session_id())


async def refused(sign_in: SignInProvider, kept: str | None, answer: dict[str, str]) -> str:
    with pytest.raises(NotAuthenticated) as error:
        await finished(sign_in, kept, answer)
    assert error.value.presented
    return str(error.value)
