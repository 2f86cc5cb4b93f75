"""Tokens of record systems (CDS Hooks), verified with PyJWT and keys of an allow-list."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import jwt
from jwt.exceptions import PyJWTError

from stroke.adapters.oidc.documents import Documents
from stroke.adapters.oidc.key_set import Fitting, KeySet, ProviderKeys
from stroke.adapters.oidc.verifier import check_names, reason_of, refused
from stroke.application.access.ports import ClientToken, ClientTokenVerifier
from stroke.domain.errors import ProviderUnavailable

# What CDS Hooks recommends, and the smaller curve. Neither `none` nor a shared secret exists here.
_FITTING: Final[Fitting] = {
    ("RSA", None): ("RS384",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-256"): ("ES256",),
}
_ALGORITHMS: Final = frozenset(name for names in _FITTING.values() for name in names)
_REQUIRED: Final = ("iss", "aud", "exp", "iat", "jti")
_TIMES: Final = ("exp", "iat", "nbf")
_LONGEST_ID: Final = 255


class ClientKeys(ProviderKeys):
    """The keys of the record system ``issuer``, from ``where``: a file, or a URL of the allow-list.

    What a token's own header names (``jku``) is never read.
    """

    _whose = "a record system's"

    def __init__(self, issuer: str, where: Path | str, documents: Documents, **times: Any) -> None:
        super().__init__(issuer, documents, **times)
        self._where = where

    def _published(self) -> KeySet:
        where = self._where
        document = _from_file(where) if isinstance(where, Path) else self._documents.read(where)
        keys = KeySet(document, _FITTING)
        if not keys:
            raise ProviderUnavailable("a record system has no key for ES384, RS384 or ES256")
        return keys


def _from_file(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ProviderUnavailable("a file with keys of a record system cannot be read")
    return found


class PyJwtClientTokenVerifier(ClientTokenVerifier):
    """Verifies tokens of the systems in ``keys``: by issuer, where each one's keys are.

    A token may live ``longest`` seconds at the most, and clocks may differ by ``leeway`` seconds.
    Tokens of more than ``most_bytes`` characters are not looked at. Keys are read again as
    ``ProviderKeys`` says.
    """

    def __init__(
        self,
        keys: Mapping[str, Path | str],
        documents: Documents,
        *,
        longest: float,
        leeway: float,
        max_age: float,
        grace: float,
        pause: float,
        most_bytes: int,
    ) -> None:
        self._keys = {
            issuer: ClientKeys(
                issuer,
                where,
                documents,
                clock=time.monotonic,
                max_age=max_age,
                grace=grace,
                pause=pause,
            )
            for issuer, where in keys.items()
        }
        self._longest = longest
        self._leeway = leeway
        self._most_bytes = most_bytes

    def issuer_of(self, token: str) -> str | None:
        if len(token) > self._most_bytes:
            return None
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except (PyJWTError, UnicodeError, ValueError, RecursionError):
            return None
        issuer = claims.get("iss")
        return issuer if isinstance(issuer, str) else None

    async def verified(self, token: str, addresses: Collection[str]) -> ClientToken:
        issuer = self.issuer_of(token)
        keys = self._keys.get(issuer or "")
        if issuer is None or keys is None:
            raise refused("the token is of another issuer")
        key = await keys.find(*_read_header(token))
        if key is None:
            raise refused("the token is signed with a key that its issuer does not have")
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=[form for each in addresses for form in (each, f"{each}/")],
                issuer=issuer,
                leeway=self._leeway,
                options={"require": list(_REQUIRED), "enforce_minimum_key_length": True},
            )
        except PyJWTError as error:
            raise refused(reason_of(error)) from None
        check_names(token)
        return self._looked_at(issuer, claims)

    def _looked_at(self, issuer: str, claims: Mapping[str, Any]) -> ClientToken:
        for name in _TIMES:
            value = claims.get(name, 0)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise refused(f"the token's {name} is no number")
        token_id = claims["jti"]
        if (
            not isinstance(token_id, str)
            or not 1 <= len(token_id) <= _LONGEST_ID
            or not token_id.isprintable()
        ):
            raise refused("the token's jti is no text of 1 to 255 printable characters")
        lives = claims["exp"] - claims["iat"]
        if not 0 < lives <= self._longest:
            raise refused("the token lives too long")
        try:
            # Twice: the issuer's clock may differ from ours, and those of our hosts, too.
            until = datetime.fromtimestamp(claims["exp"], UTC) + timedelta(seconds=2 * self._leeway)
        except (OverflowError, ValueError, OSError):
            raise refused("the token's exp is no time") from None
        return ClientToken(issuer, token_id, until)


def _read_header(token: str) -> tuple[str, str]:
    """Return the algorithm and the id of the key, which nobody has verified yet.

    All else in the header counts for nothing, above all the keys that it may hold or name.
    """
    try:
        header = jwt.get_unverified_header(token)
    except (PyJWTError, UnicodeError):
        raise refused("the token's header cannot be read") from None
    algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS:
        raise refused("the token must be signed with ES384, RS384 or ES256")
    if not isinstance(kind, str) or kind.lower() != "jwt":
        raise refused("the token is of another kind")
    if "crit" in header or "b64" in header:
        raise refused("the token has a header that this service does not understand")
    if not isinstance(key_id, str) or not key_id:
        raise refused("the token's header has no kid")
    return algorithm, key_id
