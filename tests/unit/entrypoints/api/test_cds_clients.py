"""Record systems that sign a token for each call: who gets in, for which site, and how often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import httpx
import pytest

from builders.access import api_key
from builders.asgi import connected
from builders.charts import request
from builders.predictions import patient_json
from builders.service import Parts
from fakes.access import EHR, FakeClientTokenVerifier, FakeTokenLedger
from stroke.application.access.clients import CdsClients, Client
from stroke.container.clock import utc_now
from stroke.domain.errors import StoreUnavailable

pytestmark = pytest.mark.anyio

URL: Final = "/cds-services/stroke-risk"
PUBLIC: Final = "https://risk.example"


@pytest.fixture
def systems() -> FakeClientTokenVerifier:
    return FakeClientTokenVerifier()


@pytest.fixture
def ledger() -> FakeTokenLedger:
    return FakeTokenLedger()


@pytest.fixture
def parts(
    parts_with: Callable[..., Parts], systems: FakeClientTokenVerifier, ledger: FakeTokenLedger
) -> Parts:
    known = {EHR: Client(EHR, "https://ehr.example/jwks", "north")}
    return parts_with(
        clinical={"public_url": PUBLIC, "clients": "clients.json"},
        cds_clients=CdsClients(known, systems, ledger, now=utc_now),
        root_path="/behind",
    )


async def call(client: httpx.AsyncClient, token: str | None, path: str = URL) -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return await client.post(path, json=request(), headers=headers)


async def test_a_token_lets_its_system_in_once_and_its_rows_are_its_sites(
    client: httpx.AsyncClient, systems: FakeClientTokenVerifier, parts: Parts
) -> None:
    token = systems.sign()

    assert (await call(client, token)).status_code == 200
    again = await call(client, token)

    assert again.status_code == 401
    assert again.json()["issue"][0]["code"] == "login"
    assert (await call(client, systems.sign())).status_code == 200
    assert {row.site for row in parts.repository.rows.values()} == {"north"}


async def test_a_call_that_is_refused_is_written_down(
    client: httpx.AsyncClient, systems: FakeClientTokenVerifier, parts: Parts
) -> None:
    token = systems.sign()
    for _ in range(2):
        await call(client, token)

    [entry] = parts.audit.kept
    assert (entry.event.action, entry.event.outcome) == ("access.refused", "refused")
    assert entry.event.target == f"POST {URL}"
    assert token not in repr(entry)


async def test_the_address_counts_as_clients_call_it_behind_a_proxy(
    client: httpx.AsyncClient, systems: FakeClientTokenVerifier
) -> None:
    for host in ("risk.example", "10.0.0.7:8000", "evil.example"):
        answer = await client.post(
            f"/behind{URL}",
            json=request(),
            headers={"Authorization": f"Bearer {systems.sign()}", "Host": host},
        )
        assert answer.status_code == 200
        for_host = systems.sign(aud=f"https://{host.replace('risk', 'other')}{URL}")
        assert (await call(client, for_host)).status_code == 401


async def test_each_call_has_its_own_address_and_all_are_the_services(
    client: httpx.AsyncClient, systems: FakeClientTokenVerifier
) -> None:
    for audience in (f"{PUBLIC}/cds-services", PUBLIC):
        bearer = {"Authorization": f"Bearer {systems.sign(aud=audience)}"}
        assert (await client.get("/cds-services", headers=bearer)).status_code == 200
    judged = {"card": "0" * 8 + "-0000-4000-8000-" + "0" * 12, "outcome": "overridden"}
    feedback = await client.post(
        f"{URL}/feedback",
        json={"feedback": [judged | {"outcomeTimestamp": "2026-01-01T00:00:00Z"}]},
        headers={"Authorization": f"Bearer {systems.sign(aud=f'{PUBLIC}{URL}/feedback')}"},
    )
    assert feedback.status_code == 200

    for wrong in (
        systems.sign(aud=f"{PUBLIC}/cds-services"),
        systems.sign(aud=f"{PUBLIC}{URL}/feedback"),
        systems.sign(iss="https://stranger.example"),
    ):
        assert (await call(client, wrong)).status_code == 401


async def test_nobody_gets_in_without_a_token_though_there_is_no_key(
    client: httpx.AsyncClient,
) -> None:
    assert (await call(client, None)).status_code == 401
    assert (await client.post("/predict", json=patient_json())).status_code == 401
    assert (await client.get("/health/ready")).json()["access"] == "closed"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/fhir/RiskAssessment"),
        ("POST", "/fhir/$stroke-risk"),
        ("GET", "/predictions"),
        ("POST", "/predict"),
        ("GET", "/metrics"),
    ],
)
async def test_a_token_holds_for_the_hooks_only_and_is_not_used_up_elsewhere(
    client: httpx.AsyncClient, systems: FakeClientTokenVerifier, method: str, path: str
) -> None:
    token = systems.sign(aud=[f"{PUBLIC}{path}", PUBLIC])
    bearer = {"Authorization": f"Bearer {token}"}

    refused = await client.request(method, path, headers=bearer, json=patient_json())

    assert refused.status_code == 401
    assert (await call(client, token)).status_code == 200


async def test_a_token_beside_a_key_is_refused_and_a_key_alone_is_taken(
    client: httpx.AsyncClient, systems: FakeClientTokenVerifier, parts: Parts
) -> None:
    await parts.keys.add(api_key("1" * 16))
    token = systems.sign()
    both = {"Authorization": f"Bearer {token}", "X-API-Key": "stroke_1_x"}

    assert (await client.post(URL, json=request(), headers=both)).status_code == 401
    assert (await call(client, token)).status_code == 200


async def test_a_ledger_that_is_away_lets_nobody_in(
    client: httpx.AsyncClient, systems: FakeClientTokenVerifier, ledger: FakeTokenLedger
) -> None:
    token = systems.sign()
    ledger.failing = StoreUnavailable("it went away")

    assert (await call(client, token)).status_code == 503

    ledger.failing = None
    assert (await call(client, token)).status_code == 200


ORIGIN: Final = "https://ehr.example"
CLINIC: Final = "https://clinic.example"
PREFLIGHT: Final = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type",
}
ALLOWED: Final = "access-control-allow-origin"


async def test_pages_of_record_systems_may_call_the_hooks_and_nothing_else(
    parts_with: Callable[..., Parts],
) -> None:
    parts = parts_with(clinical={"cors_origins": (ORIGIN,)}, cors_origins=(CLINIC,))
    async with connected(parts.app) as client:
        asked = await client.options(URL, headers=PREFLIGHT)
        assert (asked.status_code, asked.headers[ALLOWED]) == (200, ORIGIN)
        answer = await client.post(URL, json={}, headers={"Origin": ORIGIN})
        assert answer.headers[ALLOWED] == ORIGIN
        for path in ("/predict", "/fhir/RiskAssessment", "/cds-servicesX", "/"):
            other = await client.options(path, headers=PREFLIGHT)
            assert ALLOWED not in other.headers
        stranger = await client.options(URL, headers=PREFLIGHT | {"Origin": "https://x.example"})
        assert ALLOWED not in stranger.headers
        for path in (URL, "/predict"):
            of_all = await client.options(path, headers=PREFLIGHT | {"Origin": CLINIC})
            assert of_all.headers[ALLOWED] == CLINIC


async def test_a_list_for_the_hooks_alone_opens_nothing_else(
    parts_with: Callable[..., Parts],
) -> None:
    parts: Any = parts_with(clinical={"cors_origins": (ORIGIN,)}, root_path="/behind")
    async with connected(parts.app) as client:
        for path in (URL, f"/behind{URL}"):
            assert (await client.options(path, headers=PREFLIGHT)).headers[ALLOWED] == ORIGIN
        assert ALLOWED not in (await client.options("/predict", headers=PREFLIGHT)).headers
