"""Whose rows a caller sees and changes: those of its own site, by every route."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest

from builders.asgi import connected
from builders.predictions import patient_json
from stroke.application.access.keys import KeyService
from stroke.container.clock import utc_now

pytestmark = pytest.mark.anyio

OUTCOME: Final = {"stroke": True, "date": str(utc_now().date()), "source": "register"}
SCOPES: Final = ("predict", "read", "erase", "outcomes")
# Every route that takes the id of a prediction.
BY_ID: Final = (
    ("GET", "/api/v1/predictions/{}"),
    ("DELETE", "/api/v1/predictions/{}"),
    ("PUT", "/api/v1/predictions/{}/outcome"),
    ("GET", "/api/v1/predictions/{}/outcome"),
    ("DELETE", "/api/v1/predictions/{}/outcome"),
)


class Network:
    """Callers of several sites on one service."""

    def __init__(self, client: httpx.AsyncClient, keys: KeyService) -> None:
        self._client = client
        self._keys = keys
        self._headers: dict[str, dict[str, str]] = {}

    async def add(self, name: str, site: str, *scopes: str) -> str:
        made = await self._keys.create(name=name, site=site, scopes=(*SCOPES, *scopes))
        self._headers[name] = {"X-API-Key": made.text}
        return made.key.id

    async def call(self, who: str, method: str, path: str, **sent: Any) -> httpx.Response:
        headers = self._headers[who] | sent.pop("headers", {})
        return await self._client.request(method, path, headers=headers, **sent)

    async def predict(self, who: str, key: str | None = None, **changes: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return await self.call(
            who, "POST", "/predict", json=patient_json(**changes), headers=headers
        )

    async def stored(self, who: str) -> int:
        answer = await self.predict(who)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["prediction_id"])


@pytest.fixture
async def network(parts: Any) -> AsyncIterator[Network]:
    async with connected(parts.app) as client:
        network = Network(client, KeyService(parts.keys, now=utc_now))
        await network.add("north", "north")
        await network.add("colleague", "north")
        await network.add("south", "south", "admin")
        await network.add("network", "centre", "all-sites")
        yield network


async def test_a_row_has_its_callers_site_and_the_id_of_the_key(parts: Any) -> None:
    async with connected(parts.app) as client:
        network = Network(client, KeyService(parts.keys, now=utc_now))
        key_id = await network.add("north", "north-1")
        single = await network.stored("north")
        batch = await network.call(
            "north",
            "POST",
            "/api/v1/predictions:batch",
            json={"patients": [patient_json()]},
            headers={"Idempotency-Key": "k"},
        )

        for each in (single, batch.json()["predictions"][0]["prediction_id"]):
            row = (await network.call("north", "GET", f"/api/v1/predictions/{each}")).json()
            assert (row["site"], row["created_by"]) == ("north-1", f"key:{key_id}")


async def test_rows_of_an_open_service_have_no_site(client: httpx.AsyncClient) -> None:
    made = (await client.post("/predict", json=patient_json())).json()
    row = (await client.get(f"/api/v1/predictions/{made['prediction_id']}")).json()
    assert (row["site"], row["created_by"]) == (None, None)


@pytest.mark.parametrize(("method", "path"), BY_ID)
async def test_another_sites_row_is_not_found_and_stays_as_it_is(
    parts: Any, network: Network, method: str, path: str
) -> None:
    row = await network.stored("north")
    await network.call("north", "PUT", f"/api/v1/predictions/{row}/outcome", json=OUTCOME)
    before = dict(parts.repository.rows), dict(parts.repository.outcomes)
    sent = {"json": OUTCOME} if method == "PUT" else {}
    fixed = {"headers": {"X-Request-ID": "same"}}

    other = await network.call("south", method, path.format(row), **sent, **fixed)
    gone = await network.call("south", method, path.format(row + 1000), **sent, **fixed)

    assert other.status_code == gone.status_code == 404
    assert other.text == gone.text.replace(str(row + 1000), str(row))
    assert (parts.repository.rows, parts.repository.outcomes) == before


@pytest.mark.parametrize(("method", "path"), BY_ID)
@pytest.mark.parametrize("who", ["colleague", "network"])
async def test_a_row_is_open_to_its_own_site_and_to_who_has_all(
    network: Network, method: str, path: str, who: str
) -> None:
    row = await network.stored("north")
    await network.call("north", "PUT", f"/api/v1/predictions/{row}/outcome", json=OUTCOME)
    sent = {"json": OUTCOME} if method == "PUT" else {}

    assert (await network.call(who, method, path.format(row), **sent)).is_success


async def test_adopted_rows_without_a_site_are_those_of_all_sites_only(
    parts: Any, network: Network
) -> None:
    row = await network.stored("north")
    stored = parts.repository.rows[row]
    parts.repository.rows[row] = type(stored)(row, timestamp=stored.timestamp)

    for who, status in (("north", 404), ("south", 404), ("network", 200)):
        answer = await network.call(who, "GET", f"/api/v1/predictions/{row}")
        assert answer.status_code == status


async def test_listings_show_a_sites_own_rows_page_by_page(network: Network) -> None:
    rows = {who: [] for who in ("north", "south")}  # type: dict[str, list[int]]
    for who in ("north", "south", "south", "north", "colleague", "south"):
        rows["south" if who == "south" else "north"].append(await network.stored(who))

    async def listed(who: str, limit: int = 100) -> list[int]:
        found: list[int] = []
        cursor: str | None = None
        while True:
            after = {"cursor": cursor} if cursor else {}
            params = {"limit": limit, **after}
            answer = await network.call(who, "GET", "/api/v1/predictions", params=params)
            found += [item["id"] for item in answer.json()["items"]]
            cursor = answer.json()["next_cursor"]
            if cursor is None:
                return found

    everything = sorted(rows["north"] + rows["south"], reverse=True)
    for limit in (1, 2, 100):
        assert await listed("north", limit) == await listed("colleague", limit)
        assert await listed("north", limit) == rows["north"][::-1]
        assert await listed("south", limit) == rows["south"][::-1]
        assert await listed("network", limit) == everything
    for who, expected in (("north", rows["north"][::-1]), ("network", everything)):
        plain = await network.call(who, "GET", "/predictions")
        assert [row["id"] for row in plain.json()] == expected


async def test_another_sites_cursor_shows_no_row_of_it(network: Network) -> None:
    theirs = [await network.stored("north") for _ in range(3)]
    answer = await network.call("north", "GET", "/api/v1/predictions", params={"limit": 1})
    cursor = answer.json()["next_cursor"]

    seen = await network.call("south", "GET", "/api/v1/predictions", params={"cursor": cursor})

    assert theirs
    assert seen.json() == {"items": [], "next_cursor": None}


async def test_a_filter_finds_nothing_of_another_site(network: Network) -> None:
    assert (await network.predict("north", country="Peru")).is_success
    found = await network.call("south", "GET", "/api/v1/predictions", params={"country": "Peru"})
    assert found.json()["items"] == []


async def test_two_sites_may_use_the_same_idempotency_key(network: Network) -> None:
    first = (await network.predict("north", "visit-1", age=50)).json()
    again = (await network.predict("colleague", "visit-1", age=50)).json()
    other = (await network.predict("south", "visit-1", age=60)).json()

    assert first == again
    assert other["prediction_id"] != first["prediction_id"]
    assert (await network.predict("north", "visit-1", age=60)).status_code == 409
    assert (await network.predict("south", "visit-1", age=60)).json() == other


async def test_a_batch_has_its_sites_key_too(network: Network) -> None:
    async def batch(who: str) -> list[int]:
        answer = await network.call(
            who,
            "POST",
            "/api/v1/predictions:batch",
            json={"patients": [patient_json(), patient_json()]},
            headers={"Idempotency-Key": "x" * 64},
        )
        return [each["prediction_id"] for each in answer.json()["predictions"]]

    first, again, other = await batch("north"), await batch("colleague"), await batch("south")

    assert first == again
    assert not set(first) & set(other)
