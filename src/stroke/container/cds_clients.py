"""Composition of what takes tokens of record systems: the file that lists them, and their keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from stroke.application.access.clients import CdsClients, Client
from stroke.application.access.ports import TokenLedger
from stroke.application.access.tokens import is_safe
from stroke.config import ClinicalSettings, OidcSettings
from stroke.domain.access import checked_site
from stroke.domain.errors import InvalidAccess, InvalidSetting

_NAME: Final = "STROKE_CLINICAL_CLIENTS"


def cds_clients(
    settings: ClinicalSettings,
    oidc: OidcSettings,
    ledger: TokenLedger,
    now: Callable[[], datetime],
) -> CdsClients | None:
    """Return what takes tokens of record systems; None where none is listed.

    Keys and tokens are read within the limits of ``oidc``, also where no OpenID provider is set.
    Raises ``InvalidSetting`` for a file that is not what it should be.
    """
    if settings.clients is None:
        return None
    # PyJWT is slow to import, and not everybody has such a system.
    from stroke.adapters.oidc.clients import PyJwtClientTokenVerifier  # noqa: PLC0415
    from stroke.adapters.oidc.documents import Documents  # noqa: PLC0415

    clients = read_clients(settings.clients)
    verifier = PyJwtClientTokenVerifier(
        {issuer: client.keys for issuer, client in clients.items()},
        Documents(
            seconds=oidc.timeout_seconds, most_bytes=oidc.max_document_bytes, insecure_http=False
        ),
        longest=settings.token_seconds,
        leeway=oidc.leeway_seconds,
        max_age=oidc.keys_seconds,
        grace=oidc.grace_seconds,
        pause=oidc.pause_seconds,
        most_bytes=oidc.max_token_bytes,
    )
    return CdsClients(clients, verifier, ledger, now=now)


def read_clients(path: Path) -> dict[str, Client]:
    """Return the record systems that a file lists, by issuer. Raises ``InvalidSetting``."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        raise InvalidSetting(f"{_NAME}: {path} cannot be read as JSON") from None
    listed = document.get("clients") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not listed:
        raise InvalidSetting(f"{_NAME}: {path} has no list 'clients'")
    found: dict[str, Client] = {}
    for at, each in enumerate(listed):
        try:
            client = _client(each, path.parent)
        except (InvalidAccess, ValueError) as error:
            raise InvalidSetting(f"{_NAME}: {path}, client {at}: {error}") from None
        if client.issuer in found:
            raise InvalidSetting(f"{_NAME}: {path} has an issuer twice")
        found[client.issuer] = client
    return found


def _client(listed: Any, folder: Path) -> Client:
    if not isinstance(listed, dict) or set(listed) != {"issuer", "keys", "site"}:
        raise ValueError("must have issuer, keys and site, and nothing else")
    issuer, keys, site = listed["issuer"], listed["keys"], listed["site"]
    if not all(isinstance(text, str) and text for text in (issuer, keys, site)):
        raise ValueError("issuer, keys and site must be texts")
    if "://" not in keys:
        if not (folder / keys).is_file():
            raise ValueError("keys name a file that is not there")
        return Client(issuer, folder / keys, checked_site(site))
    if not is_safe(keys, insecure_http=False):
        raise ValueError("keys must be a file, or an address of HTTPS")
    return Client(issuer, keys, checked_site(site))
