"""API keys: how they look, and making, listing, revoking and replacing them.

A key is ``stroke_ID_SECRET``. The secret has 256 random bits. One round of SHA-256 keeps it well: a
slow hash protects what can be guessed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from stroke.application.access.ports import KeyStore
from stroke.domain.access import ApiKey, checked_name, checked_scopes, checked_site
from stroke.domain.errors import InvalidAccess, KeyNotFound, KeyTaken, Violation

_KEY: Final = re.compile(r"stroke_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
# Whole, or cut short where it was copied: the id is what counts.
_AS_PASTED: Final = re.compile(r"\s*stroke_([0-9a-f]{16})(_\S*)?\s*")
_ID_BYTES: Final = 8
_SECRET_BYTES: Final = 32


Around = Callable[[Sequence[str]], AbstractAsyncContextManager[None]]
"""Encloses a change of the keys with these ids: it is written down before it, and after it.

What it raises at its beginning comes before the change.
"""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. Its ``text``, with the secret, exists nowhere else."""

    key: ApiKey
    text: str = field(repr=False)


def parsed(text: str) -> tuple[str, str] | None:
    """Return the id and the secret of a key, or None if ``text`` is none."""
    found = _KEY.fullmatch(text)
    return None if found is None else (found[1], found[2])


def id_or_name(text: str) -> str:
    """Return the id of a key that was given whole; any other text as it is."""
    found = _AS_PASTED.fullmatch(text)
    return text if found is None else found[1]


def hashed(secret: str) -> str:
    """Return what is kept of a secret: SHA-256, in 64 hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def digest(text: str) -> bytes:
    """Return what a process knows the text of a key by: SHA-256, in 32 bytes."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def matches(secret: str, secret_hash: str) -> bool:
    """Return whether the secret has this hash; how long it takes says nothing of either."""
    return hmac.compare_digest(hashed(secret), secret_hash)


def _alone(_: Sequence[str]) -> AbstractAsyncContextManager[None]:
    return nullcontext()


class KeyService:
    """What an operator does with keys. Every call may raise ``StoreUnavailable``."""

    def __init__(self, store: KeyStore, *, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def create(
        self,
        *,
        name: str,
        site: str,
        scopes: Iterable[str],
        lifetime: timedelta | None = None,
        around: Around = _alone,
    ) -> NewKey:
        """Make a key that ends after ``lifetime``, or never.

        ``around`` gets its id. Raises ``InvalidAccess`` for a name, site, scope or lifetime that no
        key can have.
        """
        key, text = self._made(
            name=checked_name(name),
            site=checked_site(site),
            scopes=checked_scopes(scopes),
            lifetime=lifetime,
        )
        async with around([key.id]):
            await self._store.add(key)
        return NewKey(key, text)

    async def adopt(
        self, *, text: str, name: str, site: str, scopes: Iterable[str], around: Around = _alone
    ) -> ApiKey | None:
        """Store a key that was made elsewhere; return it, or None if it was stored before.

        A stored key stays as it is: one that was revoked does not come back. Two processes may
        adopt one key at the same time. ``around`` gets the id of a key that is to be stored. Raises
        ``InvalidAccess`` if ``text`` is no key, if its id is another key's, or for a name, site or
        scope that no key can have.
        """
        parts = parsed(text)
        if parts is None:
            reason = "must be stroke_, 16 hexadecimal digits, _, and 43 of A-Z a-z 0-9 _ -"
            raise InvalidAccess((Violation("key", reason),))
        key = ApiKey(
            id=parts[0],
            name=checked_name(name),
            site=checked_site(site),
            scopes=checked_scopes(scopes),
            secret_hash=hashed(parts[1]),
            created_at=self._now(),
        )
        if await self._is_stored(key):
            return None
        try:
            async with around([key.id]):
                await self._store.add(key)
        except KeyTaken:
            # Another process has just stored it, or another key of this id.
            await self._is_stored(key)
            return None
        return key

    async def _is_stored(self, key: ApiKey) -> bool:
        for stored in await self._store.all():
            if stored.id == key.id:
                if not hmac.compare_digest(stored.secret_hash, key.secret_hash):
                    reason = "has the id of another key: make a new one"
                    raise InvalidAccess((Violation("key", reason),))
                return True
        return False

    async def all(self) -> Sequence[ApiKey]:
        """Return all keys, the oldest first: also those that were revoked or have expired."""
        return await self._store.all()

    async def revoke(self, which: str, *, around: Around = _alone) -> list[ApiKey]:
        """Take back the key with the id ``which``, or all keys in force of that name.

        A whole key counts as its id. ``around`` gets the ids. A key that was revoked before stays
        as it is. Raises ``KeyNotFound``.
        """
        now, wanted = self._now(), id_or_name(which)
        found = [
            key
            for key in await self._store.all()
            if key.id == wanted or (key.name == wanted and key.in_force(now))
        ]
        if not found:
            # Never what was given: it may be a key with a slip in it.
            raise KeyNotFound("no key in force has this id or name: see `stroke keys list`")
        async with around([key.id for key in found]):
            for key in found:
                await self._store.revoke(key.id, now)
        return [replace(key, revoked_at=key.revoked_at or now) for key in found]

    async def rotate(
        self,
        which: str,
        *,
        overlap: timedelta,
        lifetime: timedelta | None = None,
        around: Around = _alone,
    ) -> tuple[NewKey, ApiKey]:
        """Make a key with the same name, site and scopes; the former one ends after ``overlap``.

        ``which`` is the id of a key in force, or the name of one that no key has replaced; a whole
        key counts as its id. Without a ``lifetime`` the new key lives as long as the former one was
        to. ``around`` gets the id of the former one. Returns the new key, and the former one as it
        is now. Raises ``KeyNotFound`` and ``InvalidAccess``.
        """
        now = self._now()
        former = self._one(await self._store.all(), id_or_name(which), now)
        if lifetime is None and former.expires_at is not None:
            lifetime = former.expires_at - former.created_at
        key, text = self._made(
            name=former.name, site=former.site, scopes=former.scopes, lifetime=lifetime
        )
        until = _later(now, overlap, "overlap", least=timedelta(0))
        async with around([former.id]):
            await self._store.replace(former.id, key, until=until)
        ends = until if former.expires_at is None else min(until, former.expires_at)
        return NewKey(key, text), replace(former, expires_at=ends, replaced_by=key.id)

    def _one(self, keys: Sequence[ApiKey], which: str, now: datetime) -> ApiKey:
        usable = [key for key in keys if key.in_force(now) and key.replaced_by is None]
        named = [key for key in usable if key.id == which]
        named = named or [key for key in usable if key.name == which]
        if len(named) > 1:
            ids = ", ".join(key.id for key in named)
            raise KeyNotFound(f"{len(named)} keys have this name: give one of their ids, {ids}")
        if not named:
            raise KeyNotFound(
                "no key in force that was not replaced has this id or name: see `stroke keys list`"
            )
        return named[0]

    def _made(
        self, *, name: str, site: str, scopes: Iterable[str], lifetime: timedelta | None
    ) -> tuple[ApiKey, str]:
        now = self._now()
        key_id = secrets.token_hex(_ID_BYTES)
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        key = ApiKey(
            id=key_id,
            name=name,
            site=site,
            scopes=checked_scopes(scopes),
            secret_hash=hashed(secret),
            created_at=now,
            expires_at=None
            if lifetime is None
            else _later(now, lifetime, "expires", least=timedelta(microseconds=1)),
        )
        return key, f"stroke_{key_id}_{secret}"


def _later(now: datetime, by: timedelta, what: str, *, least: timedelta) -> datetime:
    if by < least:
        raise InvalidAccess((Violation(what, "must be a time to come"),))
    try:
        return now + by
    except OverflowError:
        raise InvalidAccess((Violation(what, "is after the year 9999"),)) from None
