"""Who calls, for which site, and what a caller may do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import Final, Literal

from stroke.domain.errors import InvalidAccess, ScopeMissing, SiteMissing, Violation

LONGEST_NAME: Final = 100
LONGEST_SITE: Final = 64
_SITE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Scope(StrEnum):
    """What a caller may be allowed to do."""

    PREDICT = "predict"
    READ = "read"
    ERASE = "erase"
    OUTCOMES = "outcomes"
    MODELS = "models"
    METRICS = "metrics"
    AUDIT = "audit"
    ADMIN = "admin"
    ALL_SITES = "all-sites"


EVERYTHING: Final = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller: who it is, the site that it belongs to, and its scopes.

    ``id`` is unique among the callers of one ``kind``: the id of a key, or the subject of a token.
    The kind ``open`` is anybody, where the service asks nobody for a key; it has no site.
    """

    kind: Literal["key", "token", "open"]
    id: str
    site: str | None
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Return whether this caller has ``scope``.

        ``admin`` includes each of the others except ``all-sites``.
        """
        return scope in self.scopes or (Scope.ADMIN in self.scopes and scope is not Scope.ALL_SITES)

    @property
    def only_site(self) -> str | None:
        """The site whose rows this caller may see and change; None if it may those of all.

        A caller that has no site, and not all of them, has no row: no site is called "".
        """
        return None if self.kind == "open" or Scope.ALL_SITES in self.scopes else self.site or ""

    @property
    def name(self) -> str | None:
        """What rows keep of this caller: its kind and its id, no person's name; None of anybody."""
        return None if self.kind == "open" else f"{self.kind}:{self.id}"

    def require(self, scope: Scope) -> None:
        """Raise ``ScopeMissing`` if this caller lacks ``scope``, ``SiteMissing`` if it has no site.

        A caller without a site may call only if it has the scope ``all-sites``.
        """
        if not self.may(scope):
            raise ScopeMissing(scope)
        if self.only_site == "":
            raise SiteMissing


ANYBODY: Final = Principal("open", "anybody", None, EVERYTHING)
"""The caller where the service asks nobody for a key."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key: everything but its secret, of which ``secret_hash`` is kept.

    Times are aware. ``revoked_at`` is when it was taken back, ``replaced_by`` the id of the key
    that a rotation made in its place.
    """

    id: str
    name: str
    site: str
    scopes: frozenset[Scope]
    secret_hash: str = field(repr=False)
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    replaced_by: str | None = None

    def state(self, now: datetime) -> Literal["in force", "expired", "revoked"]:
        """Return whether a caller may use this key at ``now``, or why not."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "in force"

    def in_force(self, now: datetime) -> bool:
        """Return whether a caller may use this key at ``now``."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Session:
    """What is kept of a browser that has signed in. Its id is not: ``id_hash`` is its SHA-256.

    ``caller`` is who signed in, with what it might do then. Times are aware. ``sealed`` is what
    only the holder of the id can read, such as what its provider needs to hear of a sign-out.
    """

    id_hash: str = field(repr=False)
    caller: Principal
    begun_at: datetime
    used_at: datetime
    ends_at: datetime
    sealed: bytes | None = field(default=None, repr=False)

    def in_force(self, now: datetime, idle: timedelta) -> bool:
        """Return whether it holds at ``now``, if it ends once it was not used for ``idle``."""
        return now < self.ends_at and now - self.used_at < idle


def checked_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes with these names. Raises ``InvalidAccess`` for another name, or none."""
    wanted = [name.strip() for name in names if name.strip()]
    known = {scope.value for scope in Scope}
    if not wanted or not known.issuperset(wanted):
        raise InvalidAccess((Violation("scope", f"must be one or more of {', '.join(Scope)}"),))
    return frozenset(Scope(name) for name in wanted)


def checked_site(site: str) -> str:
    """Return ``site``. Raises ``InvalidAccess`` if a site cannot be called so."""
    if not _SITE.fullmatch(site) or len(site) > LONGEST_SITE:
        reason = (
            f"must have 1 to {LONGEST_SITE} letters of A to Z, digits, dots, hyphens and "
            "underscores, and begin with a letter or digit"
        )
        raise InvalidAccess((Violation("site", reason),))
    return site


def checked_name(name: str) -> str:
    """Return ``name`` without blanks around it. Raises ``InvalidAccess`` for no name of a key."""
    name = name.strip()
    if not (name.isprintable() and 1 <= len(name) <= LONGEST_NAME):
        reason = f"must have 1 to {LONGEST_NAME} printable characters"
        raise InvalidAccess((Violation("name", reason),))
    return name


# Each request asks for the same few addresses, and reading one takes two microseconds.
@lru_cache(maxsize=256)
def is_loopback(address: str) -> bool:
    """Return whether only this machine reaches an IP address; False for what is no address."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
