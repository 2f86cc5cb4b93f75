"""Who a request comes from: a key's owner, a token's subject, or anybody while there is neither."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from stroke.application.access.keys import digest, matches, parsed
from stroke.application.access.ports import KeyStore
from stroke.application.access.tokens import Tokens, looks_like_token
from stroke.domain.access import ANYBODY, ApiKey, Principal
from stroke.domain.errors import NotAuthenticated

_UNKNOWN: Final = "these credentials are not valid (any more)"
# What a secret is compared with when no key has its id.
_NO_HASH: Final = "0" * 64
_MOST_STRANGERS: Final = 10_000
_NOBODY: Final = (None, None)


class Callers:
    """Says who calls, by keys that are read from ``store`` again after ``max_age`` seconds.

    A request costs no query but the first after that time. A key that was revoked ends after
    ``max_age`` seconds at the latest, and one that expires at its very time. Credentials that are
    not known make a new look at the store, ``pause`` seconds after the one before: so a new key is
    known at once, and whoever tries keys out costs the database little. ``clock`` counts seconds.

    With ``tokens``, a JSON Web Token is verified by them, whatever keys there are. Without them,
    while the store has no key at all, not even one that ended, everybody may call, unless the
    service is ``closed``: something else names callers, too.
    """

    def __init__(
        self,
        store: KeyStore,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
        max_age: float,
        pause: float,
        tokens: Tokens | None = None,
        closed: bool = False,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._closed = closed or tokens is not None
        self._now = now
        self._clock = clock
        self._sleep = sleep
        self._max_age = max_age
        self._pause = pause
        self._keys: dict[str, tuple[ApiKey, Principal]] = {}
        # Texts whose keys were found in force since the store was read: when they end, and whose.
        self._proven: dict[bytes, tuple[datetime | None, Principal]] = {}
        self._read_at = self._began_at = float("-inf")
        self._look: asyncio.Task[None] | None = None
        self._strangers: set[str] = set()

    async def is_open(self) -> bool:
        """Return whether everybody may call. Raises ``StoreUnavailable``."""
        await self._have_read_since(self._clock() - self._max_age)
        return self.was_open

    @property
    def was_open(self) -> bool:
        """Whether everybody might call when the store was last looked at."""
        return not self._closed and not self._keys

    @property
    def takes_tokens(self) -> bool:
        """Whether tokens name callers, besides keys."""
        return self._closed

    async def caller(self, credentials: Sequence[str]) -> Principal:
        """Return who sends ``credentials``: all that one request has, none or several.

        Raises ``NotAuthenticated``, ``StoreUnavailable`` when the keys cannot be read, and
        ``ProviderUnavailable`` when those of the OpenID provider cannot.
        """
        asked_at = self._clock()
        if len(credentials) == 1 and asked_at - self._read_at <= self._max_age:
            known = self._known(credentials[0])
            if known is not None:
                return known
        return await self._looked_up(credentials, asked_at)

    async def _looked_up(self, credentials: Sequence[str], asked_at: float) -> Principal:
        sent = set(credentials)
        if self._tokens is not None and len(sent) == 1 and looks_like_token(credentials[0]):
            return await self._tokens.caller(credentials[0])
        if asked_at - self._read_at > self._max_age:
            await self._have_read_since(asked_at - self._max_age)
        parts = parsed(credentials[0]) if len(sent) == 1 else None
        if parts is not None:
            await self._look_for(parts[0], asked_at)
        if self.was_open:
            return ANYBODY
        if not sent:
            needed = "an API key or a token" if self.takes_tokens else "an API key"
            raise NotAuthenticated(f"this needs {needed}", presented=False)
        if len(sent) > 1:
            raise NotAuthenticated("two different keys were sent: send one", presented=True)
        if parts is None:
            raise NotAuthenticated(_UNKNOWN, presented=True)
        key_id, secret = parts
        key, principal = self._keys.get(key_id, (None, None))
        right = matches(secret, key.secret_hash if key else _NO_HASH)
        if key is None or principal is None or not right or not key.in_force(self._now()):
            raise NotAuthenticated(_UNKNOWN, presented=True)
        self._proven[digest(credentials[0])] = (key.expires_at, principal)
        return principal

    def _known(self, text: str) -> Principal | None:
        """Return whose key ``text`` is, if it was proven since the keys were read."""
        # Found by its digest: how long that takes says nothing of any key.
        ends_at, principal = self._proven.get(digest(text), _NOBODY)
        return principal if ends_at is None or self._now() < ends_at else None

    async def by_now(self, begun_as: Principal) -> Principal:
        """Return the caller that began something as ``begun_as``, with what it may do by now.

        Raises ``NotAuthenticated`` when its key is not in force any more, or when tokens are not
        taken any more, and ``StoreUnavailable``.
        """
        if begun_as.kind == "token" and self._tokens is not None:
            return begun_as
        await self._have_read_since(self._clock() - self._max_age)
        key, principal = self._keys.get(begun_as.id, (None, None))
        if (
            begun_as.kind != "key"
            or key is None
            or principal is None
            or not key.in_force(self._now())
        ):
            raise NotAuthenticated(_UNKNOWN, presented=True)
        return principal

    async def _look_for(self, key_id: str, asked_at: float) -> None:
        """Read the keys again if this one may have been made since, and only once for each id.

        Also while everybody may call: who has just made the first key must be known by it.
        """
        if key_id in self._keys or key_id in self._strangers:
            return
        await self._have_read_since(asked_at)
        if key_id not in self._keys:
            if len(self._strangers) >= _MOST_STRANGERS:
                self._strangers.clear()
            self._strangers.add(key_id)

    async def _have_read_since(self, instant: float) -> None:
        """Return once a look at the store began after ``instant``."""
        while self._read_at <= instant:
            if self._look is None or self._look.done():
                # One look for all who wait: its result is theirs, and so is its error.
                self._look = asyncio.create_task(self._read())
            await asyncio.shield(self._look)

    async def _read(self) -> None:
        if (wait := self._began_at + self._pause - self._clock()) > 0:
            await self._sleep(wait)
        self._began_at = began = self._clock()
        keys = await self._store.all()
        self._keys = {key.id: (key, Principal("key", key.id, key.site, key.scopes)) for key in keys}
        self._proven.clear()
        self._read_at = began
