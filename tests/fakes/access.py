"""The fake of the port of keys; it passes the same suite as the real adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from fakes.failing import Failing
from stroke.application.access.ports import KeyStore
from stroke.domain.access import ApiKey
from stroke.domain.errors import KeyNotFound


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

    def _key(self, key_id: str) -> ApiKey:
        if key_id not in self._keys:
            raise KeyNotFound("there is no such key")
        return self._keys[key_id]
