from __future__ import annotations

from typing import Any

import httpx
import pytest

from builders.predictions import patient_json
from stroke.domain.errors import PredictionRejected

pytestmark = pytest.mark.anyio
BATCH = "/api/v1/predictions:batch"


async def test_a_batch_is_answered_in_its_order_from_one_run_and_one_commit(
    client: httpx.AsyncClient, parts: Any
) -> None:
    ages = [80.0, 20.0, 50.0]
    answer = await client.post(BATCH, json={"patients": [patient_json(age=a) for a in ages]})
    assert answer.status_code == 200
    predictions = answer.json()["predictions"]
    assert [p["explanation"][0]["value"] for p in predictions] == ages
    assert [parts.repository.rows[p["prediction_id"]].age for p in predictions] == ages
    assert (parts.model.runs, parts.repository.commits) == ([3], [3])


async def test_one_patient_and_one_prediction_are_answered_alike(client: httpx.AsyncClient) -> None:
    alone = (await client.post("/predict", json=patient_json())).json()
    batch = (await client.post(BATCH, json={"patients": [patient_json()]})).json()["predictions"]
    assert [{**each, "prediction_id": 1} for each in batch] == [alone]


async def test_errors_point_into_the_rows_and_nothing_is_stored(
    client: httpx.AsyncClient, parts: Any
) -> None:
    patients = [patient_json(), patient_json(age=True), 7, patient_json(age_group="Very old")]
    answer = await client.post(BATCH, json={"patients": patients})
    assert answer.status_code == 422
    pointers = [e["pointer"] for e in answer.json()["errors"]]
    assert pointers == ["/patients/1/age", "/patients/2", "/patients/3/age_group"]
    assert parts.repository.rows == {}


async def test_a_batch_that_the_store_refuses_stores_nothing(
    client: httpx.AsyncClient, parts: Any
) -> None:
    parts.repository.refused["bad"] = PredictionRejected("refused")
    answer = await client.post(BATCH, json={"patients": [patient_json(), patient_json(name="bad")]})
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:stroke:problem:rejected"
    assert parts.repository.rows == {}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({}, "/patients"), ({"patients": []}, "/patients"), ({"patients": {}}, "/patients"), ([], "")],
)
async def test_a_batch_without_patients_is_rejected(
    client: httpx.AsyncClient, body: Any, pointer: str
) -> None:
    answer = await client.post(BATCH, json=body)
    assert answer.status_code == 422
    assert [e["pointer"] for e in answer.json()["errors"]] == [pointer]


async def test_only_ten_thousand_patients_make_a_batch(client: httpx.AsyncClient) -> None:
    answer = await client.post(BATCH, json={"patients": [1] * 10_001})
    assert answer.status_code == 422
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [
        ("/patients", "too_long")
    ]


async def test_many_errors_are_cut_with_a_note(client: httpx.AsyncClient) -> None:
    answer = await client.post(BATCH, json={"patients": [{} for _ in range(500)]})
    problem = answer.json()
    assert len(problem["errors"]) == 100
    assert problem["detail"] == "Only the first 100 problems are listed."
