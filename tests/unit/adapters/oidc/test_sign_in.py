"""A browser's way to a provider on loopback and back, which verifies the secret and PKCE."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from components.openid_provider import CLIENT, DISCOVERY, SECRET, TOKEN, OpenIdProvider, rsa_key
from contracts.access import BACK, SignInProviderContract, finished, refused
from stroke.adapters.oidc.documents import Documents
from stroke.adapters.oidc.sign_in import Client, Described, OidcSignIn
from stroke.adapters.oidc.verifier import OidcTokenVerifier
from stroke.application.access.sessions import new_session_id
from stroke.domain.errors import ProviderUnavailable

pytestmark = pytest.mark.anyio
PAUSE = 10


@pytest.fixture
def described(provider: OpenIdProvider, clock: Any) -> Described:
    documents = Documents(seconds=2, most_bytes=20_000, insecure_http=False)
    return Described(provider.issuer, documents, clock=clock, max_age=300, pause=PAUSE)


@pytest.fixture
def sign_in_with(
    described: Described, verifier_with: Callable[..., OidcTokenVerifier]
) -> Callable[..., OidcSignIn]:
    """Return a function that makes an adapter of a client with another secret."""

    def made(secret: str = SECRET, seconds: float = 60) -> OidcSignIn:
        client = Client(CLIENT, secret, ("openid", "profile"))
        verifier = verifier_with(audience=CLIENT, id_tokens=True)
        return OidcSignIn(described, verifier, client, seconds=seconds)

    return made


@pytest.fixture
def sign_in(sign_in_with: Callable[..., OidcSignIn]) -> OidcSignIn:
    return sign_in_with()


class TestOidcSignIn(SignInProviderContract):
    @pytest.fixture
    def site(self, provider: OpenIdProvider) -> OpenIdProvider:
        return provider

    @pytest.fixture
    def sign_in(self, sign_in_with: Callable[..., OidcSignIn]) -> OidcSignIn:
        return sign_in_with()


async def test_the_secret_goes_as_the_provider_takes_it(
    sign_in: OidcSignIn, provider: OpenIdProvider, described: Described, clock: Any
) -> None:
    for methods in (["client_secret_post"], ["client_secret_basic", "client_secret_post"], None):
        clock.seconds += 1000
        provider.described = {"token_endpoint_auth_methods_supported": methods}
        begun = await sign_in.begin("/ui", BACK)
        assert await finished(sign_in, begun.kept, provider.log_in(begun.address))


async def test_a_browser_that_comes_back_too_late_is_refused(
    sign_in_with: Callable[..., OidcSignIn], provider: OpenIdProvider
) -> None:
    begun = await sign_in_with(seconds=60).begin("/ui", BACK)
    answer = provider.log_in(begun.address)
    text = await refused(sign_in_with(seconds=-1), begun.kept, answer)
    assert text == "this browser began no sign-in, or too long ago"


async def test_what_the_browser_keeps_shows_nothing_and_opens_with_the_same_secret_alone(
    sign_in: OidcSignIn, sign_in_with: Callable[..., OidcSignIn], provider: OpenIdProvider
) -> None:
    begun = await sign_in.begin("/ui/history", BACK)
    answer = provider.log_in(begun.address)
    assert answer["state"] not in begun.kept
    await refused(sign_in_with("another secret"), begun.kept, answer)
    other_process = sign_in_with()
    assert (await finished(other_process, begun.kept, answer)).wanted == "/ui/history"


async def test_the_provider_hears_of_the_challenge_and_not_of_the_verifier(
    sign_in: OidcSignIn, provider: OpenIdProvider
) -> None:
    begun = await sign_in.begin("/ui", BACK)
    asked = parse_qs(urlsplit(begun.address).query)
    assert asked["scope"] == ["openid profile"]
    assert asked["redirect_uri"] == [BACK]
    assert asked["code_challenge_method"] == ["S256"]
    assert {"code_verifier", "client_secret"}.isdisjoint(asked)
    assert len(asked["code_challenge"][0]) == 43


async def test_a_code_of_another_sign_in_is_refused_by_pkce(
    sign_in: OidcSignIn, provider: OpenIdProvider
) -> None:
    mine, others = [await sign_in.begin("/ui", BACK) for _ in range(2)]
    answer = provider.log_in(mine.address)
    injected = {**answer, "code": provider.log_in(others.address)["code"]}
    text = await refused(sign_in, mine.kept, injected)
    assert text == "the provider does not take this code (any more)"


@pytest.mark.parametrize(
    ("user", "says"),
    [
        ({"typ": "Bearer"}, "this is no ID token"),
        ({"aud": [CLIENT, "other"], "azp": None}, "the token was issued to another client"),
        ({"cnf": {}}, "the token is bound to a key or certificate of its client"),
    ],
)
async def test_what_is_no_id_token_for_this_client_is_refused(
    sign_in: OidcSignIn, provider: OpenIdProvider, user: dict[str, Any], says: str
) -> None:
    begun = await sign_in.begin("/ui", BACK)
    assert await refused(sign_in, begun.kept, provider.log_in(begun.address, **user)) == says


@pytest.mark.parametrize("user", [{"typ": "ID"}, {"azp": None}, {"aud": [CLIENT]}], ids=str)
async def test_id_tokens_of_other_providers_hold(
    sign_in: OidcSignIn, provider: OpenIdProvider, user: dict[str, Any]
) -> None:
    begun = await sign_in.begin("/ui", BACK)
    assert await finished(sign_in, begun.kept, provider.log_in(begun.address, **user))


@pytest.mark.parametrize(
    "token",
    [
        lambda it: it.sign({"aud": CLIENT}, key=rsa_key("thief")),
        lambda it: it.sign({"aud": CLIENT}, typ="at+jwt"),
        lambda _: "a.b.c",
    ],
    ids=["forged", "access token", "no token"],
)
async def test_an_id_token_is_held_to_the_rules_of_all_tokens(
    sign_in: OidcSignIn, provider: OpenIdProvider, token: Callable[[OpenIdProvider], str]
) -> None:
    begun = await sign_in.begin("/ui", BACK)
    provider.answers[TOKEN] = (200, {"id_token": token(provider)})
    await refused(sign_in, begun.kept, provider.log_in(begun.address))


async def test_an_answer_must_name_its_provider_where_the_provider_always_does(
    sign_in: OidcSignIn, provider: OpenIdProvider
) -> None:
    provider.described = {"authorization_response_iss_parameter_supported": True}
    begun = await sign_in.begin("/ui", BACK)
    answer = provider.log_in(begun.address)
    del answer["iss"]
    assert await refused(sign_in, begun.kept, answer) == "this answer is of another provider"


@pytest.mark.parametrize(
    "answer",
    [
        (401, {"error": "invalid_client", "error_description": "CANARY"}),
        (400, {"error": "CANARY\n" * 30}),
        (200, {"access_token": "CANARY"}),
        (200, {"id_token": 7}),
        (200, ["CANARY"]),
        (200, b"CANARY"),
        (302, {}),
        (500, {"error": "invalid_grant"}),
        (200, b"{" + b" " * 30_000 + b"}"),
    ],
    ids=lambda each: str(each)[:40],
)
async def test_a_provider_that_gives_no_token_is_one_that_is_away(
    sign_in: OidcSignIn,
    provider: OpenIdProvider,
    caplog: pytest.LogCaptureFixture,
    answer: tuple[int, Any],
) -> None:
    caplog.set_level(logging.DEBUG)
    begun = await sign_in.begin("/ui", BACK)
    provider.answers[TOKEN] = answer
    with pytest.raises(ProviderUnavailable) as error:
        await finished(sign_in, begun.kept, provider.log_in(begun.address))
    for shown in (str(error.value), caplog.text):
        assert "CANARY" not in shown
        assert SECRET not in shown


async def test_a_wrong_secret_is_said_in_the_log(
    sign_in_with: Callable[..., OidcSignIn],
    provider: OpenIdProvider,
    caplog: pytest.LogCaptureFixture,
) -> None:
    wrong = sign_in_with("another secret")
    begun = await wrong.begin("/ui", BACK)
    with pytest.raises(ProviderUnavailable, match="STROKE_OIDC_CLIENT_SECRET"):
        await finished(wrong, begun.kept, provider.log_in(begun.address))
    assert "gives no ID token: invalid_client" in caplog.text


@pytest.mark.parametrize("address", ["http://192.0.2.1/x", "ftp://x", "javascript:x", "", None, 7])
async def test_an_endpoint_without_tls_is_none(
    sign_in: OidcSignIn, provider: OpenIdProvider, address: Any
) -> None:
    provider.described = {"authorization_endpoint": address, "end_session_endpoint": address}
    with pytest.raises(ProviderUnavailable, match="authorization_endpoint"):
        await sign_in.begin("/ui", BACK)
    assert await sign_in.sign_out_address(b"", new_session_id(), BACK) is None


async def test_a_provider_that_calls_itself_otherwise_is_none(
    sign_in: OidcSignIn, provider: OpenIdProvider
) -> None:
    provider.described = {"issuer": "https://another.example"}
    with pytest.raises(ProviderUnavailable, match="STROKE_OIDC_ISSUER"):
        await sign_in.begin("/ui", BACK)


async def test_a_provider_that_is_away_is_asked_again_after_a_pause(
    sign_in: OidcSignIn, provider: OpenIdProvider, clock: Any
) -> None:
    usual = dict(provider.answers)
    provider.go_away()
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            await sign_in.begin("/ui", BACK)
    assert provider.asked.count(DISCOVERY) == 1
    provider.answers = usual
    clock.seconds += PAUSE
    for _ in range(3):
        await sign_in.begin("/ui", BACK)
    assert provider.asked.count(DISCOVERY) == 2


async def test_the_way_out_says_who_signs_out(
    sign_in: OidcSignIn, provider: OpenIdProvider
) -> None:
    session_id = new_session_id()
    begun = await sign_in.begin("/ui", BACK)
    ended = await sign_in.finish(begun.kept, provider.log_in(begun.address), session_id)
    address = await sign_in.sign_out_address(ended.sealed, session_id, "https://x.example/bye")
    assert address is not None
    said = parse_qs(urlsplit(address).query)
    assert address.startswith(f"{provider.issuer}/logout?")
    assert said["client_id"] == [CLIENT]
    assert said["id_token_hint"][0].encode() not in ended.sealed
    assert said["id_token_hint"][0].count(".") == 2
