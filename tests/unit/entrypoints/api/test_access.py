"""Who may call which route: keys, scopes, and the answer to a caller that lacks them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI, Response
from fastapi.routing import APIRoute

from builders.asgi import connected
from builders.predictions import patient_json
from fakes.access import FakeKeyStore
from stroke.application.access.keys import KeyService
from stroke.container.clock import utc_now
from stroke.domain.access import Scope
from stroke.domain.errors import StoreUnavailable
from stroke.entrypoints.api.access import GuardedRoute, needs

pytestmark = pytest.mark.anyio

ASSET: Final = "/ui/assets/{version}/{name}"
FOR_EVERYBODY: Final = {
    *("/", "/health/live", "/health/ready", "/docs", "/openapi.json"),
    *(ASSET, "/ui/sign-in", "/ui/session"),
    *("/fhir/metadata", "/fhir/OperationDefinition/stroke-risk"),
    *("/v2", "/v2/health/live", "/v2/health/ready"),
    *("/ui/sign-in/oidc", "/ui/sign-in/callback"),
}
# Whoever sends them has the token of a page.
FORMS: Final = {("POST", "/ui/sign-in"), ("POST", "/ui/sign-out")}
NEEDED: Final = {
    ("POST", "/predict"): Scope.PREDICT,
    ("POST", "/api/v1/predict"): Scope.PREDICT,
    ("POST", "/api/v1/predictions:batch"): Scope.PREDICT,
    ("POST", "/api/v1/what-if"): Scope.PREDICT,
    ("GET", "/predictions"): Scope.READ,
    ("GET", "/api/v1/predictions"): Scope.READ,
    ("GET", "/api/v1/predictions/{prediction_id}"): Scope.READ,
    ("DELETE", "/api/v1/predictions/{prediction_id}"): Scope.ERASE,
    ("PUT", "/api/v1/predictions/{prediction_id}/outcome"): Scope.OUTCOMES,
    ("GET", "/api/v1/predictions/{prediction_id}/outcome"): Scope.OUTCOMES,
    ("DELETE", "/api/v1/predictions/{prediction_id}/outcome"): Scope.OUTCOMES,
    ("GET", "/api/v1/audit"): Scope.AUDIT,
    ("POST", "/api/v1/erasures"): Scope.ERASE,
    ("GET", "/api/v1/erasures/{job_id}"): Scope.ERASE,
    ("GET", "/model_info"): Scope.MODELS,
    ("GET", "/api/v1/models/{version}/card"): Scope.MODELS,
    ("GET", "/api/v1/models"): Scope.MODELS,
    ("GET", "/api/v1/models/deployment"): Scope.MODELS,
    ("POST", "/api/v1/models/deployment"): Scope.MODELS,
    ("GET", "/api/v1/models/deployments"): Scope.MODELS,
    ("GET", "/api/v1/models/agreement"): Scope.MODELS,
    ("GET", "/metrics"): Scope.METRICS,
    ("GET", "/ui"): Scope.PREDICT,
    ("GET", "/ui/estimate"): Scope.PREDICT,
    ("POST", "/ui/estimate"): Scope.PREDICT,
    ("GET", "/ui/what-if"): Scope.PREDICT,
    ("POST", "/ui/what-if"): Scope.PREDICT,
    ("GET", "/ui/save"): Scope.PREDICT,
    ("POST", "/ui/save"): Scope.PREDICT,
    ("GET", "/ui/batch"): Scope.PREDICT,
    ("POST", "/ui/batch"): Scope.PREDICT,
    ("GET", "/ui/history"): Scope.READ,
    ("GET", "/ui/insights"): Scope.READ,
    ("GET", "/ui/model"): Scope.PREDICT,
    ("GET", "/ui/platform"): Scope.ADMIN,
    ("POST", "/ui/model/deployment"): Scope.MODELS,
    ("GET", "/ui/history.csv"): Scope.READ,
    ("GET", "/ui/history/{prediction_id}"): Scope.READ,
    ("POST", "/ui/history/{prediction_id}/outcome"): Scope.OUTCOMES,
    ("POST", "/ui/history/{prediction_id}/erase"): Scope.ERASE,
    ("GET", "/cds-services"): Scope.PREDICT,
    ("POST", "/cds-services/stroke-risk"): Scope.PREDICT,
    ("POST", "/cds-services/stroke-risk/feedback"): Scope.PREDICT,
    ("GET", "/fhir/RiskAssessment"): Scope.READ,
    ("POST", "/fhir/RiskAssessment/_search"): Scope.READ,
    ("GET", "/fhir/RiskAssessment/{assessment_id}"): Scope.READ,
    ("GET", "/fhir/RiskAssessment/{assessment_id}/_history/{version}"): Scope.READ,
    ("GET", "/fhir/Device/{version}"): Scope.READ,
    ("POST", "/fhir/$stroke-risk"): Scope.PREDICT,
    **{
        (method, f"/v2/models/{{model_name}}{version}{last}"): scope
        for version in ("", "/versions/{model_version}")
        for method, last, scope in (
            ("GET", "", Scope.MODELS),
            ("GET", "/ready", Scope.PREDICT),
            ("POST", "/infer", Scope.PREDICT),
            ("POST", "/explain", Scope.PREDICT),
        )
    },
}
# Another scope does, too.
ALSO: Final = {("GET", "/ui/model"): {Scope.READ, Scope.MODELS}}
PARAMETERS: Final = {"prediction_id": "1", "version": "x", "name": "page.js"} | {
    "assessment_id": "7c1e2d52-3f0c-4d8e-9e55-05c3f5a1b0d2",
    "model_name": "fake",
    "model_version": "fake-1",
}
UNKNOWN: Final = f"stroke_{'0' * 16}_{'A' * 43}"
KEYS_FOR: Final = 0.05  # seconds, as conftest.py sets them
# What a wrong key must not make the service do: read a body, or look at the values in it.
BAD: Final = {"age": "CANARY"}


async def key(store: FakeKeyStore, *scopes: str) -> str:
    made = await KeyService(store, now=utc_now).create(
        name="test", site="north", scopes=scopes or ["admin"]
    )
    return made.text


@pytest.fixture
async def closed(parts: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client without a key of a service that has one."""
    await key(parts.keys)
    async with connected(parts.app) as client:
        yield client


def path_of(template: str) -> str:
    for name, value in PARAMETERS.items():
        template = template.replace(f"{{{name}}}", value)
    return template


def methods_and_paths(app: FastAPI) -> set[tuple[str, str]]:
    """Return each method and path that the application has a route for."""
    return {
        (method, str(route.path))
        for route in app.routes
        if hasattr(route, "path") and not str(route.path).startswith("/docs/assets")
        for method in (getattr(route, "methods", None) or {"GET"}) - {"HEAD"}
    }


async def test_each_route_is_for_everybody_or_needs_the_scope_that_it_says(
    parts: Any, closed: httpx.AsyncClient
) -> None:
    routes = methods_and_paths(parts.app)
    assert routes == NEEDED.keys() | {("GET", path) for path in FOR_EVERYBODY} | FORMS

    for method, path in FORMS:
        assert (await closed.request(method, path)).status_code == 403
    for method, path in routes - FORMS:
        answer = await closed.request(method, path_of(path), json=BAD)
        assert (answer.status_code == 401) is (path not in FOR_EVERYBODY), path
        assert answer.status_code in (200, 401), path


@pytest.mark.parametrize(("route", "scope"), NEEDED.items(), ids=str)
async def test_a_route_lets_in_its_own_scope_and_admin_and_no_other(
    parts: Any, closed: httpx.AsyncClient, route: tuple[str, str], scope: Scope
) -> None:
    method, path = route[0], path_of(route[1])
    enough = {scope, Scope.ADMIN} | ALSO.get(route, set())
    others = [each for each in Scope if each not in enough]

    async def status(*scopes: str) -> int:
        bearer = {"Authorization": f"Bearer {await key(parts.keys, *scopes)}"}
        return (await closed.request(method, path, headers=bearer)).status_code

    assert await status(*others) == 403
    for each in enough:
        assert await status(each) not in (401, 403)


def test_a_route_that_does_not_say_what_it_needs_cannot_be_added() -> None:
    async def forgotten() -> Response:
        return Response()

    with pytest.raises(TypeError, match="forgotten is marked neither"):
        GuardedRoute("/forgotten", forgotten)


async def test_a_route_added_to_the_application_itself_must_say_it_too(parts: Any) -> None:
    app: FastAPI = parts.app

    async def forgotten() -> Response:
        return Response()

    with pytest.raises(TypeError, match="forgotten is marked neither"):
        app.get("/forgotten")(forgotten)
    app.get("/said")(needs(Scope.AUDIT)(forgotten))
    assert all(isinstance(each, GuardedRoute) for each in app.routes if type(each) is APIRoute)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer {key}"},
        {"authorization": "bearer  {key} "},
        {"X-API-Key": "{key}"},
        {"X-API-Key": "{key}", "Authorization": "Bearer {key}"},
        {"X-API-Key": "{key}", "Authorization": "Basic cHJveHk6cHJveHk="},
    ],
)
async def test_a_key_is_taken_from_either_header(
    parts: Any, closed: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    text = await key(parts.keys, "predict")
    sent = {name: value.format(key=text) for name, value in headers.items()}

    answer = await closed.post("/predict", json=patient_json(), headers=sent)

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, 'Bearer realm="stroke"'),
        ({"Authorization": "Basic {key}"}, 'Bearer realm="stroke"'),
        ({"Authorization": "{key}"}, 'Bearer realm="stroke"'),
        ({"Authorization": "Bearer"}, 'Bearer realm="stroke", error="invalid_token"'),
        ({"X-API-Key": ""}, 'Bearer realm="stroke", error="invalid_token"'),
        ({"X-API-Key": UNKNOWN}, 'Bearer realm="stroke", error="invalid_token"'),
        ({"X-API-Key": "{key}\x1c"}, 'Bearer realm="stroke", error="invalid_token"'),
        ({"X-API-Key": "\v{key}"}, 'Bearer realm="stroke", error="invalid_token"'),
        ({"Authorization": "Bearer {key}\f"}, 'Bearer realm="stroke", error="invalid_token"'),
        ({"X-API-Key": "{key}x"}, 'Bearer realm="stroke", error="invalid_token"'),
        ({"X-API-Key": "Ünïcödé"}, 'Bearer realm="stroke", error="invalid_token"'),
        (
            {"X-API-Key": "{key}", "Authorization": f"Bearer {UNKNOWN}"},
            'Bearer realm="stroke", error="invalid_token"',
        ),
    ],
)
async def test_who_is_not_known_gets_401_and_hears_how_to_show_a_key(
    parts: Any, closed: httpx.AsyncClient, headers: dict[str, str], challenge: str
) -> None:
    text = await key(parts.keys)
    sent = [
        (name.encode(), value.format(key=text).encode("latin-1")) for name, value in headers.items()
    ]

    answer = await closed.post("/predict", json=BAD, headers=sent)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == challenge
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:stroke:problem:not-authenticated"
    for secret in (text, text[-43:], UNKNOWN, "CANARY"):
        assert secret not in answer.text


async def test_who_lacks_a_scope_gets_403_and_its_name(
    parts: Any, closed: httpx.AsyncClient
) -> None:
    bearer = {"Authorization": f"Bearer {await key(parts.keys, 'read')}"}

    answer = await closed.delete("/api/v1/predictions/1", headers=bearer)

    assert answer.status_code == 403
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="stroke", error="insufficient_scope", scope="erase"'
    )
    assert answer.json()["detail"] == "this needs the scope erase"
    assert answer.json()["type"] == "urn:stroke:problem:scope-missing"


async def test_a_stranger_hears_the_same_of_a_row_that_is_there_and_of_one_that_is_not(
    parts: Any, closed: httpx.AsyncClient
) -> None:
    bearer = {"Authorization": f"Bearer {await key(parts.keys, 'predict')}"}
    made = (await closed.post("/predict", json=patient_json(), headers=bearer)).json()

    there, not_there = [
        await closed.get(f"/api/v1/predictions/{prediction_id}", headers={"X-Request-ID": "same"})
        for prediction_id in (made["prediction_id"], made["prediction_id"] + 1)
    ]

    assert (there.status_code, there.content) == (not_there.status_code, not_there.content)


async def test_the_first_key_closes_a_running_service_within_the_time_of_the_setting(
    parts: Any, client: httpx.AsyncClient
) -> None:
    assert (await client.get("/health/ready")).json()["access"] == "open"
    assert (await client.get("/model_info")).status_code == 200
    text = await key(parts.keys, "models")

    await asyncio.sleep(KEYS_FOR)

    assert (await client.get("/model_info")).status_code == 401
    assert (await client.get("/model_info", headers={"X-API-Key": text})).status_code == 200
    assert (await client.get("/health/ready")).json()["access"] == "keys"


async def test_while_the_keys_cannot_be_read_the_answer_is_503(parts: Any) -> None:
    text = await key(parts.keys)
    parts.keys.failing = StoreUnavailable("away")
    async with connected(parts.app) as client:
        answer = await client.get("/model_info", headers={"X-API-Key": text})
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        assert (await client.get("/health/live")).status_code == 200

        parts.keys.failing = None
        assert (await client.get("/model_info", headers={"X-API-Key": text})).status_code == 200


async def test_the_document_says_which_scope_each_operation_needs(
    parts: Any, closed: httpx.AsyncClient
) -> None:
    document = (await closed.get("/openapi.json")).json()

    schemes = document["components"]["securitySchemes"]
    assert {name: scheme["type"] for name, scheme in schemes.items()} == {
        "bearer": "http",
        "apiKey": "apiKey",
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            scope = NEEDED.get((method.upper(), path))
            assert operation["security"] == (
                [{"bearer": [scope]}, {"apiKey": [scope]}] if scope else []
            )
            assert ({"401", "403"} <= operation["responses"].keys()) is (scope is not None)


async def test_the_document_of_an_open_service_says_that_no_key_is_needed(
    parts: Any, client: httpx.AsyncClient
) -> None:
    predict = (await client.get("/openapi.json")).json()["paths"]["/predict"]["post"]
    assert {} in predict["security"]

    await key(parts.keys)
    await asyncio.sleep(KEYS_FOR)
    assert (await client.get("/model_info")).status_code == 401
    predict = (await client.get("/openapi.json")).json()["paths"]["/predict"]["post"]
    assert {} not in predict["security"]
