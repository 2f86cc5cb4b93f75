"""The provider's documents: how long and how large they may be."""

from __future__ import annotations

import time

import pytest

from components.openid_provider import DISCOVERY, OpenIdProvider
from stroke.adapters.oidc.documents import Documents
from stroke.domain.errors import ProviderUnavailable


def documents(seconds: float = 5, most_bytes: int = 1000) -> Documents:
    return Documents(seconds=seconds, most_bytes=most_bytes, insecure_http=False)


def test_a_document_may_be_as_long_as_the_limit(provider: OpenIdProvider) -> None:
    for length, fits in ((1000, True), (1001, False)):
        provider.answers[DISCOVERY] = (200, b'{"x":"' + b"x" * (length - 8) + b'"}')
        if fits:
            assert documents().read(provider.issuer + DISCOVERY)
        else:
            with pytest.raises(ProviderUnavailable, match="MAX_DOCUMENT_BYTES"):
                documents().read(provider.issuer + DISCOVERY)


def test_a_provider_that_sends_byte_by_byte_is_left_after_the_timeout(
    provider: OpenIdProvider,
) -> None:
    provider.pause = 0.1  # all of its document, 300 bytes and more, would take 30 seconds
    started = time.monotonic()
    with pytest.raises(ProviderUnavailable, match="does not answer within"):
        documents(seconds=0.4).read(provider.issuer + DISCOVERY)
    assert time.monotonic() - started < 15


def test_a_redirect_is_not_followed(provider: OpenIdProvider) -> None:
    provider.answers[DISCOVERY] = (302, {})
    with pytest.raises(ProviderUnavailable, match="answers 302"):
        documents().read(provider.issuer + DISCOVERY)
    assert provider.asked == [DISCOVERY]


def test_where_nothing_listens_nothing_is_read(provider: OpenIdProvider) -> None:
    provider.__exit__()
    with pytest.raises(ProviderUnavailable, match="nothing answers"):
        documents().read(provider.issuer + DISCOVERY)
