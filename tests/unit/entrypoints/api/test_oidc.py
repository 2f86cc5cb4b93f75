"""Tokens of an OpenID provider on the routes: who is let in, and what others hear."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from builders.asgi import connected
from builders.predictions import patient_json
from fakes.access import FakeTokenVerifier
from stroke.domain.access import Scope

pytestmark = pytest.mark.anyio
ISSUER = "https://provider.example/realms/clinic"


@pytest.fixture
def verifier() -> FakeTokenVerifier:
    return FakeTokenVerifier()


@pytest.fixture
async def closed(parts_with: Any, verifier: FakeTokenVerifier) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of a service with a provider and no key."""
    parts = parts_with(verifier=verifier, oidc={"issuer": ISSUER, "audience": "stroke"})
    async with connected(parts.app) as client:
        client.audit = parts.audit  # type: ignore[attr-defined]
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_service_with_a_provider_is_closed_though_there_is_no_key(
    closed: httpx.AsyncClient,
) -> None:
    assert (await closed.get("/health/ready")).json()["access"] == "closed"
    answer = await closed.post("/predict", json={"age": "CANARY"})
    assert (answer.status_code, answer.json()["detail"]) == (
        401,
        "this needs an API key or a token",
    )
    assert answer.headers["www-authenticate"] == 'Bearer realm="stroke"'


@pytest.mark.parametrize("scope", Scope)
async def test_a_role_named_after_a_scope_gives_it(
    closed: httpx.AsyncClient, verifier: FakeTokenVerifier, scope: Scope
) -> None:
    headers = bearer(verifier.issue(roles=[f"stroke-{scope}"]))
    status = (await closed.post("/predict", json=patient_json(), headers=headers)).status_code
    assert status == (200 if scope in (Scope.PREDICT, Scope.ADMIN) else 403)


async def test_a_row_belongs_to_the_tokens_site_and_subject(
    closed: httpx.AsyncClient, verifier: FakeTokenVerifier
) -> None:
    roles = ["stroke-predict", "stroke-read"]
    north, south = (
        bearer(verifier.issue(sub=site, site=site, roles=roles)) for site in ("north", "south")
    )
    made = (await closed.post("/predict", json=patient_json(), headers=north)).json()
    path = f"/api/v1/predictions/{made['prediction_id']}"

    row = (await closed.get(path, headers=north)).json()
    assert (row["site"], row["created_by"]) == ("north", "token:north")
    assert (await closed.get(path, headers=south)).status_code == 404
    everywhere = bearer(verifier.issue(site=None, roles=[*roles, "stroke-all-sites"]))
    assert (await closed.get(path, headers=everywhere)).status_code == 200


@pytest.mark.parametrize("site", [None, "", "a b", ["north", "south"], 7])
async def test_a_token_without_a_site_gets_403_and_hears_why(
    closed: httpx.AsyncClient, verifier: FakeTokenVerifier, site: Any
) -> None:
    headers = bearer(verifier.issue(site=site, roles=["stroke-predict"]))

    answer = await closed.post("/predict", json=patient_json(), headers=headers)

    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:stroke:problem:site-missing"
    assert "STROKE_OIDC_SITE_CLAIM" in answer.json()["detail"]
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="stroke", error="insufficient_scope"'
    )
    kept = closed.audit.kept  # type: ignore[attr-defined]
    assert [entry.event.actor for entry in kept] == ["token:user-1"]


async def test_a_token_without_a_role_gets_403_and_the_scope(
    closed: httpx.AsyncClient, verifier: FakeTokenVerifier
) -> None:
    headers = bearer(verifier.issue(roles=None))
    answer = await closed.get("/predictions", headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (403, "this needs the scope read")


async def test_a_token_that_does_not_hold_gets_401(
    closed: httpx.AsyncClient, verifier: FakeTokenVerifier
) -> None:
    for token in (verifier.issue(aud="other"), verifier.issue(exp=0), "a.b.c"):
        answer = await closed.get("/predictions", headers=bearer(token))
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        assert token not in answer.text


async def test_while_the_provider_is_away_a_token_gets_503(
    closed: httpx.AsyncClient, verifier: FakeTokenVerifier
) -> None:
    token = verifier.issue()
    verifier.go_away()
    answer = await closed.get("/predictions", headers=bearer(token))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["type"] == "urn:stroke:problem:provider-unavailable"
    assert (await closed.get("/health/ready")).status_code == 200


async def test_the_document_says_where_the_provider_describes_itself(
    closed: httpx.AsyncClient,
) -> None:
    document = (await closed.get("/openapi.json")).json()

    scheme = document["components"]["securitySchemes"]["openIdConnect"]
    assert scheme["type"] == "openIdConnect"
    assert scheme["openIdConnectUrl"] == f"{ISSUER}/.well-known/openid-configuration"
    assert document["paths"]["/predict"]["post"]["security"] == [
        {"bearer": ["predict"]},
        {"apiKey": ["predict"]},
        {"openIdConnect": ["predict"]},
    ]
