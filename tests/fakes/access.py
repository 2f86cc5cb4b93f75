"""The fakes of the ports of access; they pass the same suites as the real adapters."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fakes.failing import Failing
from stroke.application.access.ports import (
    BegunSignIn,
    ClientToken,
    ClientTokenVerifier,
    EndedSignIn,
    KeyStore,
    SessionStore,
    SignInProvider,
    TokenLedger,
    TokenVerifier,
    VerifiedToken,
)
from stroke.domain.access import ApiKey, Session
from stroke.domain.errors import KeyNotFound, KeyTaken, NotAuthenticated, ProviderUnavailable


class FakeKeyStore(KeyStore, Failing):
    """Keeps keys in memory; ``looks`` counts how often they were read."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}
        self.looks = 0

    async def all(self) -> Sequence[ApiKey]:
        self.raise_if_failing()
        self.looks += 1
        return sorted(self._keys.values(), key=lambda key: (key.created_at, key.id))

    async def add(self, key: ApiKey) -> None:
        self.raise_if_failing()
        if key.id in self._keys:
            raise KeyTaken("there is one")
        self._keys[key.id] = key

    async def revoke(self, key_id: str, at: datetime) -> None:
        self.raise_if_failing()
        key = self._key(key_id)
        self._keys[key_id] = replace(key, revoked_at=key.revoked_at or at)

    async def replace(self, key_id: str, new: ApiKey, *, until: datetime) -> None:
        self.raise_if_failing()
        key = self._key(key_id)
        if key.revoked_at is not None or key.replaced_by is not None:
            raise KeyNotFound("was revoked or replaced")
        ends = until if key.expires_at is None else min(until, key.expires_at)
        self._keys[key_id] = replace(key, expires_at=ends, replaced_by=new.id)
        self._keys[new.id] = new

    def lose_all(self) -> None:
        """Be a database of before there were keys, as after an old backup was restored."""
        self._keys.clear()

    def _key(self, key_id: str) -> ApiKey:
        if key_id not in self._keys:
            raise KeyNotFound("there is no such key")
        return self._keys[key_id]


class FakeSessionStore(SessionStore, Failing):
    """Keeps sessions in memory; ``notes`` counts how often a use was noted."""

    def __init__(self) -> None:
        self.kept: dict[str, Session] = {}
        self.notes = 0

    async def add(self, session: Session) -> None:
        self.raise_if_failing()
        self.kept[session.id_hash] = session

    async def get(self, id_hash: str) -> Session | None:
        self.raise_if_failing()
        return self.kept.get(id_hash)

    async def note_use(self, id_hash: str, at: datetime) -> None:
        self.raise_if_failing()
        self.notes += 1
        found = self.kept.get(id_hash)
        if found is not None:
            self.kept[id_hash] = replace(found, used_at=max(found.used_at, at))

    async def remove(self, id_hash: str) -> None:
        self.raise_if_failing()
        self.kept.pop(id_hash, None)

    async def remove_ended(self, now: datetime) -> None:
        self.raise_if_failing()
        self.kept = {name: each for name, each in self.kept.items() if each.ends_at > now}


class FakeTokenVerifier(TokenVerifier, Failing):
    """Verifies the tokens that it issued itself; ``looks`` counts how often."""

    def __init__(self) -> None:
        self._issued: dict[str, dict[str, Any]] = {}
        self.looks = 0

    def issue(self, **changes: Any) -> str:
        """Return a token with these claims; None takes one away."""
        now = time.time()
        claims = {"iss": "us", "aud": "stroke", "sub": "user-1", "iat": now, "exp": now + 300}
        merged = {**claims, "site": "north", "roles": ["stroke-read"], **changes}
        token = f"fake.{len(self._issued)}.token"
        self._issued[token] = {name: value for name, value in merged.items() if value is not None}
        return token

    def go_away(self) -> None:
        """Be a provider that does not answer."""
        self.failing = ProviderUnavailable("away")

    async def verified(self, token: str) -> VerifiedToken:
        self.raise_if_failing()
        self.looks += 1
        claims, now = self._issued.get(token), time.time()
        if claims is None or not {"iss", "aud", "exp", "sub"} <= claims.keys():
            raise NotAuthenticated("no token of ours", presented=True)
        audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if claims["iss"] != "us" or "stroke" not in audiences or claims["exp"] <= now:
            raise NotAuthenticated("of another, for another, or expired", presented=True)
        if max(claims.get("nbf", 0), claims.get("iat", 0)) > now:
            raise NotAuthenticated("not valid yet", presented=True)
        return VerifiedToken(claims["sub"], claims, datetime.fromtimestamp(claims["exp"], UTC))


EHR = "https://ehr.example"
_TIMES = ("iat", "exp", "nbf")
_LONGEST, _LEEWAY = 600, 5


class FakeClientTokenVerifier(ClientTokenVerifier):
    """Verifies the tokens of one record system, ``EHR``, that it signed itself."""

    def __init__(self) -> None:
        self._signed: dict[str, dict[str, Any]] = {}

    def sign(self, **changes: Any) -> str:
        """Return a token with these claims; None takes one away, times are seconds from now."""
        claims = {
            "iss": EHR,
            "aud": "https://risk.example/cds-services/stroke-risk",
            "jti": f"token-{len(self._signed)}",
            "iat": 0,
            "exp": 300,
            **changes,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        now = int(time.time())
        token = f"fake.{len(self._signed)}.client"
        self._signed[token] = claims | {n: now + claims[n] for n in _TIMES if n in claims}
        return token

    def issuer_of(self, token: str) -> str | None:
        issuer = self._signed.get(token, {}).get("iss")
        return issuer if isinstance(issuer, str) else None

    async def verified(self, token: str, addresses: Collection[str]) -> ClientToken:
        claims, now = self._signed.get(token, {}), time.time()
        audiences = claims.get("aud", [])
        audiences = audiences if isinstance(audiences, list) else [audiences]
        token_id = claims.get("jti")
        if (
            not {"iss", "aud", "exp", "iat", "jti"} <= claims.keys()
            or self.issuer_of(token) != EHR
            or not any(form in audiences for each in addresses for form in (each, f"{each}/"))
            or not isinstance(token_id, str)
            or not 1 <= len(token_id) <= 255
            or not token_id.isprintable()
            or not max(claims["iat"], claims.get("nbf", 0)) - _LEEWAY <= now
            or not now < claims["exp"] + _LEEWAY
            or not 0 < claims["exp"] - claims["iat"] <= _LONGEST
        ):
            raise NotAuthenticated("no token of this system for this call", presented=True)
        until = datetime.fromtimestamp(claims["exp"] + 2 * _LEEWAY, UTC)
        return ClientToken(EHR, token_id, until)


class FakeTokenLedger(TokenLedger, Failing):
    """Remembers in memory."""

    def __init__(self) -> None:
        self._used: dict[str, datetime] = {}

    async def use(self, digest: str, *, until: datetime, now: datetime) -> bool:
        self.raise_if_failing()
        self._used = {each: end for each, end in self._used.items() if end >= now}
        if digest in self._used:
            return False
        self._used[digest] = until
        return True


class FakeSignInProvider(SignInProvider, Failing):
    """Signs in at itself: ``log_in`` does what a browser and its user do there."""

    ADDRESS = "https://provider.example"

    def __init__(self) -> None:
        self._begun: dict[str, tuple[str, str]] = {}
        self._codes: dict[str, dict[str, Any]] = {}

    def log_in(self, address: str, **user: Any) -> dict[str, str]:
        """Return what the browser brings back; ``user`` changes claims, None takes one away."""
        state, code = address.partition("?state=")[2], secrets.token_urlsafe()
        claims = {"iss": self.ADDRESS, "aud": "page", "sub": "user-1", "nonce": state}
        self._codes[code] = {**claims, "exp": time.time() + 300, "site": "north", **user}
        return {"code": code, "state": state, "iss": self.ADDRESS}

    def go_away(self) -> None:
        """Be a provider that does not answer."""
        self.failing = ProviderUnavailable("away")

    async def begin(self, wanted: str, back: str) -> BegunSignIn:
        self.raise_if_failing()
        state, kept = secrets.token_urlsafe(), secrets.token_urlsafe()
        self._begun[kept] = state, wanted
        return BegunSignIn(f"{self.ADDRESS}?state={state}", kept)

    async def finish(
        self, kept: str | None, answer: Mapping[str, str], session_id: str
    ) -> EndedSignIn:
        self.raise_if_failing()
        state, wanted = self._begun.get(kept or "", ("", ""))
        of_others = answer.get("iss") != self.ADDRESS or answer.get("state") != state
        if not state or of_others or "error" in answer:
            raise NotAuthenticated("an answer to another", presented=True)
        claims = self._codes.pop(answer.get("code", ""), {})
        named = claims.get("iss"), claims.get("aud"), claims.get("azp", "page")
        if (
            named != (self.ADDRESS, "page", "page")
            or claims.get("nonce") != state
            or (claims.get("exp") or 0) <= time.time()
            or claims.get("sub") is None
        ):
            raise NotAuthenticated("a token of another, for another, or expired", presented=True)
        until = datetime.fromtimestamp(claims["exp"], UTC)
        token = VerifiedToken(claims["sub"], claims, until)
        return EndedSignIn(token, wanted, session_id.encode())

    async def sign_out_address(self, sealed: bytes, session_id: str, back: str) -> str | None:
        self.raise_if_failing()
        hint = "&id_token_hint=x" if sealed == session_id.encode() else ""
        return f"{self.ADDRESS}?post_logout_redirect_uri={back}{hint}"
