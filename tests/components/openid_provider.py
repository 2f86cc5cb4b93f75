"""An OpenID provider of our own: keys, documents on loopback, and tokens of every kind."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from components.loopback import LoopbackServer, in_bytes

AUDIENCE: Final = "stroke"
DISCOVERY: Final = "/.well-known/openid-configuration"
KEYS: Final = "/keys"
AUTHORIZE: Final = "/authorize"
TOKEN: Final = "/token"
LOGOUT: Final = "/logout"
CLIENT: Final = "stroke-page"
SECRET: Final = "not-a-secret: 100% ümlaut+&="
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return an RSA key, the same for the same name."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key(name: str, curve: Callable[[], ec.EllipticCurve] = ec.SECP256R1) -> Any:
    """Return a key of a curve, the same for the same name."""
    return ec.generate_private_key(curve())


def public_jwk(key: PrivateKey, key_id: str | None, **more: object) -> dict[str, Any]:
    """Return a key as providers publish it."""
    if isinstance(key, rsa.RSAPrivateKey):
        entry = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        entry = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    named = {} if key_id is None else {"kid": key_id}
    return {**entry, "use": "sig", **named, **more}


def claims_for(issuer: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return claims of a good token; ``changes`` replace them, None takes one away."""
    now = int(time.time())
    claims = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": "user-1",
        "iat": now,
        "exp": now + 300,
        "azp": "client",
        "site": "north",
        "roles": ["stroke-read"],
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


class OpenIdProvider(LoopbackServer):
    """Listens on a free port of 127.0.0.1 within ``with``; one RSA key ``first`` at the start.

    ``published`` is what it says its keys are, ``answers`` replaces an answer by its path (status
    and bytes, or an object), ``asked`` has the paths that were asked for. Browsers log in
    by ``log_in``; each code is good for one ID token, with the claims of ``user`` and by PKCE.
    """

    def __init__(self) -> None:
        self.published: list[Any] = [public_jwk(rsa_key("first"), "first", alg="RS256")]
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[str] = []
        self.pause = 0.0
        self.user: dict[str, Any] = {}
        self.described: dict[str, Any] = {}
        self._codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["content-length"])).decode()
                status, body = provider._exchange(self.path, form, self.headers["authorization"])
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                status, body = provider._answer(self.path)
                self.send_response(status)
                if status in (301, 302, 307):
                    self.send_header("location", provider.issuer + KEYS)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                for byte in (body[i : i + 1] for i in range(len(body))) if provider.pause else ():
                    time.sleep(provider.pause)
                    try:
                        self.wfile.write(byte)
                    except OSError:
                        return
                if not provider.pause:
                    self.wfile.write(body)

        super().__init__(Handler)
        self.issuer = self.url

    def issue(self, **changes: Any) -> str:
        """Return a token of the first key."""
        return self.sign(changes)

    def sign(
        self,
        changes: Mapping[str, Any] | None = None,
        *,
        key: PrivateKey | None = None,
        key_id: str | None = "first",
        algorithm: str = "RS256",
        **headers: Any,
    ) -> str:
        """Return a token with changed claims, and of another key, algorithm or header."""
        named = {} if key_id is None else {"kid": key_id}
        return jwt.encode(
            claims_for(self.issuer, changes or {}),
            key or rsa_key("first"),
            algorithm=algorithm,
            headers={**named, **headers},
        )

    def log_in(self, address: str, **user: Any) -> dict[str, str]:
        """Log in as a browser that opens ``address``; return what it brings back.

        ``user`` changes the claims of the ID token; None takes one away.
        """
        asked = {name: each[0] for name, each in parse_qs(urlsplit(address).query).items()}
        assert address.startswith(f"{self.issuer}{AUTHORIZE}?"), address
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        self.user = user
        return {"code": code, "state": asked["state"], "iss": self.issuer}

    def go_away(self) -> None:
        """Answer 503 to everything from now on."""
        self.answers = {DISCOVERY: (503, {}), KEYS: (503, {}), TOKEN: (503, {})}

    @property
    def readings(self) -> int:
        """How often its keys were read."""
        return self.asked.count(KEYS)

    def _answer(self, path: str) -> tuple[int, bytes]:
        self.asked.append(path)
        usual = {
            DISCOVERY: {
                "issuer": self.issuer,
                "jwks_uri": self.issuer + KEYS,
                "authorization_endpoint": self.issuer + AUTHORIZE,
                "token_endpoint": self.issuer + TOKEN,
                "end_session_endpoint": self.issuer + LOGOUT,
                **self.described,
            },
            KEYS: {"keys": self.published},
        }
        status, body = self.answers.get(path, (200, usual.get(path, {})))
        return status, in_bytes(body)

    def _exchange(self, path: str, form: str, authorization: str | None) -> tuple[int, bytes]:
        """Answer the token endpoint, which takes each code once."""
        self.asked.append(path)
        if path in self.answers:
            status, body = self.answers[path]
            return status, in_bytes(body)
        fields = dict(parse_qsl(form, strict_parsing=True))
        if authorization is None:
            client = fields.get("client_id", ""), fields.get("client_secret", "")
        else:
            name, _, secret = base64.b64decode(authorization.split()[1]).decode().partition(":")
            client = unquote(name), unquote(secret)
        if client != (CLIENT, SECRET) or path != TOKEN:
            return 401, in_bytes({"error": "invalid_client"})
        asked = self._codes.pop(fields.get("code", ""), None)
        digest = hashlib.sha256(fields.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or asked["code_challenge"] != base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            or asked["redirect_uri"] != fields.get("redirect_uri")
            or fields.get("grant_type") != "authorization_code"
        ):
            return 400, in_bytes({"error": "invalid_grant", "error_description": "CANARY"})
        claims = {"aud": CLIENT, "azp": CLIENT, "nonce": asked["nonce"], **self.user}
        answer = {
            "token_type": "Bearer",
            "access_token": "opaque",
            "id_token": self.issue(**claims),
        }
        return 200, in_bytes(answer)
