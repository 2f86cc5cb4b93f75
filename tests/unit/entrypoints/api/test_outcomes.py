from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from builders.predictions import prediction
from stroke.domain.errors import StoreUnavailable
from stroke.domain.prediction import PredictionRecord

pytestmark = pytest.mark.anyio
TODAY = datetime.now(UTC).date()
BODY = {"stroke": True, "date": str(TODAY), "source": "stroke register"}


def address(prediction_id: object = 1) -> str:
    return f"/api/v1/predictions/{prediction_id}/outcome"


@pytest.fixture(autouse=True)
async def _one_prediction(parts: Any) -> None:
    made_at = datetime.now(UTC) - timedelta(days=10)
    await parts.repository.add([prediction(made_at=made_at)])


async def test_an_outcome_is_created_read_replaced_and_taken_back(
    client: httpx.AsyncClient,
) -> None:
    created = await client.put(address(), json=BODY)
    again = await client.put(address(), json=BODY)
    changed = await client.put(address(), json=BODY | {"stroke": False})

    assert [each.status_code for each in (created, again, changed)] == [201, 200, 200]
    assert created.json() == BODY | {
        "prediction_id": 1,
        "recorded_at": created.json()["recorded_at"],
    }
    assert datetime.fromisoformat(created.json()["recorded_at"]).tzinfo is not None
    assert again.json() == created.json()
    assert (await client.get(address())).json() == changed.json()
    assert changed.json()["stroke"] is False

    assert (await client.delete(address())).status_code == 204
    gone = await client.get(address())
    assert gone.status_code == 404
    assert gone.json()["type"] == "urn:stroke:problem:outcome-not-found"
    assert (await client.delete(address())).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_prediction_that_is_not_there_has_no_outcome(
    client: httpx.AsyncClient, method: str
) -> None:
    answer = await client.request(
        method, address(2**63 - 1), json=BODY if method == "PUT" else None
    )
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:stroke:problem:not-found"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"stroke": 1}, "/stroke"),
        ({"stroke": "yes"}, "/stroke"),
        ({"date": str(TODAY + timedelta(days=2))}, "/date"),
        ({"date": str(TODAY - timedelta(days=12))}, "/date"),
        ({"date": "2026-02-30"}, "/date"),
        ({"date": f"{TODAY}T00:00:00"}, "/date"),
        ({"date": 20000}, "/date"),
        ({"date": None}, "/date"),
        ({"source": ""}, "/source"),
        ({"source": "x" * 101}, "/source"),
        ({"source": "a\u0000b"}, "/source"),
    ],
)
async def test_what_is_wrong_is_named_and_not_quoted(
    client: httpx.AsyncClient, change: dict[str, Any], pointer: str
) -> None:
    answer = await client.put(address(), json=BODY | change)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    [value] = change.values()
    assert len(str(value)) < 4 or str(value) not in answer.text


async def test_a_body_must_be_json(client: httpx.AsyncClient) -> None:
    assert (await client.put(address(), content=b"stroke=1")).status_code == 415
    sent = {"content-type": "application/json"}
    assert (await client.put(address(), content=b"{", headers=sent)).status_code == 400
    assert (await client.put(address("first"), json=BODY)).status_code == 422


async def test_a_prediction_without_a_time_takes_any_day_that_has_come(
    client: httpx.AsyncClient, parts: Any
) -> None:
    parts.repository.rows[7] = PredictionRecord(id=7)
    answer = await client.put(address(7), json=BODY | {"date": "1999-01-01"})
    assert answer.status_code == 201


async def test_erasing_the_prediction_erases_its_outcome(
    client: httpx.AsyncClient, parts: Any
) -> None:
    await client.put(address(), json=BODY)
    await client.delete("/api/v1/predictions/1")
    assert (await client.get(address())).json()["type"] == "urn:stroke:problem:not-found"
    assert parts.repository.outcomes == {}


async def test_a_database_that_is_away_is_said(client: httpx.AsyncClient, parts: Any) -> None:
    parts.repository.failing = StoreUnavailable("away")
    answer = await client.put(address(), json=BODY)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
