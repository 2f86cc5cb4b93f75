"""Composition of what takes an OpenID provider's tokens; each part is None where none is set."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from stroke.application.access.browser_sign_in import BrowserSignIn
from stroke.application.access.ports import SignInProvider, TokenVerifier
from stroke.application.access.sessions import Sessions
from stroke.application.access.tokens import Tokens
from stroke.config import OidcSettings, Settings

if TYPE_CHECKING:
    from stroke.adapters.oidc.documents import Documents
    from stroke.adapters.oidc.key_set import ProviderKeys


def documents_of(oidc: OidcSettings) -> Documents | None:
    """Return what fetches the provider's documents."""
    if oidc.issuer is None:
        return None
    # It is slow to import, as PyJWT and Authlib are, and not everybody has a provider.
    from stroke.adapters.oidc.documents import Documents  # noqa: PLC0415

    return Documents(
        seconds=oidc.timeout_seconds,
        most_bytes=oidc.max_document_bytes,
        insecure_http=oidc.insecure_http,
    )


def provider_keys_of(oidc: OidcSettings, documents: Documents | None) -> ProviderKeys | None:
    """Return the provider's keys, which are fetched again after a while."""
    if oidc.issuer is None or documents is None:
        return None
    from stroke.adapters.oidc.key_set import ProviderKeys  # noqa: PLC0415

    return ProviderKeys(
        oidc.issuer,
        documents,
        clock=time.monotonic,
        max_age=oidc.keys_seconds,
        grace=oidc.grace_seconds,
        pause=oidc.pause_seconds,
    )


def token_verifier_of(oidc: OidcSettings, keys: ProviderKeys | None) -> TokenVerifier | None:
    """Return what verifies access tokens for this service; it needs an audience, too."""
    if oidc.issuer is None or oidc.audience is None or keys is None:
        return None
    from stroke.adapters.oidc.verifier import OidcTokenVerifier  # noqa: PLC0415

    return OidcTokenVerifier(
        keys,
        issuer=oidc.issuer,
        audience=oidc.audience,
        clients=oidc.clients,
        leeway=oidc.leeway_seconds,
        most_bytes=oidc.max_token_bytes,
    )


def sign_in_provider_of(
    oidc: OidcSettings, documents: Documents | None, keys: ProviderKeys | None
) -> SignInProvider | None:
    """Return where people sign in; it needs a client with a secret, too."""
    secret = oidc.client_secret
    if oidc.issuer is None or oidc.client_id is None or secret is None:
        return None
    if documents is None or keys is None:
        return None
    from stroke.adapters.oidc.sign_in import Client, Described, OidcSignIn  # noqa: PLC0415
    from stroke.adapters.oidc.verifier import OidcTokenVerifier  # noqa: PLC0415

    described = Described(
        oidc.issuer,
        documents,
        clock=time.monotonic,
        max_age=oidc.keys_seconds,
        pause=oidc.pause_seconds,
    )
    verifier = OidcTokenVerifier(
        keys,
        issuer=oidc.issuer,
        audience=oidc.client_id,
        clients=(),
        leeway=oidc.leeway_seconds,
        most_bytes=oidc.max_token_bytes,
        id_tokens=True,
    )
    client = Client(oidc.client_id, secret.get_secret_value(), oidc.scopes)
    return OidcSignIn(described, verifier, client, seconds=oidc.sign_in_seconds)


def browser_sign_in_of(
    settings: Settings, provider: SignInProvider | None, sessions: Sessions
) -> BrowserSignIn | None:
    """Return what makes sessions of sign-ins there."""
    if provider is None:
        return None
    longest = timedelta(seconds=settings.session.provider_max_seconds)
    return BrowserSignIn(provider, settings.oidc.rules, sessions, longest=longest)


def tokens_of(
    oidc: OidcSettings, verifier: TokenVerifier | None, now: Callable[[], datetime]
) -> Tokens | None:
    """Return what says who calls by an access token."""
    if verifier is None:
        return None
    return Tokens(verifier, oidc.rules, now=now, clock=time.monotonic, max_age=oidc.cache_seconds)
