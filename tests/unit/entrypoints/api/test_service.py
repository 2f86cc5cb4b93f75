from __future__ import annotations

from typing import Any

import httpx
import pytest

from stroke.domain.errors import SchemaOutdated, StoreRefusesWrites, StoreUnavailable, wrong_schema

pytestmark = pytest.mark.anyio


async def test_the_greeting_is_what_existing_clients_expect(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert answer.json() == {"message": "Stroke Prediction API"}


async def test_a_process_that_answers_is_live_even_without_its_database(
    client: httpx.AsyncClient, parts: Any
) -> None:
    parts.repository.failing = StoreUnavailable("away")
    answer = await client.get("/health/live")
    assert (answer.status_code, answer.json()["status"]) == (200, "live")


async def test_ready_names_what_it_checked(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "checks": {"model": "ok", "database": "ok", "schema": "ok"},
        "access": "open",
    }


@pytest.mark.parametrize(
    ("failing", "checks"),
    [
        (StoreUnavailable("away"), {"model": "ok", "database": "away", "schema": "unknown"}),
        (
            StoreRefusesWrites("read-only"),
            {"model": "ok", "database": "does not store", "schema": "ok"},
        ),
        (
            SchemaOutdated("0001", "0002"),
            {"model": "ok", "database": "ok", "schema": "not the one this version needs"},
        ),
        (
            wrong_schema("0003", "0002"),
            {"model": "ok", "database": "ok", "schema": "that of a newer version"},
        ),
        (
            wrong_schema("a1b2c3d4e5f6", "0002"),
            {"model": "ok", "database": "ok", "schema": "not one of stroke's"},
        ),
    ],
)
async def test_not_ready_names_the_failing_part(
    client: httpx.AsyncClient, parts: Any, failing: Exception, checks: dict[str, str]
) -> None:
    parts.repository.failing = failing
    answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["checks"] == checks


async def test_model_info_shows_the_manifest(client: httpx.AsyncClient) -> None:
    info = (await client.get("/model_info")).json()
    assert info["model_type"] == "fake"
    assert info["version"] == "fake-1"
    assert info["sha256"] == "0" * 64
    assert info["features"][:2] == ["gender", "age"]
    assert info["bands"] == {"medium": 0.02, "high": 0.2}
    assert {"metrics", "training"} <= set(info)


async def test_the_docs_page_loads_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text
    assert "http://" not in page
    assert "https://" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"):
        assert f"/docs/assets/{asset}" in page
        assert (await client.get(f"/docs/assets/{asset}")).status_code == 200


async def test_the_engine_is_disposed_of_when_the_application_stops(
    parts: Any, client: httpx.AsyncClient
) -> None:
    lifespan = parts.app.router.lifespan_context(parts.app)
    async with lifespan:
        assert not parts.engine.disposed
    assert parts.engine.disposed
