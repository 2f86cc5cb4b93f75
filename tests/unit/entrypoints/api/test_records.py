from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any

import httpx
import pytest

from builders.predictions import NOON, patient_json, prediction
from fakes.predictions import FakePredictionRepository
from stroke.domain.prediction import PredictionRecord
from stroke.entrypoints.api.schemas.predictions import RecordOut

pytestmark = pytest.mark.anyio
PAGES = "/api/v1/predictions"


@pytest.fixture
def rows(parts: Any) -> FakePredictionRepository:
    repository: FakePredictionRepository = parts.repository
    return repository


async def _store(rows: FakePredictionRepository, count: int) -> None:
    for n in range(count):
        await rows.add([prediction(name=f"patient {n + 1}", made_at=NOON + timedelta(hours=n))])


async def test_the_plain_list_is_newest_first(
    client: httpx.AsyncClient, rows: FakePredictionRepository
) -> None:
    await _store(rows, 3)
    answer = await client.get("/predictions", params={"limit": 2})
    assert answer.status_code == 200
    assert [record["id"] for record in answer.json()] == [3, 2]


async def test_a_record_shows_every_column(
    client: httpx.AsyncClient, rows: FakePredictionRepository
) -> None:
    await _store(rows, 1)
    record = (await client.get(f"{PAGES}/1")).json()
    assert list(record) == [field.name for field in fields(PredictionRecord)]
    assert record["timestamp"] == "2026-01-02T12:00:00.123456Z"
    assert record["contributing_factors"] == ["age", "bmi"]
    assert record["prediction_data"]["log_odds"] == {"age": 0.5, "bmi": -0.25}
    assert {name: record[name] for name in patient_json()} == patient_json(name="patient 1")


async def test_a_row_of_an_adopted_table_may_lack_every_value(
    client: httpx.AsyncClient, rows: FakePredictionRepository
) -> None:
    rows.rows[7] = PredictionRecord(id=7)
    answer = await client.get(f"{PAGES}/7")
    assert answer.status_code == 200
    assert {name for name, value in answer.json().items() if value is not None} == {"id"}
    assert (await client.get("/predictions")).json() == [answer.json()]


def test_the_documented_record_is_the_stored_one() -> None:
    assert list(RecordOut.model_fields) == [field.name for field in fields(PredictionRecord)]


async def test_pages_follow_each_other_to_the_last(
    client: httpx.AsyncClient, rows: FakePredictionRepository
) -> None:
    await _store(rows, 5)
    seen, cursor = [], None
    for _ in range(3):
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(PAGES, params=query)).json()
        seen += [record["id"] for record in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [5, 4, 3, 2, 1]
    assert cursor is None


async def test_a_page_is_narrowed_by_time(
    client: httpx.AsyncClient, rows: FakePredictionRepository
) -> None:
    await _store(rows, 4)
    # The same instants in another zone: 14:00+01:00 is 13:00 UTC.
    query = {
        "since": "2026-01-02T14:00:00.123456+01:00",
        "until": "2026-01-02T16:00:00.123456+01:00",
    }
    page = (await client.get(PAGES, params=query)).json()
    assert [record["id"] for record in page["items"]] == [3, 2]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"risk_category": "High"}, [2]),
        ({"risk_category": "Low"}, []),
        ({"country": "Peru"}, [3]),
        ({"province": "Lima"}, [3]),
        ({"model_version": "test-2"}, [4]),
        ({"country": "Peru", "model_version": "test-2"}, []),
    ],
)
async def test_a_page_is_narrowed_by_column(
    client: httpx.AsyncClient,
    rows: FakePredictionRepository,
    query: dict[str, str],
    found: list[int],
) -> None:
    await rows.add([prediction()])
    await rows.add([prediction(0.5)])
    await rows.add([prediction(country="Peru", province="Lima")])
    await rows.add([prediction(model_version="test-2")])
    page = (await client.get(PAGES, params=query)).json()
    assert [record["id"] for record in page["items"]] == found


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/predictions?limit=0", "limit"),
        ("/predictions?limit=1001", "limit"),
        ("/predictions?limit=many", "limit"),
        (f"{PAGES}?limit=0", "limit"),
        (f"{PAGES}?cursor=", "cursor"),
        (f"{PAGES}?cursor=12", "cursor"),
        (f"{PAGES}?cursor=%F0%9F%98%80", "cursor"),
        (f"{PAGES}?since=2026-01-02T12:00:00", "since"),  # of which zone?
        (f"{PAGES}?until=1767355200", "until"),
        (f"{PAGES}?since=0000-02-30T00:00:00Z", "since"),
        (f"{PAGES}?until=9999-12-31T24:00:00-05:00", "until"),
        (f"{PAGES}?risk_category=Lower", "risk_category"),
        (f"{PAGES}?country=a%00b", "country"),
        (f"{PAGES}/0", "prediction_id"),
        (f"{PAGES}/{2**63}", "prediction_id"),
        (f"{PAGES}/first", "prediction_id"),
    ],
)
async def test_a_parameter_that_is_wrong_is_named(
    client: httpx.AsyncClient, path: str, parameter: str
) -> None:
    answer = await client.get(path)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [e["parameter"] for e in answer.json()["errors"]] == [parameter]


@pytest.mark.parametrize(
    ("query", "all_of_them"),
    [
        # The zone leads before the year 1, or after the year 9999: the first and the last instant.
        ({"since": "0001-01-01T00:00:00+23:00"}, True),
        ({"until": "0001-01-01T00:00:00+03:00"}, False),
        ({"since": "9999-12-31T23:00:00-01:30"}, False),
        ({"until": "9999-12-31T23:59:59.999999-23:59"}, True),
        # RFC 3339 has a year 0, with a 29th of February; Python has not.
        ({"since": "0000-02-29T12:00:00Z"}, True),
        ({"until": "0000-12-31T23:59:59-10:00"}, False),
    ],
)
async def test_a_time_beyond_those_there_are_is_the_first_or_the_last_instant(
    client: httpx.AsyncClient,
    rows: FakePredictionRepository,
    query: dict[str, str],
    all_of_them: bool,
) -> None:
    await rows.add([prediction()])

    answer = await client.get(PAGES, params=query)

    assert answer.status_code == 200, answer.text
    assert bool(answer.json()["items"]) is all_of_them
    assert (await client.get("/api/v1/audit", params=query)).status_code == 200


async def test_an_erased_prediction_is_gone(
    client: httpx.AsyncClient, rows: FakePredictionRepository
) -> None:
    await _store(rows, 2)
    answer = await client.delete(f"{PAGES}/1")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await client.get(f"{PAGES}/1")).status_code == 404
    assert (await client.delete(f"{PAGES}/1")).status_code == 404
    assert list(rows.rows) == [2]


async def test_the_largest_id_is_looked_for(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{PAGES}/{2**63 - 1}")
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:stroke:problem:not-found"
