"""The way of a browser to the provider and back: authorization code, PKCE, state and nonce.

Authlib writes the requests of OAuth 2.0 and the challenge of PKCE. They go out by ``Documents``,
and the ID token is verified as every other token is. What must last from the first request to the
second is sealed into a cookie, with a key that all processes derive from the client's secret: a
browser that began no sign-in has none, and cannot make one.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import logging
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import quote

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from stroke.adapters.oidc.documents import Documents, described_at
from stroke.application.access.ports import (
    BegunSignIn,
    EndedSignIn,
    SignInProvider,
    TokenVerifier,
    VerifiedToken,
)
from stroke.domain.errors import NotAuthenticated, ProviderUnavailable

_log = logging.getLogger("stroke.oidc")
_RANDOM_BYTES: Final = 32  # 43 characters, as RFC 7636 advises for the verifier
_BASIC: Final = "client_secret_basic"
_POST: Final = "client_secret_post"
# What is wrong with the answer, or with the browser, and not with this service's settings.
_OF_BROWSER: Final = "invalid_grant"
# RFC 6749, appendix A, and a length that no provider needs.
_CODE: Final = re.compile(r"[ -~]{1,4096}", re.ASCII)
_CODE_OF_ERROR: Final = re.compile(r"[a-z_]{1,40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Way:
    """What lasts from the first request of a browser to the second."""

    state: str
    nonce: str
    verifier: str
    wanted: str
    back: str


@dataclass(frozen=True, slots=True)
class Client:
    """What the provider knows this service by. ``scopes`` are asked for at each sign-in."""

    id: str
    secret: str
    scopes: tuple[str, ...]


class Described:
    """What the provider says of itself, read again after ``max_age`` seconds.

    All who wait share one reading. After one that failed, the next begins ``pause`` seconds later
    at the earliest. ``clock`` counts seconds.
    """

    def __init__(
        self,
        issuer: str,
        documents: Documents,
        *,
        clock: Callable[[], float],
        max_age: float,
        pause: float,
    ) -> None:
        self.issuer = issuer
        self.documents = documents
        self._clock = clock
        self._max_age = max_age
        self._pause = pause
        self._found: dict[str, Any] | None = None
        self._read_at = self._failed_at = float("-inf")
        self._failure: ProviderUnavailable | None = None
        self._reading: asyncio.Task[None] | None = None

    async def read(self) -> Mapping[str, Any]:
        """Return the provider's metadata (RFC 8414). Raises ``ProviderUnavailable``."""
        if self._found is None or self._clock() - self._read_at > self._max_age:
            failure = self._failure
            if failure is None or self._clock() - self._failed_at >= self._pause:
                if self._reading is None or self._reading.done():
                    self._reading = asyncio.create_task(self._read())
                await asyncio.shield(self._reading)
                failure = self._failure
            if failure is not None:
                raise failure
        return self._found or {}

    async def address(self, name: str) -> str | None:
        """Return the address of an endpoint, or None if the provider has none that is safe."""
        found = (await self.read()).get(name)
        return found if isinstance(found, str) and self.documents.allows(found) else None

    async def _read(self) -> None:
        try:
            found = await asyncio.to_thread(described_at, self.documents, self.issuer)
        except ProviderUnavailable as error:
            self._failure, self._failed_at = error, self._clock()
            return
        self._found, self._read_at, self._failure = found, self._clock(), None


class OidcSignIn(SignInProvider):
    """Signs in at the provider that ``described`` reads of, as ``client``.

    ``verifier`` verifies ID tokens for this client. A browser must be back within ``seconds``.
    """

    def __init__(
        self, described: Described, verifier: TokenVerifier, client: Client, *, seconds: float
    ) -> None:
        self._described = described
        self._verifier = verifier
        self._client = client
        self._seconds = seconds
        self._cookies = _seal_of(client.secret, "stroke sign-in")

    async def begin(self, wanted: str, back: str) -> BegunSignIn:
        endpoint = await self._needed("authorization_endpoint")
        state, nonce, verifier = (secrets.token_urlsafe(_RANDOM_BYTES) for _ in range(3))
        address = prepare_grant_uri(
            endpoint,
            self._client.id,
            "code",
            redirect_uri=back,
            scope=" ".join(self._client.scopes),
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        way = json.dumps(asdict(_Way(state, nonce, verifier, wanted, back)))
        return BegunSignIn(address, self._cookies.encrypt(way.encode()).decode("ascii"))

    async def finish(
        self, kept: str | None, answer: Mapping[str, str], session_id: str
    ) -> EndedSignIn:
        way = self._opened(kept)
        if not hmac.compare_digest(
            way.state.encode(), answer.get("state", "").encode("utf-8", "surrogatepass")
        ):
            raise _refused("this answer belongs to another sign-in")
        await self._look_at_issuer(answer.get("iss"))
        code = answer.get("code")
        if "error" in answer or code is None or not _CODE.fullmatch(code):
            raise _refused("the provider did not sign this user in")
        id_token = await self._exchanged(code, way)
        token = await self._verifier.verified(id_token)
        self._look_at(token, way)
        sealed = _seal_of(session_id, "stroke ID token").encrypt(id_token.encode())
        return EndedSignIn(token, way.wanted, sealed)

    async def sign_out_address(self, sealed: bytes, session_id: str, back: str) -> str | None:
        endpoint = await self._described.address("end_session_endpoint")
        if endpoint is None:
            return None
        asked = [("client_id", self._client.id), ("post_logout_redirect_uri", back)]
        try:
            hint = _seal_of(session_id, "stroke ID token").decrypt(sealed).decode()
        except InvalidToken:
            pass  # without it, the provider asks the user
        else:
            asked.append(("id_token_hint", hint))
        return str(add_params_to_uri(endpoint, asked))

    def _opened(self, kept: str | None) -> _Way:
        try:
            content = self._cookies.decrypt((kept or "").encode(), ttl=int(self._seconds))
        except InvalidToken:
            raise _refused("this browser began no sign-in, or too long ago") from None
        return _Way(**json.loads(content))

    async def _look_at_issuer(self, issuer: str | None) -> None:
        """Refuse the answer of another provider (RFC 9207)."""
        says = (await self._described.read()).get("authorization_response_iss_parameter_supported")
        if issuer != self._described.issuer and (issuer is not None or says is True):
            raise _refused("this answer is of another provider")

    async def _exchanged(self, code: str, way: _Way) -> str:
        """Return the ID token that the provider gives for ``code``."""
        endpoint = await self._needed("token_endpoint")
        auth = await self._auth()
        body = prepare_token_request(
            "authorization_code", code=code, redirect_uri=way.back, code_verifier=way.verifier
        )
        _, headers, body = auth.prepare("POST", endpoint, {}, body)
        found = await asyncio.to_thread(self._described.documents.send, endpoint, body, headers)
        error = found.get("error")
        if error == _OF_BROWSER:
            raise _refused("the provider does not take this code (any more)")
        token = found.get("id_token")
        if error is not None or not isinstance(token, str):
            named = isinstance(error, str) and _CODE_OF_ERROR.fullmatch(error)
            _log.warning(
                "the OpenID provider gives no ID token: %s", error if named else "it does not say"
            )
            raise ProviderUnavailable(
                "the OpenID provider gives this service no ID token: see STROKE_OIDC_CLIENT_ID, "
                "STROKE_OIDC_CLIENT_SECRET and STROKE_OIDC_SCOPES"
            )
        return token

    async def _auth(self) -> ClientAuth:
        known = (await self._described.read()).get("token_endpoint_auth_methods_supported")
        client = self._client
        if isinstance(known, list) and _BASIC not in known and _POST in known:
            return ClientAuth(client.id, client.secret, _POST)
        # RFC 6749 has both encoded as fields of a form are.
        return ClientAuth(quote(client.id, safe=""), quote(client.secret, safe=""), _BASIC)

    def _look_at(self, token: VerifiedToken, way: _Way) -> None:
        """Refuse an ID token of another sign-in or client (OpenID Connect Core, 3.1.3.7)."""
        nonce = token.claims.get("nonce")
        if not isinstance(nonce, str) or not hmac.compare_digest(
            nonce.encode("utf-8", "surrogatepass"), way.nonce.encode()
        ):
            raise _refused("the token belongs to another sign-in")
        audience, client = token.claims["aud"], token.claims.get("azp")
        several = isinstance(audience, list) and len(audience) > 1
        if client != self._client.id and (client is not None or several):
            raise _refused("the token was issued to another client")

    async def _needed(self, name: str) -> str:
        found = await self._described.address(name)
        if found is None:
            raise ProviderUnavailable(f"the OpenID provider has no {name} that may be used")
        return found


def _seal_of(secret: str, purpose: str) -> Fernet:
    """Return what seals with a key of its own for each secret and purpose."""
    derived = HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(secret.encode())
    return Fernet(base64.urlsafe_b64encode(derived))


def _refused(text: str) -> NotAuthenticated:
    return NotAuthenticated(text, presented=True)
