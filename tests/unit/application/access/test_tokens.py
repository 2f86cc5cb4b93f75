"""What the claims of a token allow, and for how long it is known."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.predictions import NOON
from fakes.access import FakeKeyStore, FakeTokenVerifier
from stroke.application.access.callers import Callers
from stroke.application.access.keys import KeyService
from stroke.application.access.ports import VerifiedToken
from stroke.application.access.tokens import (
    LONGEST_SUBJECT,
    ClaimRules,
    Tokens,
    claim_of,
    discovery_url,
    is_safe,
    looks_like_token,
)
from stroke.domain.access import Principal, Scope
from stroke.domain.errors import NotAuthenticated, ProviderUnavailable, StoreUnavailable

pytestmark = pytest.mark.anyio
ROLES = {
    "clinician": frozenset({Scope.PREDICT, Scope.READ}),
    "auditor": frozenset({Scope.AUDIT}),
    "head": frozenset({Scope.ALL_SITES}),
}


def principal(
    claims: dict[str, Any], *, sites: dict[str, str] | None = None, subject: str = "who"
) -> Principal:
    rules = ClaimRules(("roles", "realm_access.roles"), ROLES, "site", sites or {})
    return rules.principal(VerifiedToken(subject, claims, NOON))


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"roles": ["clinician"]}, "predict read"),
        ({"roles": "clinician auditor"}, "predict read audit"),
        ({"realm_access": {"roles": ["auditor"]}}, "audit"),
        (
            {"roles": ["auditor"], "realm_access": {"roles": ["clinician"]}},
            "predict read audit",
        ),
        ({}, ""),
        ({"roles": ["admin", "Clinician", "clinician "]}, ""),
        ({"roles": [["clinician"], {"clinician": 1}, 7, None]}, ""),
        ({"roles": {"clinician": True}}, ""),
        ({"roles": 7, "realm_access": "roles"}, ""),
        ({"realm_access": {"roles": None}}, ""),
    ],
    ids=str,
)
def test_the_roles_of_all_claims_give_their_scopes(claims: dict[str, Any], scopes: str) -> None:
    assert principal(claims).scopes == set(scopes.split())


@pytest.mark.parametrize(
    ("claim", "site"),
    [
        ("north", "north"),
        (["north"], "north"),
        (["north", "north"], "north"),
        (["north", "south"], None),
        ([], None),
        ("", None),
        ("north south", None),
        ("/north", None),
        ("x" * 65, None),
        (7, None),
        (True, None),
        ({"north": 1}, None),
        (None, None),
    ],
    ids=str,
)
def test_a_claim_that_names_one_site_gives_it(claim: Any, site: str | None) -> None:
    assert principal({"site": claim}).site == site


@pytest.mark.parametrize(
    ("claim", "site"),
    [
        ("/clinics/north", "north"),
        (["/clinics/north", "/staff"], "north"),
        (["/clinics/north", "/wards/n"], "north"),
        (["/clinics/north", "/clinics/south"], None),
        ("north", None),
        ("south", None),
    ],
    ids=str,
)
def test_if_values_stand_for_sites_only_those_do(claim: Any, site: str | None) -> None:
    sites = {"/clinics/north": "north", "/wards/n": "north", "/clinics/south": "south"}
    assert principal({"site": claim}, sites=sites).site == site


@pytest.mark.parametrize("subject", ["", " ", "a\nb", "\x00", "\ud800", "a\u2028b"])
def test_a_subject_that_cannot_be_written_down_is_refused(subject: str) -> None:
    with pytest.raises(NotAuthenticated):
        principal({}, subject=subject)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1))
def test_two_subjects_have_two_ids_that_fit_the_columns(subject: str) -> None:
    one, other = principal({}, subject=subject), principal({}, subject=subject + "x")
    assert one.id != other.id
    assert len(f"token:{one.id}") <= 100


def test_a_long_subject_is_kept_as_its_digest() -> None:
    assert principal({}, subject="x" * LONGEST_SUBJECT).id == "x" * LONGEST_SUBJECT
    assert principal({}, subject="x" * (LONGEST_SUBJECT + 1)).id.startswith("sha256-")


@pytest.mark.parametrize(
    ("name", "claims", "value"),
    [
        ("a", {"a": 1}, 1),
        ("a.b", {"a": {"b": 1}}, 1),
        ("a.b", {"a.b": 1, "a": {"b": 2}}, 1),
        ("a.b.c", {"a.b": {"c": 1}}, 1),
        ("a.b.c", {"a": {"b.c": 1}}, 1),
        ("a.b.c", {"a.b": {"x": 1}, "a": {"b": {"c": 2}}}, 2),
        ("resource_access.my.app.roles", {"resource_access": {"my.app": {"roles": 1}}}, 1),
        ("https://clinic.example/site", {"https://clinic.example/site": 1}, 1),
        ("a.b", {"a": [{"b": 1}]}, None),
        ("a.b", {"a": "b"}, None),
        ("a.b", {}, None),
        (".a", {"": {"a": 1}}, None),
    ],
)
def test_a_dot_leads_into_a_claim_and_may_be_part_of_a_name(
    name: str, claims: dict[str, Any], value: Any
) -> None:
    assert claim_of(claims, name) == value


@given(
    st.lists(st.text("ab.", min_size=1, max_size=4), min_size=1, max_size=4),
    st.integers(),
)
def test_a_claim_is_found_wherever_it_is(path: list[str], value: int) -> None:
    claims: Any = value
    for part in reversed(path):
        claims = {part: claims}
    if all(path) and not path[0].startswith("."):
        assert claim_of(claims, ".".join(path)) == value


@pytest.mark.parametrize(
    ("url", "safe", "if_allowed"),
    [
        ("https://provider.example/realms/clinic", True, True),
        ("HTTPS://provider.example", True, True),
        ("http://127.0.0.1:8080/realms/clinic", True, True),
        ("http://127.9.9.9", True, True),
        ("http://localhost:8080", True, True),
        ("http://[::1]:8080", True, True),
        ("http://provider.example", False, True),
        ("http://10.0.0.1", False, True),
        ("http://localhost.example", False, True),
        ("https://user:password@provider.example", False, False),
        ("https://", False, False),
        ("file:///etc/passwd", False, False),
        ("provider.example", False, False),
        ("http://[::1", False, False),
    ],
)
def test_keys_come_by_https_or_from_this_machine(url: str, safe: bool, if_allowed: bool) -> None:
    assert is_safe(url, insecure_http=False) is safe
    assert is_safe(url, insecure_http=True) is if_allowed


def test_an_issuer_may_end_with_a_slash() -> None:
    for issuer in ("https://a.example/x", "https://a.example/x/"):
        assert discovery_url(issuer) == "https://a.example/x/.well-known/openid-configuration"


class Access:
    """Callers with a provider, and a clock that tests turn."""

    def __init__(self, *, most: int = 100) -> None:
        self.seconds = 0.0
        self.started = datetime.now(UTC)
        self.verifier = FakeTokenVerifier()
        self.store = FakeKeyStore()
        rules = ClaimRules(("roles",), {"stroke-read": frozenset({Scope.READ})}, "site", {})
        self.tokens = Tokens(
            self.verifier, rules, now=self.now, clock=lambda: self.seconds, max_age=10, most=most
        )
        self.callers = Callers(
            self.store,
            now=self.now,
            clock=lambda: self.seconds,
            sleep=self.sleep,
            max_age=2,
            pause=0.25,
            tokens=self.tokens,
        )

    def now(self) -> datetime:
        return self.started + timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def access() -> Access:
    return Access()


async def test_a_token_names_its_caller(access: Access) -> None:
    caller = await access.callers.caller([access.verifier.issue()])
    assert caller == Principal("token", "user-1", "north", frozenset({Scope.READ}))
    assert caller.name == "token:user-1"


async def test_a_token_is_verified_once_in_a_while(access: Access) -> None:
    token, other = access.verifier.issue(), access.verifier.issue()
    for _ in range(10):
        await access.callers.caller([token])
        access.seconds += 0.9
    assert access.verifier.looks == 1
    await access.callers.caller([other])
    assert access.verifier.looks == 2
    access.seconds += 1
    await access.callers.caller([token])
    assert access.verifier.looks == 3


async def test_a_known_token_ends_at_its_very_time(access: Access) -> None:
    token = access.verifier.issue(exp=time.time() + 5)
    await access.callers.caller([token])
    access.seconds += 6
    await access.callers.caller([token])  # the fake goes by the system's clock
    assert access.verifier.looks == 2


async def test_a_token_that_was_refused_is_looked_at_again(access: Access) -> None:
    token = access.verifier.issue(aud="other")
    for looks in (1, 2):
        with pytest.raises(NotAuthenticated):
            await access.callers.caller([token])
        assert access.verifier.looks == looks


async def test_only_so_many_tokens_are_kept() -> None:
    access = Access(most=3)
    tokens = [access.verifier.issue(sub=f"user-{number}") for number in range(5)]
    for token in tokens:
        await access.callers.caller([token])
    for token in (tokens[4], tokens[3], tokens[2]):
        await access.callers.caller([token])
    assert access.verifier.looks == 5
    await access.callers.caller([tokens[0]])
    assert access.verifier.looks == 6


async def test_with_a_provider_nobody_may_call_without_credentials(access: Access) -> None:
    assert access.callers.was_open is False
    assert await access.callers.is_open() is False
    with pytest.raises(NotAuthenticated, match="an API key or a token") as refused:
        await access.callers.caller([])
    assert not refused.value.presented


async def test_keys_and_tokens_name_callers_side_by_side(access: Access) -> None:
    service = KeyService(access.store, now=access.now)
    key = await service.create(name="ward", site="south", scopes=["read"])
    token = access.verifier.issue()
    assert (await access.callers.caller([key.text])).kind == "key"
    assert (await access.callers.caller([token, token])).kind == "token"
    for mixed in ([key.text, token], [token, access.verifier.issue()]):
        with pytest.raises(NotAuthenticated, match="send one"):
            await access.callers.caller(mixed)
    assert not looks_like_token(key.text)


async def test_a_token_needs_no_database_and_a_key_no_provider(access: Access) -> None:
    service = KeyService(access.store, now=access.now)
    key = await service.create(name="ward", site="south", scopes=["read"])
    access.verifier.go_away()
    assert await access.callers.caller([key.text])
    with pytest.raises(ProviderUnavailable):
        await access.callers.caller([access.verifier.issue()])

    access.verifier.failing = None
    access.store.failing = StoreUnavailable("away")
    access.seconds += 10
    assert await access.callers.caller([access.verifier.issue()])
