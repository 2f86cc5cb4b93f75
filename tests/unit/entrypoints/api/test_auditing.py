"""What callers do is in the audit trail, and nothing of a patient is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from builders.asgi import connected
from builders.predictions import patient_json
from stroke.application.access.keys import KeyService
from stroke.container.clock import utc_now
from stroke.domain.errors import StoreUnavailable
from stroke.entrypoints.api.access import needed_by
from stroke.entrypoints.api.auditing import written_of

pytestmark = pytest.mark.anyio
OUTCOME = {
    "stroke": True,
    "date": utc_now().date().isoformat(),
    "source": "CANARY register",
}
# These show or change no patient's data; the creation of a prediction is on its own row.
NOT_WRITTEN = {
    "/predict",
    "/api/v1/predict",
    "/api/v1/predictions:batch",
    "/api/v1/what-if",
    "/model_info",
    "/api/v1/models/{version}/card",
    "/api/v1/models",
    "/api/v1/models/deployments",
    "/api/v1/models/agreement",
    "/api/v1/models/deployment",  # its use case writes the change, with the model's version
    "/metrics",
    "/ui",
    "/ui/estimate",
    "/ui/what-if",
    "/ui/save",
    "/ui/batch",
    "/ui/model",
    "/ui/platform",
    "/ui/model/deployment",
    "/cds-services",
    "/cds-services/stroke-risk",
    "/cds-services/stroke-risk/feedback",
    "/fhir/$stroke-risk",
    "/fhir/Device/{version}",
    # As of every prediction, the row says who made it.
    *(
        f"/v2/models/{{model_name}}{version}{last}"
        for version in ("", "/versions/{model_version}")
        for last in ("", "/ready", "/infer", "/explain")
    ),
}


class Stage:
    """A client with a key of the site north, and what the trail holds."""

    def __init__(self, parts: Any, client: httpx.AsyncClient, key: str) -> None:
        self.parts = parts
        self.client = client
        self.key = key

    async def take_key(self, *scopes: str, site: str = "north") -> str:
        keys = KeyService(self.parts.keys, now=utc_now)
        made = await keys.create(name="n", site=site, scopes=scopes)
        self.client.headers["X-API-Key"] = made.text
        return made.key.id

    @property
    def entries(self) -> list[tuple[str, str | None, str]]:
        events = [each.event for each in self.parts.audit.kept]
        return [(str(each.action), each.target, str(each.outcome)) for each in events]


@pytest.fixture
async def stage(parts: Any) -> AsyncIterator[Stage]:
    keys = KeyService(parts.keys, now=utc_now)
    made = await keys.create(name="first", site="north", scopes=["admin"])
    async with connected(parts.app) as client:
        client.headers["X-API-Key"] = made.text
        yield Stage(parts, client, made.key.id)


async def stored(stage: Stage) -> int:
    answer = await stage.client.post("/api/v1/predict", json=patient_json(name="CANARY"))
    assert answer.status_code == 200, answer.text
    return int(answer.json()["prediction_id"])


async def test_each_route_to_patients_data_is_written_down(parts: Any) -> None:
    routes = [each for each in parts.app.routes if isinstance(each, APIRoute)]
    guarded = [each for each in routes if needed_by(each.endpoint) is not None]
    without = {each.path for each in guarded if written_of(each.endpoint) is None}
    assert without == NOT_WRITTEN


async def test_reads_lists_erasures_and_outcomes_leave_entries(stage: Stage) -> None:
    number = await stored(stage)
    path = f"/api/v1/predictions/{number}"
    assert stage.entries == []

    await stage.client.get(path)
    await stage.client.get("/api/v1/predictions", params={"country": "CANARY", "limit": 3})
    await stage.client.get("/predictions")
    await stage.client.put(f"{path}/outcome", json=OUTCOME)
    await stage.client.get(f"{path}/outcome")
    await stage.client.delete(f"{path}/outcome")
    await stage.client.delete(path)
    await stage.client.get(path)

    target = str(number)
    assert stage.entries == [
        ("prediction.read", target, "done"),
        ("prediction.list", "country limit", "done"),
        ("prediction.list", "everything", "done"),
        ("outcome.write", target, "asked"),
        ("outcome.write", target, "done"),
        ("outcome.read", target, "done"),
        ("outcome.erase", target, "asked"),
        ("outcome.erase", target, "done"),
        ("prediction.erase", target, "asked"),
        ("prediction.erase", target, "done"),
        ("prediction.read", target, "not-found"),
    ]
    assert "CANARY" not in repr(stage.parts.audit.kept)


async def test_a_file_of_rows_is_written_down_as_an_export(stage: Stage) -> None:
    await stored(stage)
    file = await stage.client.get("/ui/history.csv", params={"q": "CANARY", "country": "CANARY"})
    assert file.headers["content-type"].startswith("text/csv")
    [(action, target, outcome)] = stage.entries
    assert (action, outcome) == ("data.export", "done")
    assert target is not None
    assert "CANARY" not in target


async def test_an_entry_names_the_caller_its_site_and_the_request(stage: Stage) -> None:
    await stage.client.get("/predictions", headers={"X-Request-ID": "from-the-ward-7"})
    [entry] = stage.parts.audit.kept
    assert entry.event.actor == f"key:{stage.key}"
    assert (entry.event.site, entry.event.request_id) == ("north", "from-the-ward-7")


async def test_names_of_parameters_that_no_route_knows_are_not_written(stage: Stage) -> None:
    await stage.client.get("/api/v1/predictions?CANARY=1&limit=2")
    assert stage.entries == [("prediction.list", "limit", "done")]


@pytest.mark.parametrize("path", ["CANARY", "John%20Doe", "1e5", "9" * 30, "\u0661"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_what_stands_for_an_id_and_is_none_is_not_written(
    stage: Stage, method: str, path: str
) -> None:
    await stage.client.request(method, f"/api/v1/predictions/{path}")
    assert {target for _, target, _ in stage.entries} <= {"an id that is none"}


async def test_what_cannot_be_written_down_is_not_shown_and_not_done(stage: Stage) -> None:
    number = await stored(stage)
    stage.parts.audit.failing = StoreUnavailable("away")
    path = f"/api/v1/predictions/{number}"

    for method in ("GET", "DELETE"):
        assert (await stage.client.request(method, path)).status_code == 503

    stage.parts.audit.failing = None
    assert (await stage.client.get(path)).status_code == 200


async def test_refused_attempts_are_written_down_but_not_without_end(stage: Stage) -> None:
    reader = await stage.take_key("read")
    assert (await stage.client.delete("/api/v1/predictions/7")).status_code == 403
    stage.client.headers["X-API-Key"] = "CANARY"
    for _ in range(100):
        assert (await stage.client.get("/api/v1/predictions/7")).status_code == 401

    events = [each.event for each in stage.parts.audit.kept]
    assert len(events) == 60
    first, second = events[:2]
    assert (first.actor, first.site) == (f"key:{reader}", "north")
    assert first.target == "DELETE /api/v1/predictions/{prediction_id}"
    assert second.actor.startswith("address:")
    assert {each.outcome for each in events} == {"refused"}
    assert "CANARY" not in repr(events)


async def test_a_refusal_stays_one_when_it_cannot_be_written_down(stage: Stage) -> None:
    stage.parts.audit.failing = StoreUnavailable("away")
    stage.client.headers["X-API-Key"] = "wrong"
    assert (await stage.client.get("/predictions")).status_code == 401


async def test_a_request_that_is_refused_for_what_it_says_leaves_no_entry(stage: Stage) -> None:
    answer = await stage.client.get("/api/v1/predictions", params={"limit": "CANARY"})
    assert answer.status_code == 422
    assert stage.entries == []


async def test_where_everybody_may_call_nobody_is_written_down(parts: Any) -> None:
    async with connected(parts.app) as client:
        assert (await client.get("/predictions")).status_code == 200
    assert parts.audit.kept == []


async def test_the_trail_is_listed_page_by_page_and_the_listing_is_in_it(stage: Stage) -> None:
    for _ in range(5):
        await stage.client.get("/predictions")

    first = (await stage.client.get("/api/v1/audit", params={"limit": 3})).json()
    rest = await stage.client.get("/api/v1/audit", params={"cursor": first["next_cursor"]})

    numbers = [each["number"] for each in (*first["items"], *rest.json()["items"])]
    assert numbers == [5, 4, 3, 2, 1]
    assert rest.json()["next_cursor"] is None
    assert [action for action, *_ in stage.entries[5:]] == ["audit.read"] * 2
    narrowed = await stage.client.get("/api/v1/audit", params={"action": "audit.read"})
    assert [each["number"] for each in narrowed.json()["items"]] == [7, 6]


async def test_a_site_sees_what_was_done_for_itself_only(stage: Stage) -> None:
    await stage.client.get("/predictions")
    await stage.take_key("audit", site="south")
    assert (await stage.client.get("/api/v1/audit")).json()["items"] == []
    await stage.take_key("audit", "all-sites", site="south")
    seen = (await stage.client.get("/api/v1/audit")).json()["items"]
    assert {each["site"] for each in seen} == {"north", "south"}
