"""What the use cases of access call."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
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


@dataclass(frozen=True, slots=True)
class BegunSignIn:
    """A browser's way to the OpenID provider: its ``address``.

    ``kept`` is a text that the browser keeps in a cookie until it comes back.
    """

    address: str
    kept: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class EndedSignIn:
    """Who came back from the OpenID provider, as the ID token says.

    ``wanted`` is the path that the browser wanted when it left. ``sealed`` is what the provider
    needs to hear of a sign-out; only the holder of the session's id can read it.
    """

    token: VerifiedToken
    wanted: str
    sealed: bytes = field(repr=False)


class SignInProvider(Protocol):
    """The OpenID provider where users of browsers sign in."""

    @abstractmethod
    async def begin(self, wanted: str, back: str) -> BegunSignIn:
        """Return the way to the provider; it leads back to ``back``, an address of this service.

        Raises ``ProviderUnavailable``.
        """

    @abstractmethod
    async def finish(
        self, kept: str | None, answer: Mapping[str, str], session_id: str
    ) -> EndedSignIn:
        """Return who signed in, by the parameters that the provider gave the browser for us.

        ``kept`` is what ``begin`` had the browser keep, and ``session_id`` the id of the session
        that will begin. An answer holds once. Raises ``ProviderUnavailable``, and
        ``NotAuthenticated`` where this browser did not begin the sign-in, or too long ago, and
        where the answer or its token does not hold (the text says why, and quotes nothing).
        """

    @abstractmethod
    async def sign_out_address(self, sealed: bytes, session_id: str, back: str) -> str | None:
        """Return where the browser signs out at the provider, and is then led to ``back``.

        None if the provider has no such address. Raises ``ProviderUnavailable``.
        """


class TokenVerifier(Protocol):
    """Reads what a token says, if the OpenID provider signed it for this service."""

    @abstractmethod
    async def verified(self, token: str) -> VerifiedToken:
        """Return what ``token`` says.

        Raises ``NotAuthenticated`` for a token that does not hold (its text says why, and quotes
        nothing), and ``ProviderUnavailable`` when the provider's keys cannot be read.
        """


@dataclass(frozen=True, slots=True)
class ClientToken:
    """What a record system's token says: who signed it, which one it is, and until when it holds.

    ``until`` is aware: no process of the service takes the token after it, whatever its clock says
    within the leeway.
    """

    issuer: str
    token_id: str = field(repr=False)
    until: datetime


class ClientTokenVerifier(Protocol):
    """Reads what the token of a record system says, if that system signed it for this service."""

    @abstractmethod
    def issuer_of(self, token: str) -> str | None:
        """Return the issuer that a token names, which nobody has verified; None for no token."""

    @abstractmethod
    async def verified(self, token: str, addresses: Collection[str]) -> ClientToken:
        """Return what ``token`` says, if it is for one of ``addresses``.

        Raises ``NotAuthenticated`` for a token that does not hold (its text says why, and quotes
        nothing), and ``ProviderUnavailable`` when the system's keys cannot be read.
        """


class TokenLedger(Protocol):
    """Remembers which tokens were used, for all processes and hosts of one service.

    Calls may raise ``StoreUnavailable``.
    """

    @abstractmethod
    async def use(self, digest: str, *, until: datetime, now: datetime) -> bool:
        """Remember a token until it ends; return whether it was not used before.

        ``digest`` is the SHA-256 of what is one token's own, in hexadecimal digits.
        """
