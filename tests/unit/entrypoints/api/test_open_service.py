"""Without any key, this machine is served, and no other one that was not let in."""

from __future__ import annotations

import pytest

from builders.access import api_key
from builders.asgi import connected
from builders.predictions import patient_json
from builders.service import service_parts

pytestmark = pytest.mark.anyio

HERE = ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"]
ELSEWHERE = ["10.0.0.7", "203.0.113.9", "2001:db8::1", "::ffff:10.0.0.7", "fe80::1%eth0", "0.0.0.0"]  # noqa: S104
PATHS = ["/predictions", "/api/v1/predictions", "/metrics", "/model_info", "/fhir/RiskAssessment"]


@pytest.mark.parametrize("address", HERE)
async def test_this_machine_needs_no_key(address: str) -> None:
    async with connected(service_parts().app, address=address) as client:
        for path in PATHS:
            assert (await client.get(path)).status_code == 200, path
        assert (await client.post("/predict", json=patient_json())).status_code == 200
        assert (await client.get("/ui", follow_redirects=True)).status_code == 200


@pytest.mark.parametrize("address", ELSEWHERE)
async def test_another_machine_needs_a_key_that_there_is_none_of(address: str) -> None:
    parts = service_parts()
    async with connected(parts.app, address=address) as client:
        for sent in ({}, {"X-API-Key": "any"}, {"Authorization": "Bearer any"}):
            for path in PATHS:
                answer = await client.get(path, headers=sent)
                assert answer.status_code == 401, path
                assert "www-authenticate" in answer.headers
            answer = await client.post("/predict", json=patient_json(), headers=sent)
            assert answer.status_code == 401
        assert not parts.repository.rows
        assert (await client.get("/health/ready")).json()["access"] == "open"

        page = await client.get("/ui", headers={"Accept": "text/html"}, follow_redirects=True)
        assert page.url.path == "/ui/sign-in"


async def test_who_is_let_in_by_the_setting_needs_none_from_anywhere() -> None:
    async with connected(service_parts(insecure=True).app, address="203.0.113.9") as client:
        assert (await client.get("/api/v1/predictions")).status_code == 200
        assert (await client.get("/ui")).status_code == 200


async def test_whom_a_trusted_proxy_forwards_is_another_machine() -> None:
    parts = service_parts(
        trusted_proxies=("127.0.0.1/32",), allowed_hosts=("stroke.example.org", "stroke")
    )
    async with connected(parts.app) as client:
        sent = {"X-Forwarded-For": "203.0.113.9", "Host": "stroke.example.org"}
        assert (await client.get("/api/v1/predictions", headers=sent)).status_code == 401
        assert (await client.get("/api/v1/predictions")).status_code == 200


PASSED_ON = [
    {"X-Forwarded-For": "203.0.113.9"},
    {"X-Forwarded-For": "203.0.113.9:51234"},
    {"X-Forwarded-For": "unknown"},
    {"X-Forwarded-For": "_hidden"},
    {"X-Forwarded-For": "[2001:db8::1]:4711"},
    {"X-Forwarded-For": "203.0.113.9 , "},
    {"X-Forwarded-For": "127.0.0.1, 203.0.113.9"},
    {"X-Forwarded-For": ""},
    {"X-Forwarded-Proto": "https"},
    {"X-Forwarded-Host": "localhost"},
    {"X-Real-IP": "203.0.113.9"},
    {"Forwarded": "for=203.0.113.9"},
    {"Via": "1.1 proxy"},
]


@pytest.mark.parametrize("trusted", [(), ("127.0.0.1/32",)])
@pytest.mark.parametrize("sent", PASSED_ON, ids=str)
async def test_whatever_a_proxy_passes_on_is_of_another_machine(
    sent: dict[str, str], trusted: tuple[str, ...]
) -> None:
    async with connected(service_parts(trusted_proxies=trusted).app) as client:
        assert (await client.get("/api/v1/predictions", headers=sent)).status_code == 401
        here = {"X-Forwarded-For": "127.0.0.1, ::1"}
        assert (await client.get("/api/v1/predictions", headers=here)).status_code == 200


async def test_a_database_that_loses_its_keys_does_not_open_the_service_to_others() -> None:
    parts = service_parts()
    await parts.keys.add(api_key("1" * 16))
    async with connected(parts.app, address="10.0.0.7") as client:
        assert (await client.get("/api/v1/predictions")).status_code == 401
        parts.keys.lose_all()
        assert (await client.get("/api/v1/predictions")).status_code == 401
