"""Whether a token holds: its form, its signature, and whom and when it is for."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    MissingRequiredClaimError,
    PyJWTError,
)
from jwt.utils import base64url_decode

from stroke.adapters.oidc.key_set import ALGORITHMS, ProviderKeys
from stroke.application.access.ports import TokenVerifier, VerifiedToken
from stroke.domain.errors import NotAuthenticated

# RFC 9068, and what providers wrote before it.
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_ID_TYPES: Final = frozenset({"jwt"})
_REQUIRED: Final = ("iss", "aud", "exp", "sub")
_TIMES: Final = ("exp", "nbf", "iat")
_REASONS: Final = (
    (ExpiredSignatureError, "the token has expired"),
    (ImmatureSignatureError, "the token is not valid yet"),
    (InvalidAudienceError, "the token is for another audience"),
    (InvalidIssuerError, "the token is of another issuer"),
    (InvalidSignatureError, "the token's signature is not the provider's"),
)
_MALFORMED: Final = "this is no token that can be read"


class OidcTokenVerifier(TokenVerifier):
    """Verifies access tokens of ``issuer`` for ``audience``, with the provider's ``keys``.

    Clocks may differ by ``leeway`` seconds. If ``clients`` has names, only tokens that were issued
    to one of them (claim ``azp`` or ``client_id``) hold. Tokens of more than ``most_bytes``
    characters are not looked at. With ``id_tokens``, it verifies ID tokens instead.
    """

    def __init__(
        self,
        keys: ProviderKeys,
        *,
        issuer: str,
        audience: str,
        clients: Collection[str],
        leeway: float,
        most_bytes: int,
        id_tokens: bool = False,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clients = frozenset(clients)
        self._leeway = leeway
        self._most_bytes = most_bytes
        # By the header, and by the claim `typ`, which Keycloak writes.
        self._types = _ID_TYPES if id_tokens else _TYPES
        self._kinds = {"id", *_ID_TYPES} if id_tokens else {"bearer", *_TYPES}
        self._unfit = "this is no ID token" if id_tokens else "this is no access token"

    async def verified(self, token: str) -> VerifiedToken:
        if len(token) > self._most_bytes:
            raise refused("the token is too long")
        algorithm, key_id, kind = _read_header(token)
        if not isinstance(kind, str) or kind.lower() not in self._types:
            raise refused(self._unfit)
        key = await self._keys.find(algorithm, key_id)
        if key is None:
            raise refused("the token is signed with a key that the provider does not have")
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
                options={"require": list(_REQUIRED), "enforce_minimum_key_length": True},
            )
        except PyJWTError as error:
            raise refused(reason_of(error)) from None
        check_names(token)
        return self._looked_at(claims)

    def _looked_at(self, claims: Mapping[str, Any]) -> VerifiedToken:
        """Return the token if its claims are what only the provider could have put there."""
        for name in _TIMES:
            value = claims.get(name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int | float)
            ):
                raise refused(f"the token's {name} is no number")
        # An ID token says to a client who logged in; a refresh token is for the provider.
        kind = claims.get("typ", "JWT")
        if not isinstance(kind, str) or kind.lower() not in self._kinds:
            raise refused(self._unfit)
        if "cnf" in claims:
            raise refused("the token is bound to a key or certificate of its client")
        if self._clients:
            client = claims.get("azp", claims.get("client_id"))
            if not isinstance(client, str) or client not in self._clients:
                raise refused("the token was issued to a client that may not call this service")
        try:
            until = datetime.fromtimestamp(claims["exp"], UTC) + timedelta(seconds=self._leeway)
        except (OverflowError, ValueError, OSError):
            raise refused("the token's exp is no time") from None
        return VerifiedToken(claims["sub"], claims, until)


def _read_header(token: str) -> tuple[str, str | None, object]:
    """Return the algorithm, the id of the key, and the type, which nobody has verified yet."""
    try:
        header = jwt.get_unverified_header(token)
    except (PyJWTError, UnicodeError):
        raise refused(_MALFORMED) from None
    algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise refused("the token must be signed with RS256, PS256 or ES256")
    if "crit" in header or "b64" in header:
        raise refused("the token has a header that this service does not understand")
    if not isinstance(key_id, str | None):
        raise refused(_MALFORMED)
    return algorithm, key_id, kind


def check_names(token: str) -> None:
    """Refuse a token that was read if it has a name twice: its readers differ over what it says.

    Raises ``NotAuthenticated``.
    """
    for part in token.split(".")[:2]:
        json.loads(base64url_decode(part), object_pairs_hook=_with_each_name_once)


def _with_each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise refused("the token has a name twice")
    return found


def reason_of(error: PyJWTError) -> str:
    """Return what is wrong, without a value of the token."""
    if isinstance(error, MissingRequiredClaimError):
        return f"the token has no claim {error.claim}"
    return next((text for kind, text in _REASONS if isinstance(error, kind)), _MALFORMED)


def refused(text: str) -> NotAuthenticated:
    """Return the error for a token that was presented and does not hold."""
    return NotAuthenticated(text, presented=True)
