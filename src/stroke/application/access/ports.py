"""What the use cases of access call."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from stroke.domain.access import ApiKey, Session


class KeyStore(Protocol):
    """Keeps API keys. Every call may raise ``StoreUnavailable``.

    A key is never forgotten: one that was revoked, or has expired, stays as a record.
    """

    @abstractmethod
    async def all(self) -> Sequence[ApiKey]:
        """Return every key, the oldest first."""

    @abstractmethod
    async def add(self, key: ApiKey) -> None:
        """Keep a new key. Raises ``KeyTaken`` when there is one with its id, which stays."""

    @abstractmethod
    async def revoke(self, key_id: str, at: datetime) -> None:
        """Note that the key was taken back ``at`` that time; an earlier note stays.

        Raises ``KeyNotFound``.
        """

    @abstractmethod
    async def replace(self, key_id: str, new: ApiKey, *, until: datetime) -> None:
        """Keep ``new`` in place of a key, which ends at ``until`` unless it ends before.

        Both in one step, or neither. Raises ``KeyNotFound`` when the key is not there, was revoked,
        or has been replaced.
        """


class SessionStore(Protocol):
    """Keeps the sessions of browsers for all processes. Every call may raise ``StoreUnavailable``.

    A session is found by the hash of its id, exactly as it was kept.
    """

    @abstractmethod
    async def add(self, session: Session) -> None:
        """Keep a new session."""

    @abstractmethod
    async def get(self, id_hash: str) -> Session | None:
        """Return the session with this hash, or None."""

    @abstractmethod
    async def note_use(self, id_hash: str, at: datetime) -> None:
        """Note that the session was used ``at`` that time; a later note stays.

        A session that is not there (any more) does not come to be.
        """

    @abstractmethod
    async def remove(self, id_hash: str) -> None:
        """Forget a session, if it is there."""

    @abstractmethod
    async def remove_ended(self, now: datetime) -> None:
        """Forget the sessions whose ``ends_at`` is not after ``now``."""


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a token says that the OpenID provider signed for this service.

    ``subject`` is whom it names. ``claims`` has all claims, as JSON has them. ``until`` (aware) is
    when the token ends, the leeway for clocks included.
    """

    subject: str
    claims: Mapping[str, Any] = field(repr=False)
    until: datetime


class TokenVerifier(Protocol):
    """Tells what a token says, if the OpenID provider signed it for this service."""

    @abstractmethod
    async def verified(self, token: str) -> VerifiedToken:
        """Return what ``token`` says.

        Raises ``NotAuthenticated`` for a token that does not hold (its text says why, and quotes
        nothing), and ``ProviderUnavailable`` when the provider's keys cannot be read.
        """
