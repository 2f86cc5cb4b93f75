from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from builders.asgi import connected
from builders.predictions import patient_json

pytestmark = pytest.mark.anyio


async def _metrics(client: httpx.AsyncClient) -> dict[str, float]:
    lines = (await client.get("/metrics")).text.splitlines()
    samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in samples}


async def test_predictions_are_counted_by_category_and_model_version(
    client: httpx.AsyncClient,
) -> None:
    await client.post("/predict", json=patient_json(age=80, hypertension=1))
    await client.post(
        "/api/v1/predictions:batch", json={"patients": [patient_json(age=20), patient_json(age=21)]}
    )
    metrics = await _metrics(client)
    counted = 'stroke_predictions_total{model_version="fake-1",risk_category="%s"}'
    assert metrics[counted % "High"] == 1
    assert metrics[counted % "Low"] == 2
    assert metrics['stroke_prediction_probability_count{model_version="fake-1"}'] == 3
    assert metrics['stroke_prediction_probability_bucket{le="0.02",model_version="fake-1"}'] == 2
    assert metrics["stroke_store_seconds_count"] == 2
    assert metrics["stroke_commit_size_sum"] == 3
    assert metrics["stroke_queue_depth"] == 0


async def test_requests_are_counted_by_the_template_of_their_route(
    client: httpx.AsyncClient,
) -> None:
    for path in ("/api/v1/predictions/8", "/api/v1/predictions/9", "/nowhere", "/elsewhere"):
        await client.get(path)
    await client.request("FROBNICATE", "/predict")
    metrics = await _metrics(client)
    counted = 'http_requests_total{handler="%s",method="%s",status="%s"}'
    assert metrics[counted % ("/api/v1/predictions/{prediction_id}", "GET", 404)] == 2
    assert metrics[counted % ("none", "GET", 404)] == 2
    assert metrics[counted % ("/predict", "other", 405)] == 1
    assert "FROBNICATE" not in "".join(metrics)


async def test_a_client_that_hung_up_is_no_fault_of_the_service(
    parts: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(parts.app) as client:

        async def gone() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            raise AssertionError("nobody is left to answer")

        transport = client._transport
        assert isinstance(transport, httpx.ASGITransport)
        json_body = [(b"content-type", b"application/json"), (b"content-length", b"9")]
        scope = {"type": "http", "method": "POST", "path": "/predict", "headers": json_body}
        await transport.app({**scope, "query_string": b"", "raw_path": b"/predict"}, gone, send)
        metrics = await _metrics(client)
    counted = 'http_requests_total{handler="/predict",method="POST",status="%s"}'
    assert metrics[counted % 499] == 1
    assert counted % 500 not in metrics
    assert metrics["http_requests_in_progress"] == 1
    assert caplog.records == []


async def test_requests_in_progress_are_those_not_answered_yet(
    client: httpx.AsyncClient, parts: Any
) -> None:
    name = "http_requests_in_progress"
    parts.repository.held = asyncio.Event()
    waiting = [asyncio.create_task(client.post("/predict", json=patient_json())) for _ in range(3)]
    await asyncio.sleep(0)  # every one of them has begun
    assert (await _metrics(client))[name] == 3 + 1  # and the one for the metrics
    parts.repository.held.set()
    await asyncio.gather(*waiting)
    parts.repository.refused["bad"] = ValueError()
    await client.post("/predict", json=patient_json(name="bad"))
    assert (await _metrics(client))[name] == 1


async def test_an_unforeseen_error_is_counted_as_500(client: httpx.AsyncClient, parts: Any) -> None:
    parts.repository.refused["bad"] = ValueError()
    await client.post("/predict", json=patient_json(name="bad"))
    metrics = await _metrics(client)
    assert metrics['http_requests_total{handler="/predict",method="POST",status="500"}'] == 1


async def test_a_prediction_that_is_not_stored_is_not_counted(
    client: httpx.AsyncClient, parts: Any
) -> None:
    parts.repository.refused["bad"] = ValueError()
    await client.post("/predict", json=patient_json(name="bad"))
    assert not any(name.startswith("stroke_predictions_total") for name in await _metrics(client))


async def test_two_applications_in_one_process_count_apart(
    client: httpx.AsyncClient, other_parts: Any
) -> None:
    async with connected(other_parts.app) as other:
        await other.post("/predict", json=patient_json())
        assert (await _metrics(other))["stroke_commit_size_sum"] == 1
    assert (await _metrics(client))["stroke_commit_size_sum"] == 0
