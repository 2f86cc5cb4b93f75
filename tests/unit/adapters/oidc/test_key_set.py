"""When the provider's keys are read, and which ones count meanwhile."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from components.openid_provider import DISCOVERY, KEYS, OpenIdProvider, public_jwk, rsa_key
from stroke.adapters.oidc.key_set import ProviderKeys
from stroke.domain.errors import ProviderUnavailable

pytestmark = pytest.mark.anyio
# Seconds, as conftest.py sets them.
MAX_AGE, GRACE, PAUSE = 300, 600, 10


async def found(keys: ProviderKeys, key_id: str = "first") -> bool:
    return await keys.find("RS256", key_id) is not None


async def background(keys: ProviderKeys, provider: OpenIdProvider, attempts: int) -> None:
    """Wait until the keys are read for that many times by themselves, well or in vain."""
    async with asyncio.timeout(10):
        while provider.asked.count(DISCOVERY) < attempts:  # noqa: ASYNC110 - it is in a thread
            await asyncio.sleep(0.01)
        # An id that nobody has waits for the reading that runs. It begins none: as long as the
        # clock stands still, the pause since the one above is not over.
        assert not await found(keys, "nobody's")
    assert provider.asked.count(DISCOVERY) == attempts


async def test_keys_are_read_once_for_many_requests(
    keys: ProviderKeys, provider: OpenIdProvider
) -> None:
    assert provider.asked == []
    assert all(await asyncio.gather(*(found(keys) for _ in range(50))))
    assert await found(keys)
    assert provider.asked == [DISCOVERY, KEYS]


async def test_a_rotated_key_is_known_with_its_first_token(
    keys: ProviderKeys, provider: OpenIdProvider, clock: Any
) -> None:
    assert await found(keys)
    clock.seconds += PAUSE
    provider.published.append(public_jwk(rsa_key("second"), "second"))

    assert all(await asyncio.gather(*(found(keys, "second") for _ in range(20))))
    assert provider.readings == 2
    assert await found(keys)


async def test_ids_that_nobody_has_make_one_reading_in_the_pause(
    keys: ProviderKeys, provider: OpenIdProvider, clock: Any
) -> None:
    assert await found(keys)
    for number in range(50):
        assert not await found(keys, f"unknown-{number}")
    assert provider.readings == 1

    clock.seconds += PAUSE
    for number in range(50):
        assert not await found(keys, f"unknown-{number}")
    assert provider.readings == 2
    assert await found(keys)


async def test_old_keys_are_read_again_in_the_background(
    keys: ProviderKeys, provider: OpenIdProvider, clock: Any
) -> None:
    assert await found(keys)
    provider.published = [public_jwk(rsa_key("second"), "second")]
    clock.seconds += MAX_AGE
    assert await found(keys)
    assert provider.readings == 1

    clock.seconds += 1
    assert await found(keys), "these count until the new ones are there"
    await background(keys, provider, 2)
    assert provider.readings == 2

    assert not await found(keys), "a key that was taken back has ended"
    assert await found(keys, "second")


async def test_while_the_provider_is_away_the_keys_count_for_the_grace_and_no_longer(
    keys: ProviderKeys,
    provider: OpenIdProvider,
    clock: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await found(keys)
    provider.go_away()

    with caplog.at_level(logging.WARNING, "stroke.oidc"):
        clock.seconds += GRACE / 3
        assert await found(keys)  # they are not old yet
        for attempts in (2, 3):
            clock.seconds += GRACE / 3
            assert await found(keys)
            await background(keys, provider, attempts)
    assert len(caplog.records) == 1, "said once, not with each reading"

    clock.seconds += MAX_AGE + 1
    with pytest.raises(ProviderUnavailable):
        await found(keys)

    provider.answers = {}
    clock.seconds += PAUSE
    assert await found(keys)


async def test_a_provider_that_is_away_is_not_asked_by_each_request(
    keys: ProviderKeys, provider: OpenIdProvider, clock: Any
) -> None:
    provider.go_away()
    for _ in range(20):
        with pytest.raises(ProviderUnavailable):
            await found(keys)
    assert provider.asked == [DISCOVERY]

    clock.seconds += PAUSE
    provider.answers = {}
    assert await found(keys)


async def test_a_request_that_gives_up_ends_the_reading_for_nobody_else(
    keys: ProviderKeys, provider: OpenIdProvider
) -> None:
    impatient = asyncio.create_task(found(keys))
    patient = asyncio.create_task(found(keys))
    await asyncio.sleep(0)
    impatient.cancel()

    assert await patient
    assert provider.readings == 1


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (DISCOVERY, (200, {"issuer": "https://another.example", "jwks_uri": "x"})),
        (DISCOVERY, (200, {"jwks_uri": "x"})),
        (DISCOVERY, (200, b"<html>")),
        (DISCOVERY, (200, [])),
        (DISCOVERY, (200, b"[" * 9000)),
        (DISCOVERY, (302, {})),
        (DISCOVERY, (404, {})),
        (DISCOVERY, (200, b"x" * 20_001)),
        (KEYS, (200, {})),
        (KEYS, (200, {"keys": []})),
        (KEYS, (200, {"keys": {"first": 1}})),
        (KEYS, (200, {"keys": [None, 1, "x", [], {}, {"kty": "RSA"}, {"kty": ["RSA"]}]})),
        (KEYS, (307, {})),
        (KEYS, (500, {})),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_documents_that_are_wrong_give_no_keys(
    keys: ProviderKeys, provider: OpenIdProvider, path: str, answer: tuple[int, object]
) -> None:
    provider.answers[path] = answer
    with pytest.raises(ProviderUnavailable):
        await found(keys)


@pytest.mark.parametrize(
    "address",
    [
        "http://provider.example/keys",
        "http://127.0.0.1.example/keys",
        "http://user@127.0.0.1/keys",
        "http://[::1",
        "file:///etc/passwd",
        "ftp://127.0.0.1/keys",
        "//127.0.0.1/keys",
        7,
    ],
)
async def test_keys_are_not_read_from_an_address_that_is_not_safe(
    keys: ProviderKeys, provider: OpenIdProvider, address: object
) -> None:
    provider.answers[DISCOVERY] = (200, {"issuer": provider.issuer, "jwks_uri": address})
    with pytest.raises(ProviderUnavailable, match=r"not HTTPS|does not say where"):
        await found(keys)
