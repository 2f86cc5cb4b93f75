"""The provider's public keys: which ones count, for which algorithms, and how fresh they are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

from jwt import PyJWK
from jwt.exceptions import PyJWTError

from stroke.adapters.oidc.documents import Documents, described_at
from stroke.domain.errors import ProviderUnavailable

_log = logging.getLogger("stroke.oidc")
Fitting = Mapping[tuple[str, str | None], tuple[str, ...]]
"""The algorithms that a key may verify: by its type, and its curve."""

# No other algorithm exists here: neither `none`, nor one whose secret both sides know.
_FITTING: Final[Fitting] = {
    ("RSA", None): ("RS256", "PS256"),
    ("EC", "P-256"): ("ES256",),
}
ALGORITHMS: Final = frozenset(name for names in _FITTING.values() for name in names)
_LEAST_RSA_BITS: Final = 2048
# A larger one takes long to verify with; nobody has one.
_MOST_RSA_BITS: Final = 8192
_MOST_KEYS: Final = 100


class KeySet:
    """Keys by their id and algorithm."""

    def __init__(self, document: Mapping[str, Any], fitting: Fitting = _FITTING) -> None:
        """Take what counts of a JSON Web Key Set (RFC 7517); pass over all else."""
        self._keys: dict[tuple[str, str | None], list[PyJWK]] = {}
        listed = document.get("keys")
        for each in listed[:_MOST_KEYS] if isinstance(listed, list) else ():
            for key in _usable(each, fitting):
                self._keys.setdefault((key.algorithm_name, key.key_id), []).append(key)

    def find(self, algorithm: str, key_id: str | None) -> PyJWK | None:
        """Return the only key of this algorithm with this id, or None if there is not just one.

        Without an id, the only key of this algorithm.
        """
        if key_id is not None:
            found = self._keys.get((algorithm, key_id), [])
        else:
            found = [k for (name, _), keys in self._keys.items() if name == algorithm for k in keys]
        return found[0] if len(found) == 1 else None

    def __bool__(self) -> bool:
        return bool(self._keys)


def _usable(entry: Any, fitting: Fitting) -> Iterator[PyJWK]:
    """Give a key for each algorithm that it may verify."""
    if not isinstance(entry, dict) or "d" in entry:  # a private key that was published is none
        return
    uses = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(uses, list) or "verify" not in uses:
        return
    kind, curve, meant = entry.get("kty"), entry.get("crv"), entry.get("alg")
    key_id = entry.get("kid")
    if not isinstance(kind, str) or not isinstance(curve, str | None):
        return
    if not isinstance(key_id, str | None):
        return
    for name in fitting.get((kind, curve if kind == "EC" else None), ()):
        if meant not in (None, name):
            continue
        try:
            key = PyJWK({**entry, "alg": name}, name)
        except (PyJWTError, ValueError, TypeError, AttributeError):
            continue
        if kind == "EC" or _LEAST_RSA_BITS <= key.key.key_size <= _MOST_RSA_BITS:
            yield key


class ProviderKeys:
    """The keys of an issuer, read again before they are old, and when an id is not known.

    They are read when they are needed, and again in the background after ``max_age`` seconds.
    While the provider is away, what was read counts for ``grace`` seconds more. An id that is not
    known makes one more reading, ``pause`` seconds after the last one began. All who wait share
    one reading. ``clock`` counts seconds.
    """

    _whose = "the OpenID provider's"

    def __init__(
        self,
        issuer: str,
        documents: Documents,
        *,
        clock: Callable[[], float],
        max_age: float,
        grace: float,
        pause: float,
    ) -> None:
        self._issuer = issuer
        self._documents = documents
        self._clock = clock
        self._max_age = max_age
        self._grace = grace
        self._pause = pause
        self._keys: KeySet | None = None
        self._read_at = self._began_at = float("-inf")
        self._failure: ProviderUnavailable | None = None
        self._reading: asyncio.Task[None] | None = None

    async def find(self, algorithm: str, key_id: str | None) -> PyJWK | None:
        """Return the key, or None if the provider has none. Raises ``ProviderUnavailable``."""
        age = self._clock() - self._read_at
        if self._keys is None or age > self._max_age + self._grace:
            await self._fresh(needed=True)
        elif age > self._max_age and self._may_read():
            self._begin()  # in the background: these keys still count
        keys = self._keys
        found = None if keys is None else keys.find(algorithm, key_id)
        if found is None and self._may_read():
            await self._fresh(needed=False)
            found = None if self._keys is None else self._keys.find(algorithm, key_id)
        return found

    def _may_read(self) -> bool:
        running = self._reading is not None and not self._reading.done()
        return running or self._clock() - self._began_at >= self._pause

    def _begin(self) -> Awaitable[None]:
        if self._reading is None or self._reading.done():
            self._began_at = self._clock()
            self._reading = asyncio.create_task(self._read())
        return asyncio.shield(self._reading)

    async def _fresh(self, *, needed: bool) -> None:
        if self._may_read():
            await self._begin()
        if needed and self._failure is not None:
            raise self._failure

    async def _read(self) -> None:
        """Read the keys. A failure is kept, not raised: a task in the background has no caller."""
        try:
            keys = await asyncio.to_thread(self._published)
        except ProviderUnavailable as error:
            if self._failure is None:
                _log.warning("%s keys cannot be read: %s", self._whose, error)
            self._failure = error
            return
        self._keys, self._read_at, self._failure = keys, self._clock(), None

    def _published(self) -> KeySet:
        described = described_at(self._documents, self._issuer)
        where = described.get("jwks_uri")
        if not isinstance(where, str):
            raise ProviderUnavailable("the OpenID provider does not say where its keys are")
        keys = KeySet(self._documents.read(where))
        if not keys:
            raise ProviderUnavailable("the OpenID provider has no key for RS256, PS256 or ES256")
        return keys
