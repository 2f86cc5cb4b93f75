"""Which tokens hold, with keys and tokens that were made for it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.openid_provider import OpenIdProvider, claims_for, ec_key, public_jwk, rsa_key
from contracts.access import TokenVerifierContract
from stroke.adapters.oidc.verifier import OidcTokenVerifier
from stroke.domain.errors import NotAuthenticated

pytestmark = pytest.mark.anyio
LEEWAY = 5  # seconds, as conftest.py sets it
MOST_BYTES = 4000


class TestOidcTokenVerifier(TokenVerifierContract):
    @pytest.fixture
    def verifier(self, verifier_with: Callable[..., OidcTokenVerifier]) -> OidcTokenVerifier:
        return verifier_with()


def encoded(part: Any) -> str:
    content = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def forged(issuer: str, header: dict[str, Any], secret: bytes | None = None) -> str:
    """Return a token with this header, signed with HMAC and ``secret``, or not at all."""
    body = f"{encoded(header)}.{encoded(claims_for(issuer, {}))}"
    if secret is None:
        return f"{body}."
    return f"{body}.{encoded(hmac.new(secret, body.encode(), hashlib.sha256).digest())}"


HEADER = {"alg": "RS256", "kid": "first", "typ": "JWT"}


def signed(header: Any, claims: Any) -> str:
    """Return what the provider itself would sign, whatever it says; bytes stand for themselves."""
    body = f"{encoded(header)}.{encoded(claims)}"
    signature = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256).sign(
        body.encode(), rsa_key("first")
    )
    return f"{body}.{encoded(signature)}"


async def reason(verifier: OidcTokenVerifier, token: str) -> str:
    with pytest.raises(NotAuthenticated) as refused:
        await verifier.verified(token)
    assert refused.value.presented
    return str(refused.value)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"aud": "other"}, "the token is for another audience"),
        ({"iss": "https://x"}, "the token is of another issuer"),
        ({"exp": -60}, "the token has expired"),
        ({"nbf": 60}, "the token is not valid yet"),
        ({"iat": 60}, "the token is not valid yet"),
        ({"exp": None}, "the token has no claim exp"),
        ({"aud": None}, "the token has no claim aud"),
        ({"sub": None}, "the token has no claim sub"),
        ({"sub": 7}, "this is no token that can be read"),
        ({"exp": True}, "the token has expired"),
        ({"nbf": True}, "the token's nbf is no number"),
        ({"exp": "99999999999"}, "the token's exp is no number"),
        ({"exp": 1e300}, "the token's exp is no time"),
        ({"exp": float("nan")}, "this is no token that can be read"),
        ({"typ": "ID"}, "this is no access token"),
        ({"typ": "Refresh"}, "this is no access token"),
        ({"typ": ["Bearer"]}, "this is no access token"),
        ({"cnf": {"jkt": "x"}}, "the token is bound to a key or certificate of its client"),
    ],
    ids=str,
)
async def test_what_is_wrong_with_a_token_is_said_in_words(
    verifier: OidcTokenVerifier, provider: OpenIdProvider, fault: dict[str, Any], says: str
) -> None:
    changes = {
        name: time.time() + value if type(value) is int and name != "sub" else value
        for name, value in fault.items()
    }
    assert await reason(verifier, provider.issue(**changes)) == says


async def test_clocks_may_differ_by_the_leeway(
    verifier: OidcTokenVerifier, provider: OpenIdProvider
) -> None:
    now = int(time.time())
    for changes in ({"exp": now - LEEWAY + 3}, {"nbf": now + LEEWAY}, {"iat": now + LEEWAY}):
        await verifier.verified(provider.issue(**changes))
    assert await reason(verifier, provider.issue(exp=now - LEEWAY)) == "the token has expired"


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "application/at+jwt", "AT+JWT"])
async def test_an_access_token_may_say_that_it_is_one(
    verifier: OidcTokenVerifier, provider: OpenIdProvider, typ: str
) -> None:
    assert (await verifier.verified(provider.sign(typ=typ))).subject == "user-1"


@pytest.mark.parametrize("typ", ["logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE"])
async def test_a_token_for_another_use_is_refused(
    verifier: OidcTokenVerifier, provider: OpenIdProvider, typ: str
) -> None:
    assert await reason(verifier, provider.sign(typ=typ)) == "this is no access token"


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256"])
async def test_three_algorithms_are_taken(
    verifier: OidcTokenVerifier, provider: OpenIdProvider, algorithm: str
) -> None:
    key = ec_key("one") if algorithm == "ES256" else rsa_key("first")
    provider.published = [public_jwk(key, "k")]

    token = provider.sign(key=key, key_id="k", algorithm=algorithm)

    assert (await verifier.verified(token)).subject == "user-1"


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS384", "PS512", "ES384", "EdDSA"])
async def test_no_other_algorithm_of_public_keys_is_taken(
    verifier: OidcTokenVerifier, provider: OpenIdProvider, algorithm: str
) -> None:
    token = provider.sign()
    header = {"alg": algorithm, "kid": "first", "typ": "JWT"}
    changed = ".".join([encoded(header), *token.split(".")[1:]])
    assert "RS256, PS256 or ES256" in await reason(verifier, changed)


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", None, 0, ["RS256"]])
async def test_a_token_without_a_signature_is_refused(
    verifier: OidcTokenVerifier, provider: OpenIdProvider, name: Any
) -> None:
    token = forged(provider.issuer, {"alg": name, "kid": "first", "typ": "JWT"})
    assert "RS256, PS256 or ES256" in await reason(verifier, token)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512", "hs256"])
@pytest.mark.parametrize("form", ["pem", "der", "jwk", "empty"])
async def test_the_public_key_is_no_secret_to_sign_with(
    verifier: OidcTokenVerifier, provider: OpenIdProvider, algorithm: str, form: str
) -> None:
    public = rsa_key("first").public_key()
    secret = {
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(provider.published[0]).encode(),
        "empty": b"",
    }[form]
    token = forged(provider.issuer, {"alg": algorithm, "kid": "first", "typ": "JWT"}, secret)
    assert "RS256, PS256 or ES256" in await reason(verifier, token)


async def test_a_secret_among_the_published_keys_verifies_nothing(
    verifier: OidcTokenVerifier, provider: OpenIdProvider
) -> None:
    secret = b"s" * 32
    oct_key = {"kty": "oct", "k": encoded(secret), "kid": "oct", "alg": "HS256"}
    provider.published.append(oct_key)
    for algorithm in ("HS256", "RS256", "ES256"):
        token = forged(provider.issuer, {"alg": algorithm, "kid": "oct", "typ": "JWT"}, secret)
        await reason(verifier, token)
    await verifier.verified(provider.issue())


@pytest.mark.parametrize(
    ("entry", "algorithm"),
    [
        (public_jwk(rsa_key("first"), "k", alg="PS256"), "RS256"),
        (public_jwk(rsa_key("first"), "k", alg="RSA-OAEP"), "RS256"),
        (public_jwk(rsa_key("first"), "k", use="enc"), "RS256"),
        (public_jwk(rsa_key("first"), "k", key_ops=["encrypt"]), "RS256"),
        (public_jwk(rsa_key("first"), "k", key_ops=7), "RS256"),
        (public_jwk(rsa_key("first"), "k", d="AQAB"), "RS256"),
        (public_jwk(rsa_key("first"), "k", kty="EC"), "RS256"),
        (public_jwk(rsa_key("first"), "k", kid=7), "RS256"),
        (public_jwk(rsa_key("small", 1024), "k"), "RS256"),
        (public_jwk(ec_key("one"), "k", alg="RS256"), "ES256"),
        (public_jwk(ec_key("wide", ec.SECP384R1), "k", crv="P-256"), "ES256"),
        (public_jwk(ec_key("one"), "k", x="AAAA"), "ES256"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.get('kty')}",
)
async def test_a_key_that_does_not_fit_verifies_nothing(
    verifier: OidcTokenVerifier, provider: OpenIdProvider, entry: dict[str, Any], algorithm: str
) -> None:
    provider.published.append(entry)
    small = entry.get("n") == public_jwk(rsa_key("small", 1024), "k")["n"]
    key = ec_key("one") if algorithm == "ES256" else rsa_key("small" if small else "first")
    if small:
        key = rsa_key("small", 1024)
    with pytest.warns(jwt.InsecureKeyLengthWarning) if small else nullcontext():
        token = provider.sign(key=key, key_id="k", algorithm=algorithm)

    assert "does not have" in await reason(verifier, token)
    await verifier.verified(provider.issue())


async def test_of_two_keys_the_token_says_which(
    verifier: OidcTokenVerifier, provider: OpenIdProvider
) -> None:
    provider.published.append(public_jwk(rsa_key("second"), "second"))
    assert await verifier.verified(provider.issue())
    assert await verifier.verified(provider.sign(key=rsa_key("second"), key_id="second"))

    wrong = provider.sign(key=rsa_key("second"), key_id="first")
    assert await reason(verifier, wrong) == "the token's signature is not the provider's"
    for unclear in (provider.sign(key_id=None), provider.sign(key_id="third")):
        assert "does not have" in await reason(verifier, unclear)


async def test_two_keys_with_one_id_differ_by_their_algorithm_only(
    verifier: OidcTokenVerifier, provider: OpenIdProvider
) -> None:
    provider.published.append(public_jwk(ec_key("one"), "first"))
    assert await verifier.verified(provider.issue())
    token = provider.sign(key=ec_key("one"), algorithm="ES256")
    assert await verifier.verified(token)


async def test_a_token_without_an_id_of_a_key_is_verified_by_the_only_one_that_fits(
    verifier: OidcTokenVerifier, provider: OpenIdProvider
) -> None:
    provider.published.append(public_jwk(ec_key("one"), "other"))
    assert await verifier.verified(provider.sign(key_id=None))
    await reason(verifier, provider.sign(key=rsa_key("second"), key_id=None))


async def test_a_key_that_comes_with_the_token_counts_nothing(
    verifier: OidcTokenVerifier, provider: OpenIdProvider
) -> None:
    own = rsa_key("attacker")
    jwk = public_jwk(own, "first")
    for headers in ({"jwk": jwk}, {"jku": provider.issuer + "/attacker"}, {"x5u": "http://x"}):
        token = provider.sign(key=own, **headers)
        assert await reason(verifier, token) == "the token's signature is not the provider's"
    assert "/attacker" not in provider.asked


@pytest.mark.parametrize("headers", [{"crit": ["exp"]}, {"crit": ["b64"], "b64": True}])
async def test_a_header_that_must_be_understood_is_refused(
    verifier: OidcTokenVerifier, provider: OpenIdProvider, headers: dict[str, Any]
) -> None:
    token = provider.sign()
    header = {"alg": "RS256", "kid": "first", "typ": "JWT", **headers}
    await reason(verifier, ".".join([encoded(header), *token.split(".")[1:]]))


@pytest.mark.parametrize("at", [0, 1, 2])
async def test_a_token_that_was_changed_is_refused(
    verifier: OidcTokenVerifier, provider: OpenIdProvider, at: int
) -> None:
    parts, others = provider.issue().split("."), provider.issue(sub="admin").split(".")
    parts[at] = others[at] if at else encoded({"alg": "PS256", "kid": "first", "typ": "JWT"})
    if at == 2:
        parts[2] = others[2][::-1]
    await reason(verifier, ".".join(parts))


async def test_a_client_that_was_not_named_may_not_call(
    verifier_with: Callable[..., OidcTokenVerifier], provider: OpenIdProvider
) -> None:
    strict = verifier_with(clients=["client", "other"])
    assert await strict.verified(provider.issue())
    assert await strict.verified(provider.issue(azp=None, client_id="other"))
    for changes in ({"azp": "evil"}, {"azp": None}, {"azp": ["client"]}, {"azp": "Client"}):
        said = await reason(strict, provider.issue(**changes))
        assert said == "the token was issued to a client that may not call this service"
    assert await verifier_with().verified(provider.issue(azp="evil"))


async def test_a_huge_token_is_not_looked_at(
    verifier: OidcTokenVerifier, provider: OpenIdProvider
) -> None:
    for huge in (provider.issue(padding="x" * MOST_BYTES), "a." * 500_000, "." * 8_000_000):
        assert await reason(verifier, huge) == "the token is too long"
    assert provider.asked == []


async def test_what_nobody_can_have_signed_costs_no_request_to_the_provider(
    verifier: OidcTokenVerifier, provider: OpenIdProvider
) -> None:
    for text in ("a.b.c", forged(provider.issuer, {"alg": "none"})):
        await reason(verifier, text)
    assert provider.asked == []


@given(text=st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]*(\.[A-Za-z0-9_=-]*){0,4}"))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
async def test_no_text_that_is_no_token_is_more_than_refused(
    verifier: OidcTokenVerifier, text: str
) -> None:
    await reason(verifier, text)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    header=st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "cty"]),
        JSON | st.sampled_from(["RS256", "ES256", "PS256", "first", "JWT"]),
    )
    | JSON,
    payload=JSON,
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
async def test_no_header_or_body_without_the_providers_signature_is_more_than_refused(
    verifier: OidcTokenVerifier, header: Any, payload: Any
) -> None:
    await reason(verifier, f"{encoded(header)}.{encoded(payload)}.{encoded(b'x' * 256)}")


@given(name=st.sampled_from(["exp", "nbf", "iat", "iss", "aud", "sub", "azp", "typ"]), value=JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
async def test_no_claim_of_the_provider_itself_is_more_than_refused(
    verifier: OidcTokenVerifier, provider: OpenIdProvider, name: str, value: Any
) -> None:
    claims = {**claims_for(provider.issuer, {}), name: value}
    try:
        found = await verifier.verified(signed(HEADER, claims))
    except NotAuthenticated:
        return
    assert isinstance(found.subject, str)


@pytest.mark.parametrize(
    ("name", "other"),
    [("sub", "another"), ("site", "south"), ("iss", None), ("exp", 9e9), ("roles", ["admin"])],
)
async def test_a_claim_that_is_there_twice_is_refused(
    verifier: OidcTokenVerifier, provider: OpenIdProvider, name: str, other: Any
) -> None:
    """Even by the provider itself: who else reads the token may go by the other one."""
    claims = claims_for(provider.issuer, {"site": "north", "roles": ["read"]})
    assert (await verifier.verified(signed(HEADER, claims))).subject
    first = json.dumps({name: other})[:-1]
    twice = f"{first}, {json.dumps(claims)[1:]}".encode()
    assert json.loads(twice) == claims
    assert await reason(verifier, signed(HEADER, twice)) == "the token has a name twice"


@pytest.mark.parametrize("within", ['{"a": {"b": 1, "b": 2}}', '{"a": [{"b": 1, "b": 1}]}'])
async def test_a_name_that_is_there_twice_is_refused_wherever_it_is(
    verifier: OidcTokenVerifier, provider: OpenIdProvider, within: str
) -> None:
    claims = json.dumps(claims_for(provider.issuer, {}))
    deep = f"{claims[:-1]}, {within[1:]}".encode()
    assert await reason(verifier, signed(HEADER, deep)) == "the token has a name twice"
    header = b'{"alg": "none", "alg": "RS256", "kid": "first", "typ": "JWT"}'
    assert await reason(verifier, signed(header, claims.encode())) == "the token has a name twice"
