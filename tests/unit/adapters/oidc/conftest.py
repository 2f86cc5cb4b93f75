"""A provider on loopback, and what verifies its tokens, with a clock that tests turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from components.openid_provider import AUDIENCE, OpenIdProvider
from stroke.adapters.oidc.documents import Documents
from stroke.adapters.oidc.key_set import ProviderKeys
from stroke.adapters.oidc.verifier import OidcTokenVerifier

LEEWAY = 5
MOST_BYTES = 4000
MAX_AGE, GRACE, PAUSE = 300, 600, 10


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def provider() -> Iterator[OpenIdProvider]:
    with OpenIdProvider() as provider:
        yield provider


@pytest.fixture
def keys(provider: OpenIdProvider, clock: Clock) -> ProviderKeys:
    return ProviderKeys(
        provider.issuer,
        Documents(seconds=2, most_bytes=20_000, insecure_http=False),
        clock=clock,
        max_age=MAX_AGE,
        grace=GRACE,
        pause=PAUSE,
    )


@pytest.fixture
def verifier_with(provider: OpenIdProvider, keys: ProviderKeys) -> Callable[..., OidcTokenVerifier]:
    """Return a function that makes a verifier with other options."""

    def made(**options: Any) -> OidcTokenVerifier:
        usual = {"audience": AUDIENCE, "clients": (), "leeway": LEEWAY, "most_bytes": MOST_BYTES}
        return OidcTokenVerifier(keys, issuer=provider.issuer, **{**usual, **options})

    return made


@pytest.fixture
def verifier(verifier_with: Callable[..., OidcTokenVerifier]) -> OidcTokenVerifier:
    return verifier_with()
