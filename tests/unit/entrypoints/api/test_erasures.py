"""Erasures from every place, asked for over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest

from builders.asgi import connected
from builders.predictions import NOON, patient_json
from stroke.application.access.keys import KeyService
from stroke.application.erasure.ports import JobResult, Retained
from stroke.container.clock import utc_now

pytestmark = pytest.mark.anyio
PATH: Final = "/api/v1/erasures"


class Ward:
    """A service with callers of two sites, and one of all."""

    def __init__(self, parts: Any, client: httpx.AsyncClient) -> None:
        self.parts = parts
        self._client = client
        self._keys: dict[str, str] = {}

    async def add(self, name: str, *scopes: str) -> None:
        keys = KeyService(self.parts.keys, now=utc_now)
        made = await keys.create(name=name, site=name, scopes=("predict", "erase", *scopes))
        self._keys[name] = made.text

    async def call(self, who: str, method: str, path: str, **sent: Any) -> httpx.Response:
        headers = {"X-API-Key": self._keys[who], **sent.pop("headers", {})}
        return await self._client.request(method, path, headers=headers, **sent)

    async def ask(self, who: str, *ids: Any, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.call(who, "POST", PATH, json={"ids": ids}, headers=named)

    async def stored(self, who: str) -> int:
        answer = await self.call(who, "POST", "/predict", json=patient_json())
        return int(answer.json()["prediction_id"])


@pytest.fixture
async def ward(parts: Any) -> AsyncIterator[Ward]:
    async with connected(parts.app) as client:
        ward = Ward(parts, client)
        await ward.add("north")
        await ward.add("south")
        await ward.add("centre", "all-sites")
        yield ward


async def test_an_erasure_is_accepted_as_a_job_that_can_be_looked_at(ward: Ward) -> None:
    number = await ward.stored("north")

    answer = await ward.ask("north", number, number)

    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["Location"] == f"{PATH}/{job['id']}"
    assert (job["state"], job["ids"], job["not_found"], job["ended_at"]) == ("queued", 1, [], None)
    assert (await ward.call("north", "GET", answer.headers["Location"])).json() == job


async def test_a_finished_job_says_what_it_did_and_what_is_kept_until_when(ward: Ward) -> None:
    number = await ward.stored("north")
    job = (await ward.ask("north", number)).json()
    jobs = ward.parts.erasures
    await jobs.claim("w", now=utc_now(), until=utc_now())
    kept = (Retained("MySQL's binlog", NOON), Retained("a tape", None))
    result = JobResult((number,), (), {"database": 2}, kept)
    await jobs.finish(job["id"], "w", result, at=NOON)

    shown = (await ward.call("north", "GET", f"{PATH}/{job['id']}")).json()

    assert (shown["state"], shown["erased"], shown["removed"]) == (
        "done",
        [number],
        {"database": 2},
    )
    assert [each["what"] for each in shown["kept"]] == ["MySQL's binlog", "a tape"]
    assert shown["kept"][1]["until"] is None
    assert shown["ended_at"] is not None


async def test_why_an_attempt_failed_is_said(ward: Ward) -> None:
    job = (await ward.ask("centre", 7)).json()
    jobs = ward.parts.erasures
    await jobs.claim("w", now=utc_now(), until=utc_now())
    await jobs.put_back(job["id"], "w", "the lake is behind", not_before=utc_now())

    shown = (await ward.call("centre", "GET", f"{PATH}/{job['id']}")).json()

    assert (shown["state"], shown["attempts"]) == ("queued", 1)
    assert shown["detail"] == "the lake is behind"


async def test_another_sites_rows_are_not_found_and_not_erased(ward: Ward) -> None:
    mine, theirs = await ward.stored("north"), await ward.stored("south")

    answer = await ward.ask("north", mine, theirs, 10**6)

    assert answer.status_code == 202
    assert answer.json()["not_found"] == [theirs, 10**6]
    [job] = ward.parts.erasures.jobs.values()
    assert (job.ids, job.site) == ((mine,), "north")


async def test_an_erasure_of_another_sites_rows_alone_is_as_one_of_nobodys(ward: Ward) -> None:
    theirs = await ward.stored("south")
    same = {"X_Request_ID": "same"}

    other, nobody = await ward.ask("north", theirs, **same), await ward.ask("north", 10**6, **same)

    assert other.status_code == nobody.status_code == 404
    assert other.text == nobody.text
    assert not ward.parts.erasures.jobs


async def test_another_sites_job_is_not_found(ward: Ward) -> None:
    job = (await ward.ask("north", await ward.stored("north"))).json()

    found = {w: await ward.call(w, "GET", f"{PATH}/{job['id']}") for w in ("south", "centre")}
    nobodys = await ward.call("south", "GET", f"{PATH}/{'0' * 32}")

    assert found["centre"].json()["id"] == job["id"]
    assert found["south"].status_code == nobodys.status_code == 404
    assert found["south"].json()["type"] == nobodys.json()["type"]


async def test_whoever_has_all_sites_may_name_rows_that_are_gone(ward: Ward) -> None:
    answer = await ward.ask("centre", 10**6)

    assert answer.status_code == 202
    [job] = ward.parts.erasures.jobs.values()
    assert (job.ids, job.site) == ((10**6,), None)


async def test_a_retry_with_the_same_key_gets_the_same_job(ward: Ward) -> None:
    first, second = await ward.stored("north"), await ward.stored("north")
    job = (await ward.ask("north", first, Idempotency_Key="k")).json()

    again = await ward.ask("north", first, Idempotency_Key="k")
    another = await ward.ask("north", second, Idempotency_Key="k")
    of_another_site = await ward.ask("centre", first, Idempotency_Key="k")

    assert (again.status_code, again.json()) == (202, job)
    assert another.status_code == 409
    assert another.json()["type"] == "urn:stroke:problem:idempotency-key-reused"
    assert of_another_site.json()["id"] != job["id"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ids": []},
        {"ids": [0]},
        {"ids": [-1]},
        {"ids": [2**63]},
        {"ids": ["7"]},
        {"ids": [7.5]},
        {"ids": [float(2**53)]},
        {"ids": [1e300]},
        {"ids": [True]},
        {"ids": [None]},
        {"ids": 7},
        {"ids": [1] * 10_001},
        [7],
    ],
)
async def test_what_names_no_predictions_is_refused(ward: Ward, body: object) -> None:
    answer = await ward.call("centre", "POST", PATH, json=body)
    assert answer.status_code == 422
    assert not ward.parts.erasures.jobs


async def test_a_whole_number_is_an_id_however_it_is_written(ward: Ward) -> None:
    number = await ward.stored("north")

    answer = await ward.ask("north", float(number))

    assert answer.status_code == 202
    assert (answer.json()["ids"], answer.json()["not_found"]) == (1, [])


@pytest.mark.parametrize("job_id", ["0", "x" * 32, "A" * 32, "0" * 33])
async def test_what_is_no_id_of_a_job_is_refused(ward: Ward, job_id: str) -> None:
    assert (await ward.call("centre", "GET", f"{PATH}/{job_id}")).status_code == 422


async def test_the_trail_says_who_asked_and_who_looked(ward: Ward) -> None:
    job = (await ward.ask("centre", 7)).json()
    await ward.call("centre", "GET", f"{PATH}/{job['id']}")
    await ward.ask("north", 7)

    events = [each.event for each in ward.parts.audit.kept]
    assert [(str(each.action), each.target, str(each.outcome)) for each in events] == [
        ("erasure.ask", "what its body names", "asked"),
        ("erasure.ask", "what its body names", "done"),
        ("erasure.read", job["id"], "done"),
        ("erasure.ask", "what its body names", "asked"),
        ("erasure.ask", "what its body names", "not-found"),
    ]


async def test_patients_of_record_systems_are_named_in_the_body_and_nowhere_else(
    ward: Ward,
) -> None:
    ours, theirs = await ward.stored("north"), await ward.stored("south")
    server = "https://ehr.example/fhir"
    ward.parts.subjects.charts = [
        ("Secret-17", server, ours, "north"),
        ("Secret-17", server, theirs, "south"),
    ]

    answer = await ward.call(
        "north", "POST", PATH, json={"subjects": [f"{server}/Patient/Secret-17"]}
    )

    assert answer.status_code == 202
    [job] = ward.parts.erasures.jobs.values()
    assert job.ids == (ours,)
    assert "Secret" not in answer.text
    assert "Secret" not in repr(ward.parts.audit.kept)
    other = await ward.call("south", "POST", PATH, json={"subjects": ["Secret-18"]})
    assert other.status_code == 404
    assert "Secret" not in other.text


async def test_a_patient_of_several_servers_is_not_guessed(ward: Ward) -> None:
    one, other = await ward.stored("north"), await ward.stored("north")
    ward.parts.subjects.charts = [
        ("Secret-17", "https://a.example", one, "north"),
        ("Secret-17", None, other, "north"),
    ]

    answer = await ward.call("north", "POST", PATH, json={"subjects": ["Patient/Secret-17"]})

    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:stroke:problem:ambiguous-subject"
    assert "Secret" not in answer.text
    assert not ward.parts.erasures.jobs


@pytest.mark.parametrize(
    "body", [{}, {"subjects": []}, {"subjects": ["Secret 17"]}, {"subjects": "17"}, {"ids": []}]
)
async def test_a_request_that_names_nobody_is_refused(ward: Ward, body: dict[str, Any]) -> None:
    answer = await ward.call("north", "POST", PATH, json=body)
    assert answer.status_code == 422
    assert "Secret" not in answer.text
