from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Send
from starlette.types import Scope as Asked

from builders.asgi import connected
from builders.predictions import patient_json
from builders.problems import problem_of
from stroke.application.access.keys import KeyService
from stroke.config import RateSettings
from stroke.container.clock import utc_now
from stroke.domain.access import ANYBODY, EVERYTHING, Principal, Scope
from stroke.entrypoints.api.rates import RATE_HEADERS, RateLimit, Rates, by_address, by_principal

pytestmark = pytest.mark.anyio


async def _content(scope: Asked, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"content"})


def _named(scope: Asked) -> Mapping[str, str]:
    """Tell the caller as a later application might: a key and its site, from headers."""
    headers = dict(scope["headers"])
    return {
        kind: headers[kind.encode()].decode()
        for kind in ("key", "site")
        if kind.encode() in headers
    }


async def _key(parts: Any, site: str, scope: Scope = Scope.READ) -> dict[str, str]:
    """Make a key for ``site``; return the headers of a request with it."""
    keys = KeyService(parts.keys, now=utc_now)
    made = await keys.create(name="ward", site=site, scopes=[scope])
    return {"X-API-Key": made.text}


def client_of(app: Any, address: str = "192.0.2.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://stroke")


@pytest.fixture
def limited() -> RateLimit:
    return RateLimit(_content, rates=Rates({"address": "3/minute"}), names=by_address)


async def test_a_caller_may_send_as_many_as_its_rate_says_and_the_next_is_429(
    limited: RateLimit,
) -> None:
    async with client_of(limited) as client:
        answers = [await client.get("/") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    refused = answers[-1]
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"] == "urn:stroke:problem:rate-limited"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"]


async def test_each_answer_tells_what_is_left() -> None:
    # Of a day: a minute may end in the middle of the test.
    limited = RateLimit(_content, rates=Rates({"address": "3/day"}), names=by_address)
    async with client_of(limited) as client:
        answers = [await client.get("/") for _ in range(4)]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert {answer.headers["ratelimit-limit"] for answer in answers} == {"3"}
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {"3;w=86400"}


async def test_one_caller_does_not_use_up_what_another_may_send(limited: RateLimit) -> None:
    async with client_of(limited) as greedy, client_of(limited, "192.0.2.2") as modest:
        for _ in range(10):
            await greedy.get("/")
        assert (await modest.get("/")).status_code == 200


async def test_a_rate_recovers() -> None:
    app = RateLimit(_content, rates=Rates({"address": "2/second"}), names=by_address)
    async with client_of(app) as client:
        for _ in range(10):
            refused = await client.get("/")
        assert refused.status_code == 429
        for _ in range(100):
            await asyncio.sleep(0.1)
            if (answer := await client.get("/")).status_code == 200:
                break
    assert answer.status_code == 200


async def test_each_kind_of_caller_has_its_rate_and_the_tightest_decides() -> None:
    app = RateLimit(_content, rates=Rates({"key": "5/minute", "site": "3/minute"}), names=_named)
    async with client_of(app) as client:
        of_a = [await client.get("/", headers={"key": "a", "site": "north"}) for _ in range(2)]
        of_b = [await client.get("/", headers={"key": "b", "site": "north"}) for _ in range(2)]
        elsewhere = await client.get("/", headers={"key": "c", "site": "south"})
        nobody = await client.get("/")
    assert [answer.status_code for answer in of_a + of_b] == [200, 200, 200, 429]
    assert of_a[0].headers["ratelimit-policy"] == "3;w=60"
    assert elsewhere.status_code == 200
    assert (nobody.status_code, "ratelimit-limit" in nobody.headers) == (200, False)


async def test_of_several_rates_of_one_kind_the_shorter_may_end_first() -> None:
    rates = Rates({"address": "1000/hour;2/minute"})
    app = RateLimit(_content, rates=rates, names=by_address)
    async with client_of(app) as client:
        answers = [await client.get("/") for _ in range(3)]
    assert answers[-1].status_code == 429
    assert answers[-1].headers["ratelimit-policy"] == "2;w=60"


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
async def test_orchestrators_and_prometheus_are_never_refused(
    limited: RateLimit, path: str
) -> None:
    async with client_of(limited) as client:
        assert {(await client.get(path)).status_code for _ in range(10)} == {200}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("unix", "testclient", True),
    ],
)
def test_an_address_of_ipv6_counts_with_its_network(one: str, other: str, *, same: bool) -> None:
    names = [by_address({"client": (address, 1)}) for address in (one, other)]
    assert (names[0] == names[1]) == same


@given(st.one_of(st.ip_addresses().map(str), st.text()))
def test_whatever_the_address_is_the_client_has_one_name(address: str) -> None:
    [kind] = by_address({"client": (address, 0)})
    assert kind == "address"


async def test_a_rate_is_a_setting_and_none_is_set_by_default(
    parts_with: Callable[..., Any],
) -> None:
    async with connected(parts_with().app) as client:
        assert not set(map(str.lower, RATE_HEADERS)) & set((await client.get("/")).headers)
    async with connected(parts_with(rate={"per_address": "2/minute"}).app) as client:
        answers = [await client.post("/predict", json=patient_json()) for _ in range(3)]
        metrics = (await client.get("/metrics")).text
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert problem_of(answers[-1])["status"] == 429
    assert 'status="429"' in metrics


async def test_a_trusted_proxys_client_counts_and_not_the_proxy(
    parts_with: Callable[..., Any],
) -> None:
    parts = parts_with(rate={"per_address": "1/minute"}, trusted_proxies=("127.0.0.1",))
    async with connected(parts.app) as client:
        first, second, third = [
            await client.get("/", headers={"x-forwarded-for": address})
            for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1")
        ]
    assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]


@pytest.mark.parametrize("rate", ["fast", "0x/minute", "10 per", "600/fortnight"])
def test_a_rate_that_is_none_is_refused(rate: str) -> None:
    with pytest.raises(ValueError, match="600/minute"):
        RateSettings(per_address=rate)


def test_a_key_and_a_token_with_one_id_are_two_callers_and_anybody_is_none() -> None:
    key = Principal("key", "one", "north", EVERYTHING)
    token = Principal("token", "one", None, EVERYTHING)
    assert by_principal(key) == {"key": "key:one", "site": "north"}
    assert by_principal(token) == {"key": "token:one"}
    assert by_principal(ANYBODY) == {}


async def test_keys_and_sites_have_rates_of_their_own(parts_with: Callable[..., Any]) -> None:
    parts = parts_with(rate={"per_key": "2/minute", "per_site": "3/minute"})
    async with connected(parts.app) as client:
        one, two, other = [await _key(parts, site) for site in ("north", "north", "south")]
        of_one = [await client.get("/predictions", headers=one) for _ in range(3)]
        of_two = [await client.get("/predictions", headers=two) for _ in range(2)]
        elsewhere = await client.get("/predictions", headers=other)
        unknown = await client.get("/predictions", headers={"X-API-Key": "invented"})
    assert [answer.status_code for answer in of_one] == [200, 200, 429]
    assert problem_of(of_one[-1])["type"] == "urn:stroke:problem:rate-limited"
    assert of_one[0].headers["ratelimit-policy"] == "2;w=60"
    # The refused one counted for the site as well.
    assert [answer.status_code for answer in of_two] == [429, 429]
    assert of_two[0].headers["ratelimit-policy"] == "3;w=60"
    assert elsewhere.status_code == 200
    assert unknown.status_code == 401


async def test_prometheus_is_not_refused_by_the_rate_of_its_key(
    parts_with: Callable[..., Any],
) -> None:
    parts = parts_with(rate={"per_key": "1/minute"})
    async with connected(parts.app) as client:
        scraper = await _key(parts, "north", Scope.METRICS)
        seen = {(await client.get("/metrics", headers=scraper)).status_code for _ in range(4)}
    assert seen == {200}


async def test_an_answer_speaks_of_its_key_before_its_address(
    parts_with: Callable[..., Any],
) -> None:
    parts = parts_with(rate={"per_key": "9/minute", "per_address": "5/minute"})
    async with connected(parts.app) as client:
        key = await _key(parts, "north")
        answer = await client.get("/predictions", headers=key)
        stranger = await client.get("/predictions")
    assert answer.headers.get_list("ratelimit-limit") == ["9"]
    assert (stranger.status_code, stranger.headers["ratelimit-limit"]) == (401, "5")
