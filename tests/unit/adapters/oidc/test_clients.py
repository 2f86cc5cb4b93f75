"""Tokens of record systems: keys of a file or an address, and what no key makes hold."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm

from components.openid_provider import KEYS, OpenIdProvider, ec_key, public_jwk, rsa_key
from contracts.access import ADDRESS, ADDRESSES, LEEWAY, CdsClient, ClientTokenVerifierContract
from stroke.adapters.oidc.clients import PyJwtClientTokenVerifier
from stroke.adapters.oidc.documents import Documents
from stroke.domain.errors import NotAuthenticated, ProviderUnavailable

ISSUER: Final = "https://ehr.example"
P384: Final = ec_key("ehr", ec.SECP384R1)


def signed(
    key: Any = P384, algorithm: str = "ES384", header: dict[str, Any] | None = None, **changes: Any
) -> str:
    """Return a token with these changes of its claims and header; None takes one away.

    Times are seconds from now.
    """
    usual: dict[str, Any] = {"iss": ISSUER, "aud": ADDRESS, "jti": "one", "iat": 0, "exp": 300}
    claims = {name: value for name, value in (usual | changes).items() if value is not None}
    now = int(time.time())
    claims |= {name: now + claims[name] for name in ("iat", "exp", "nbf") if name in claims}
    named = {"kid": "k1", "typ": "JWT", **(header or {})}
    return jwt.api_jws.encode(
        json.dumps(claims).encode(),
        key,
        algorithm,
        headers={name: value for name, value in named.items() if value is not None},
    )


def twice(name: str) -> str:
    """Return a token that has a claim twice, with one value, and is signed."""
    _, body, _ = signed().split(".")
    claims = base64.urlsafe_b64decode(body + "==").decode()
    again = json.dumps({name: json.loads(claims)[name]})[:-1]
    payload = f"{again}, {claims[1:]}".encode()
    return jwt.api_jws.encode(payload, P384, "ES384", headers={"kid": "k1", "typ": "JWT"})


def verifier_of(where: Path | str, pause: float = 0) -> PyJwtClientTokenVerifier:
    documents = Documents(seconds=2, most_bytes=20_000, insecure_http=False)
    return PyJwtClientTokenVerifier(
        {ISSUER: where},
        documents,
        longest=600,
        leeway=LEEWAY,
        max_age=300,
        grace=300,
        pause=pause,
        most_bytes=16_384,
    )


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    publish(path, public_jwk(P384, "k1"))
    return path


def publish(path: Path, *keys: dict[str, Any]) -> None:
    path.write_text(json.dumps({"keys": keys}))


class TestPyJwtClientTokenVerifier(ClientTokenVerifierContract):
    @pytest.fixture
    def verifier(self, key_file: Path) -> PyJwtClientTokenVerifier:
        return verifier_of(key_file)

    @pytest.fixture
    def client(self) -> CdsClient:
        return CdsClient(ISSUER, signed)


STRANGER: Final = ec_key("stranger", ec.SECP384R1)


def with_header(**changes: Any) -> str:
    """Return a token with another header and no signature. PyJWT refuses to make such tokens."""
    head, body, _ = signed().split(".")
    named = json.loads(base64.urlsafe_b64decode(head + "==")) | changes
    return f"{encoded(json.dumps(named).encode())}.{body}."


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def shared(algorithm: str, secret: bytes) -> Callable[[], str]:
    """Return what makes a token that is signed with a secret which both sides know."""
    digest = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[algorithm]

    def made() -> str:
        head = {"alg": algorithm, "kid": "k1", "typ": "JWT"}
        content = f"{encoded(json.dumps(head).encode())}.{signed().split('.')[1]}"
        return f"{content}.{encoded(hmac.digest(secret, content.encode(), digest))}"

    return made


PUBLIC: Final = P384.public_key()
FORGED: Final[dict[str, Callable[[], str]]] = {
    "another key": lambda: signed(STRANGER),
    "another kid": lambda: signed(header={"kid": "k2"}),
    "no kid": lambda: signed(header={"kid": None}),
    "a kid that is no text": lambda: with_header(kid=["k1"]),
    "no signature": with_header,
    "none": lambda: with_header(alg="none"),
    "None": lambda: with_header(alg="None"),
    "no algorithm": lambda: with_header(alg=None),
    "algorithms": lambda: with_header(alg=["ES384"]),
    "a shared secret": shared("HS256", b"x" * 64),
    "an empty secret": shared("HS512", b""),
    "the public key as a secret": shared("HS384", json.dumps(public_jwk(P384, "k1")).encode()),
    "its PEM as a secret": shared(
        "HS384", PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    ),
    "RS256": lambda: signed(rsa_key("ehr"), "RS256"),
    "PS384": lambda: signed(rsa_key("ehr"), "PS384"),
    "ES512": lambda: signed(ec_key("ehr", ec.SECP521R1), "ES512"),
    "a key in the header": lambda: signed(STRANGER, header={"jwk": public_jwk(STRANGER, "k1")}),
    "an extension": lambda: with_header(crit=["exp"]),
    "a body that is not encoded": lambda: with_header(b64=False),
    "an access token": lambda: signed(header={"typ": "at+jwt"}),
    "a claim twice": lambda: twice("jti"),
    "its times twice": lambda: twice("exp"),
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_token_does_not_hold(name: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    # Its secret is published, too, as are keys for algorithms that are not taken.
    publish(
        keys,
        public_jwk(P384, "k1"),
        {"kty": "oct", "k": encoded(b"x" * 64), "kid": "k1", "alg": "HS256"},
        public_jwk(rsa_key("ehr"), "k1"),
        public_jwk(ec_key("ehr", ec.SECP521R1), "k1"),
    )
    verifier = verifier_of(keys)
    await verifier.verified(signed(), ADDRESSES)

    with pytest.raises(NotAuthenticated) as raised:
        await verifier.verified(FORGED[name](), ADDRESSES)

    assert raised.value.presented


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(P384, "ES384"), (rsa_key("ehr"), "RS384"), (ec_key("ehr"), "ES256")],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_keys_of_the_recommended_algorithms_are_read_from_an_address(
    key: Any, algorithm: str
) -> None:
    with OpenIdProvider() as provider:
        provider.published = [public_jwk(key, "k1")]
        verifier = verifier_of(f"{provider.issuer}{KEYS}")

        found = await verifier.verified(signed(key, algorithm), ADDRESSES)

    assert found.issuer == ISSUER


@pytest.mark.anyio
async def test_what_jku_names_is_never_asked(key_file: Path) -> None:
    with OpenIdProvider() as stranger:
        token = signed(ec_key("stranger", ec.SECP384R1), header={"jku": f"{stranger.issuer}{KEYS}"})
        with pytest.raises(NotAuthenticated):
            await verifier_of(key_file).verified(token, ADDRESSES)

        assert stranger.asked == []


@pytest.mark.anyio
async def test_keys_may_be_rotated(key_file: Path) -> None:
    verifier = verifier_of(key_file)
    await verifier.verified(signed(), ADDRESSES)
    new = ec_key("new", ec.SECP384R1)
    publish(key_file, public_jwk(new, "k2"))

    await verifier.verified(signed(new, header={"kid": "k2"}), ADDRESSES)

    with pytest.raises(NotAuthenticated):
        await verifier.verified(signed(), ADDRESSES)


@pytest.mark.anyio
async def test_keys_that_cannot_be_read_are_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(ProviderUnavailable):
        await verifier_of(tmp_path / "absent.json").verified(signed(), ADDRESSES)


@pytest.mark.anyio
async def test_one_system_cannot_sign_for_another(tmp_path: Path) -> None:
    other = "https://other.example"
    verifier = PyJwtClientTokenVerifier(
        {ISSUER: tmp_path / "one.json", other: tmp_path / "two.json"},
        Documents(seconds=2, most_bytes=20_000, insecure_http=False),
        longest=600,
        leeway=LEEWAY,
        max_age=300,
        grace=300,
        pause=0,
        most_bytes=16_384,
    )
    publish(tmp_path / "one.json", public_jwk(P384, "k1"))
    publish(tmp_path / "two.json", public_jwk(STRANGER, "k1"))

    assert (await verifier.verified(signed(STRANGER, iss=other), ADDRESSES)).issuer == other
    with pytest.raises(NotAuthenticated):
        await verifier.verified(signed(P384, iss=other), ADDRESSES)


ANYTHING: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    claims=st.dictionaries(st.sampled_from(["aud", "exp", "iat", "jti", "nbf", "sub"]), ANYTHING),
    header=st.dictionaries(st.sampled_from(["kid", "typ", "jku", "x5u", "crit"]), ANYTHING),
)
@settings(max_examples=100, deadline=None)
def test_whatever_a_system_signs_holds_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, claims: dict[str, Any], header: dict[str, Any]
) -> None:
    keys = tmp_path_factory.getbasetemp() / "keys-of-a-system.json"
    if not keys.exists():
        publish(keys, public_jwk(P384, "k1"))
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": ADDRESS, "jti": "one", "iat": now, "exp": now + 300}
    named = {"kid": "k1", "typ": "JWT", "alg": "ES384"} | header
    content = ".".join(encoded(json.dumps(each).encode()) for each in (named, usual | claims))
    signature = ECAlgorithm(ECAlgorithm.SHA384).sign(content.encode(), P384)

    with suppress(NotAuthenticated):
        found = asyncio.run(
            verifier_of(keys).verified(f"{content}.{encoded(signature)}", ADDRESSES)
        )
        assert found.issuer == ISSUER
