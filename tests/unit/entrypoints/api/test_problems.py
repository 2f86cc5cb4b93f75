from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from builders.predictions import patient_json
from builders.problems import problem_of
from stroke.domain import errors
from stroke.domain.errors import (
    PredictionRejected,
    SchemaOutdated,
    ServiceOverloaded,
    StoreUnavailable,
    StrokeError,
)
from stroke.entrypoints.api.problems import KINDS

pytestmark = pytest.mark.anyio
JSON = {"content-type": "application/json"}
CANARY = "Canary Q. Patient"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'age': 1}",
        b'{"age": 1}}',
        b"\xff\xfe",
        b'{"name": "\\ud800"}',
        b"[" * 10_000,
        b'{"age": ' + b"9" * 5_000 + b"}",
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/api/v1/predictions:batch"])
async def test_a_body_that_is_not_json_is_400(
    client: httpx.AsyncClient, parts: Any, path: str, body: bytes
) -> None:
    answer = await client.post(path, content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "Bad Request"
    assert parts.repository.rows == {}


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_of_another_media_type_is_415(
    client: httpx.AsyncClient, media_type: str
) -> None:
    answer = await client.post("/predict", content=b"{}", headers={"content-type": media_type})
    assert answer.status_code == 415
    assert answer.json()["detail"] == "Send Content-Type: application/json."


async def test_a_body_without_a_media_type_is_415(client: httpx.AsyncClient) -> None:
    assert (await client.post("/predict", content=b"{}")).status_code == 415


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON"])
async def test_json_may_be_spelled_out(client: httpx.AsyncClient, media_type: str) -> None:
    request = client.build_request("POST", "/predict", json=patient_json())
    request.headers["content-type"] = media_type
    assert (await client.send(request)).status_code == 200


async def test_a_body_that_announces_to_be_too_long_is_413(
    client: httpx.AsyncClient, parts: Any
) -> None:
    answer = await client.post("/predict", json=patient_json(padding="x" * 40_000))
    assert answer.status_code == 413
    assert answer.json()["detail"] == "A body may have at most 40000 bytes."
    assert parts.repository.rows == {}


async def test_a_chunked_body_is_cut_off_at_the_limit(client: httpx.AsyncClient) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1_000):
            sent += 1_000
            yield b" " * 1_000

    answer = await client.post("/predict", content=chunks(), headers=JSON)
    assert answer.status_code == 413
    assert sent < 100_000


async def test_an_unknown_path_is_404(client: httpx.AsyncClient) -> None:
    answer = await client.get("/nowhere")
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem_of(answer) == {"type": "about:blank", "title": "Not Found", "status": 404}


async def test_a_trailing_slash_is_another_path(client: httpx.AsyncClient) -> None:
    assert (await client.post("/predict/", json=patient_json())).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/predict", "OPTIONS, POST"),
        ("HEAD", "/predict", "OPTIONS, POST"),
        ("PATCH", "/api/v1/predictions/1", "DELETE, GET, HEAD, OPTIONS"),
        ("POST", "/api/v1/predictions", "GET, HEAD, OPTIONS"),
    ],
)
async def test_another_method_is_405_with_the_allowed_ones(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    assert answer.headers["content-type"] == "application/problem+json"


async def test_options_tells_the_allowed_methods(client: httpx.AsyncClient) -> None:
    answer = await client.options("/api/v1/predictions/1")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS"


async def test_head_answers_as_get_does_without_the_body(client: httpx.AsyncClient) -> None:
    client.headers["x-request-id"] = "the-same-id"
    head, get = await client.head("/model_info"), await client.get("/model_info")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == get.headers


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (StoreUnavailable("host db-7 refused"), "database-unavailable"),
        (SchemaOutdated("0001", "0002"), "schema-outdated"),
    ],
)
@pytest.mark.parametrize(
    "request_line",
    [
        "POST /predict",
        "GET /predictions",
        "GET /api/v1/predictions",
        "GET /api/v1/predictions/1",
        "DELETE /api/v1/predictions/1",
    ],
)
async def test_a_store_that_is_away_is_503_with_retry_after(
    client: httpx.AsyncClient, parts: Any, error: StrokeError, name: str, request_line: str
) -> None:
    parts.repository.failing = error
    answer = await client.request(*request_line.split(), json=patient_json())
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["type"] == f"urn:stroke:problem:{name}"
    assert "db-7" not in answer.text


async def test_a_full_queue_is_503_with_retry_after(client: httpx.AsyncClient, parts: Any) -> None:
    # After its close the queue is as good as full: it takes no more.
    parts.repository.held = asyncio.Event()
    async with parts.app.router.lifespan_context(parts.app):
        pass
    answer = await client.post("/predict", json=patient_json())
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["type"] == "urn:stroke:problem:overloaded"


async def test_a_row_that_the_store_refuses_is_422(client: httpx.AsyncClient, parts: Any) -> None:
    parts.repository.refused[CANARY] = PredictionRejected(f"Data too long: {CANARY}")
    answer = await client.post("/predict", json=patient_json(name=CANARY))
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:stroke:problem:rejected"
    assert CANARY not in answer.text


async def test_an_unforeseen_error_is_500_and_tells_nobody_its_text(
    client: httpx.AsyncClient, parts: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    refused: dict[str, Any] = parts.repository.refused
    refused[CANARY] = ValueError(f"cannot encode {CANARY}")
    answer = await client.post("/predict", json=patient_json(name=CANARY))
    assert answer.status_code == 500
    assert problem_of(answer) == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
    }
    logged = [record for record in caplog.records if record.name == "stroke.api"]
    assert len(logged) == 1
    assert "builtins.ValueError" in logged[0].getMessage()
    assert "fakes/predictions.py" in logged[0].getMessage()
    assert CANARY not in caplog.text


def test_every_error_of_the_domain_has_a_status_or_never_meets_a_request() -> None:
    of_tools = {
        errors.ModelError,
        errors.ModelNotFound,
        errors.InvalidModel,
        errors.ConversionMismatch,
        errors.InvalidSetting,
        errors.InvalidData,
        errors.InvalidCodes,
        errors.EndpointUnavailable,
        errors.InvalidAccess,
        errors.KeyTaken,
        errors.KeyNotFound,
        errors.RowsUnaccounted,
        errors.ScratchFull,
    }
    known = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, StrokeError) and kind is not StrokeError
    }
    of_pipeline = {kind for kind in known if issubclass(kind, errors.PipelineError)}
    assert known - of_tools - of_pipeline <= set(KINDS)
    assert ServiceOverloaded in KINDS
