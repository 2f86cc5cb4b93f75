"""Record systems that sign a token for each call: a token holds once, for one address."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from stroke.application.access.ports import ClientTokenVerifier, TokenLedger
from stroke.application.access.tokens import LONGEST_SUBJECT, looks_like_token
from stroke.domain.access import Principal, Scope
from stroke.domain.errors import NotAuthenticated


@dataclass(frozen=True, slots=True)
class Client:
    """A record system that may call: its issuer, where its keys are, and its site.

    ``keys`` is a file with a JSON Web Key Set, or the URL of one.
    """

    issuer: str
    keys: Path | str
    site: str


_SCOPES: Final = frozenset({Scope.PREDICT})


class CdsClients:
    """Says which record system signed a token for the address that was called.

    Such a system may do what the hooks need, the scope ``predict``, and nothing else.
    """

    def __init__(
        self,
        clients: Mapping[str, Client],
        verifier: ClientTokenVerifier,
        ledger: TokenLedger,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._clients = clients
        self._verifier = verifier
        self._ledger = ledger
        self._now = now

    def knows(self, credential: str) -> bool:
        """Return whether a credential names one of these systems as its issuer; nothing is proved.

        All others are keys, or tokens of the OpenID provider.
        """
        if not looks_like_token(credential):
            return False
        return self._verifier.issuer_of(credential) in self._clients

    async def caller(self, token: str, addresses: Collection[str]) -> Principal:
        """Return who signed ``token`` for one of ``addresses``. The token does not hold again.

        Raises ``NotAuthenticated``, ``ProviderUnavailable`` when keys cannot be read, and
        ``StoreUnavailable``.
        """
        verified = await self._verifier.verified(token, addresses)
        digest = hashlib.sha256(f"{verified.issuer}\0{verified.token_id}".encode()).hexdigest()
        if not await self._ledger.use(digest, until=verified.until, now=self._now()):
            raise NotAuthenticated("the token was used before", presented=True)
        client = self._clients[verified.issuer]
        return Principal("token", _id_of(client.issuer), client.site, _SCOPES)


def _id_of(issuer: str) -> str:
    if len(issuer) <= LONGEST_SUBJECT:
        return issuer
    return f"sha256-{hashlib.sha256(issuer.encode()).hexdigest()}"
