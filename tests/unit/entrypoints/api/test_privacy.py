from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest

from builders.predictions import patient_json

pytestmark = pytest.mark.anyio
CANARY = "Canary Q. Patient"


async def test_nothing_of_a_patient_is_logged_or_counted(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    patient = patient_json(name=CANARY, province=CANARY, age=66.625)
    await client.post("/predict", json=patient)
    await client.post("/api/v1/predictions:batch", json={"patients": [patient]})
    await client.post("/predict", json={**patient, "age": CANARY})
    await client.get("/api/v1/predictions", params={"country": CANARY})
    await client.get(f"/{CANARY}")
    await client.request("CANARY", "/predict")
    metrics = (await client.get("/metrics")).text
    # The client that the test calls with logs what it requests; the service must not.
    logged = "\n".join(str(r.__dict__) for r in caplog.records if r.name != "httpx")
    for text in (logged, metrics):
        assert "canary" not in text.lower()
        assert "66.625" not in text


@pytest.mark.parametrize(
    "changes",
    [
        {"name": CANARY * 20},
        {"gender": CANARY},
        {"age": CANARY},
        {"age_group": CANARY},
        {"province": f"{CANARY}\n"},
        {CANARY: 1, "age": None},
    ],
)
async def test_an_error_never_quotes_what_was_sent(
    client: httpx.AsyncClient, changes: dict[str, Any]
) -> None:
    body = patient_json(**changes)
    alone = await client.post("/predict", json=body)
    batch = await client.post("/api/v1/predictions:batch", json={"patients": [body]})
    assert (alone.status_code, batch.status_code) == (422, 422)
    assert CANARY not in alone.text + batch.text


async def test_malformed_json_is_not_quoted(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/predict",
        content=f'{{"name": "{CANARY}" oops'.encode(),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 400
    assert "Canary" not in answer.text
    assert "oops" not in answer.text
