"""Callers who show a token of an OpenID provider: what its claims allow here, and for how long."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from stroke.application.access.ports import TokenVerifier, VerifiedToken
from stroke.domain.access import Principal, Scope, checked_site, is_loopback
from stroke.domain.errors import InvalidAccess, NotAuthenticated

# The audit trail keeps 100 characters of an actor, with the kind before the id.
LONGEST_SUBJECT: Final = 90
_SEGMENTS: Final = 3


def looks_like_token(text: str) -> bool:
    """Return whether ``text`` has the three parts of a signed JSON Web Token; no key has them."""
    return text.count(".") == _SEGMENTS - 1


def discovery_url(issuer: str) -> str:
    """Return where the provider with this issuer describes itself (OpenID Connect Discovery)."""
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"


def is_safe(url: str, *, insecure_http: bool) -> bool:
    """Return whether keys may be read from ``url``: by HTTPS, or from this machine.

    With ``insecure_http``, any address of HTTP is allowed.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if not host or parts.username is not None or parts.scheme not in ("https", "http"):
        return False
    return parts.scheme == "https" or insecure_http or host == "localhost" or is_loopback(host)


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """Which claims of a token say what its caller may do here, and for which site.

    A claim is given by its name, or by names with dots between them for one inside others:
    ``realm_access.roles``. ``roles`` has the scopes of each role. If ``sites`` is empty, the value
    of the claim ``site`` is the site; else only the values in ``sites`` stand for sites.
    """

    role_claims: Sequence[str]
    roles: Mapping[str, frozenset[Scope]]
    site_claim: str
    sites: Mapping[str, str]

    def principal(self, token: VerifiedToken) -> Principal:
        """Return whom ``token`` names, with the scopes of all of its roles.

        Without a role that is known, the caller has no scope. Without a claim that names one site
        it has none. Raises ``NotAuthenticated`` for a subject that cannot be written down.
        """
        scopes: set[Scope] = set()
        for claim in self.role_claims:
            for role in _texts(claim_of(token.claims, claim), split=True):
                scopes |= self.roles.get(role, frozenset())
        return Principal(
            "token", _id_of(token.subject), self._site(token.claims), frozenset(scopes)
        )

    def _site(self, claims: Mapping[str, Any]) -> str | None:
        values = set(_texts(claim_of(claims, self.site_claim), split=False))
        if self.sites:
            found = {self.sites[value] for value in values if value in self.sites}
        else:
            found = values
        if len(found) != 1:
            return None  # two sites are none: which of them would a row belong to?
        try:
            return checked_site(found.pop())
        except InvalidAccess:
            return None


class Tokens:
    """Says who calls by tokens that ``verifier`` has verified.

    A token that was verified is known for ``max_age`` seconds without looking again, and never
    longer than it lives. Only its SHA-256 is kept, of the ``most`` tokens that came last. ``clock``
    counts seconds.
    """

    def __init__(
        self,
        verifier: TokenVerifier,
        rules: ClaimRules,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        max_age: float,
        most: int = 10_000,
    ) -> None:
        self._verifier = verifier
        self._rules = rules
        self._now = now
        self._clock = clock
        self._max_age = max_age
        self._most = most
        self._known: dict[bytes, tuple[Principal, float, datetime]] = {}

    async def caller(self, token: str) -> Principal:
        """Return whom ``token`` names. Raises ``NotAuthenticated`` and ``ProviderUnavailable``."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest)
        if known is not None:
            principal, looked_until, until = known
            if self._clock() < looked_until and self._now() < until:
                return principal
            self._known.pop(digest, None)
        verified = await self._verifier.verified(token)
        principal = self._rules.principal(verified)
        if len(self._known) >= self._most:
            del self._known[next(iter(self._known))]  # the oldest
        self._known[digest] = (principal, self._clock() + self._max_age, verified.until)
        return principal


def claim_of(claims: Mapping[str, Any], name: str) -> Any:
    """Return the value of a claim, or None if it is not there.

    A dot leads into a claim. A claim whose own name has dots, such as a URL, is found, too, and
    comes first.
    """
    if name in claims:
        return claims[name]
    at = name.rfind(".")
    while at > 0:
        inner = claims.get(name[:at])
        if isinstance(inner, Mapping):
            found = claim_of(inner, name[at + 1 :])
            if found is not None:
                return found
        at = name.rfind(".", 0, at)
    return None


def _texts(value: Any, *, split: bool) -> Iterator[str]:
    """Give the texts of a claim: one text (its words if ``split``), or a list of texts."""
    if isinstance(value, str):
        yield from value.split() if split else [value]
    elif isinstance(value, list):
        yield from (each for each in value if isinstance(each, str))


def _id_of(subject: str) -> str:
    """Return the subject, or its SHA-256 if it is too long for the columns that keep it."""
    if not subject.strip() or not subject.isprintable():
        raise NotAuthenticated("the token's subject cannot be written down", presented=True)
    if len(subject) <= LONGEST_SUBJECT:
        return subject
    return f"sha256-{hashlib.sha256(subject.encode()).hexdigest()}"
