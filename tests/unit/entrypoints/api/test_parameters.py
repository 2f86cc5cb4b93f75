"""Query parameters that come twice, and those that no route knows."""

from __future__ import annotations

import httpx
import pytest

from builders.predictions import patient_json

pytestmark = pytest.mark.anyio
LISTS = {
    "/predictions": ("limit",),
    "/api/v1/predictions": (
        "limit",
        "cursor",
        "since",
        "until",
        "risk_category",
        "country",
        "province",
        "model_version",
    ),
    "/api/v1/audit": ("limit", "cursor", "since", "until", "actor", "action", "target"),
    "/api/v1/models/deployments": ("limit", "before"),
}
VALUES = {
    "limit": ("1", "2"),
    "before": ("1", "2"),
    "cursor": ("0000000000000001", "0000000000000001"),
    "since": ("2026-11-29T00:00:00Z", "2026-11-28T00:00:00Z"),
    "until": ("2026-11-29T00:00:00Z", "2026-11-28T00:00:00Z"),
    "risk_category": ("Low", "High"),
    "action": ("prediction.read", "prediction.list"),
}
CASES = [(path, name) for path, names in LISTS.items() for name in names]


@pytest.mark.parametrize(("path", "name"), CASES)
async def test_a_parameter_of_a_list_is_given_once(
    client: httpx.AsyncClient, path: str, name: str
) -> None:
    first, second = VALUES.get(name, ("Canada", "France"))
    answer = await client.get(path, params=[(name, first), (name, second)])
    assert answer.status_code == 422, answer.text
    [problem] = answer.json()["errors"]
    assert problem == {"parameter": name, "detail": "must be given once", "code": "repeated"}
    assert (await client.get(path, params={name: first})).status_code == 200


async def test_parameters_that_a_list_does_not_know_narrow_nothing(
    client: httpx.AsyncClient,
) -> None:
    await client.post("/predict", json=patient_json(country="Canada"))
    asked: list[tuple[str, str | int | float | bool | None]] = [
        ("contry", "France"),
        ("contry", "Spain"),
        ("Country", "France"),
        ("country", "Canada"),
    ]
    answer = await client.get("/api/v1/predictions", params=asked)
    assert len(answer.json()["items"]) == 1
