"""The FHIR side: read, search, the operation, and what is answered instead."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx
import pytest

from builders.asgi import connected
from builders.charts import (
    PATIENT,
    SNOMED,
    bmi,
    bundle,
    condition,
    glucose,
    more_pages,
    request,
    smoking,
)

pytestmark = pytest.mark.anyio

BASE: Final = "/fhir/RiskAssessment"
OPERATION: Final = "/fhir/$stroke-risk"


async def assessed(client: httpx.AsyncClient, patient: str = "p1", **changed: Any) -> str:
    text = json.dumps(request(**changed)).replace('"p1"', f'"{patient}"')
    document = json.loads(text.replace("Patient/p1", f"Patient/{patient}"))
    answer = await client.post("/cds-services/stroke-risk", json=document)
    return str(answer.json()["extension"]["stroke.riskAssessment"])


async def found(client: httpx.AsyncClient, query: str) -> list[str]:
    answer = await client.get(f"{BASE}?{query}")
    assert answer.status_code == 200, answer.text
    return [entry["resource"]["id"] for entry in answer.json().get("entry", [])]


async def test_an_assessment_is_read_as_it_was_shown(client: httpx.AsyncClient) -> None:
    answer = await client.post("/cds-services/stroke-risk", json=request())
    [card] = answer.json()["cards"]
    stated = card["suggestions"][0]["actions"][0]["resource"]

    answer = await client.get(f"{BASE}/{card['uuid']}")

    read = answer.json()
    assert answer.headers["content-type"] == "application/fhir+json"
    assert read["id"] == card["uuid"]
    assert read["performer"]["reference"] == "Device/fake-1"
    differs = {"id", "meta", "performer"}
    assert {n: v for n, v in read.items() if n not in differs} == {
        n: v for n, v in stated.items() if n not in differs
    }


async def test_the_only_version_of_an_assessment_is_read_by_its_name(
    client: httpx.AsyncClient, parts: Any
) -> None:
    uuid = await assessed(client)
    read = (await client.get(f"{BASE}/{uuid}")).json()

    version = read["meta"]["versionId"]
    assert (await client.get(f"{BASE}/{uuid}/_history/{version}")).json() == read
    assert (await client.get(f"{BASE}/{uuid}/_history/2")).status_code == 404
    await client.delete(f"/api/v1/predictions/{next(iter(parts.repository.rows))}")
    assert (await client.get(f"{BASE}/{uuid}/_history/{version}")).status_code == 410


async def test_an_erased_assessment_is_gone(client: httpx.AsyncClient, parts: Any) -> None:
    uuid = await assessed(client)
    [number] = parts.repository.rows

    await client.delete(f"/api/v1/predictions/{number}")

    answer = await client.get(f"{BASE}/{uuid}")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (410, "deleted")
    assert await found(client, "patient=p1") == []
    assert await found(client, f"_id={uuid}") == []


@pytest.mark.parametrize("uuid", ["none", "7c1e2d52-3f0c-4d8e-9e55-05c3f5a1b0d2"])
async def test_an_unknown_assessment_is_not_found(client: httpx.AsyncClient, uuid: str) -> None:
    answer = await client.get(f"{BASE}/{uuid}")

    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (404, "not-found")


async def test_a_search_is_narrowed_by_patient_and_date(client: httpx.AsyncClient) -> None:
    one, other = await assessed(client), await assessed(client, "p2")

    for query in (
        "patient=p1",
        "patient=Patient/p1",
        "subject=Patient/p1",
        "patient=https://ehr.example/fhir/Patient/p1",
        f"_id={one}",
        f"_id={one}&patient=p1",
        f"_id={one},00000000-0000-0000-0000-000000000000,{one}",
        f"_id={other},{one}&patient=p1",
    ):
        assert await found(client, query) == [one], query
    assert await found(client, "") == [other, one]
    assert await found(client, f"_id={one}&patient=p2") == []
    assert await found(client, "patient=p3") == []
    assert await found(client, f"_id={one},{other}") == [one, other]
    assert (await client.get(f"{BASE}?_id={','.join(map(str, range(51)))}")).status_code == 422
    for query, there in (
        ("date=ge2020-01-01", True),
        ("date=ge2020&date=lt2100", True),
        ("date=gt2100-01", False),
        ("date=le2020-01-01T00:00:00Z", False),
        ("date=2020", False),
        ("date=ge2020-01-01T00:00:00%2B01:00", True),
        ("date=ge0001-01-01T00:00:00%2B03:00", True),
        ("date=lt0001-01-01T00:00:00%2B03:00", False),
        ("date=lt9999-12-31T23:59:59-03:00", True),
        ("date=gt9999-12-31T23:59:59-03:00", False),
        ("date=le9999", True),
        ("date=le9999-12", True),
        ("date=le9999-12-31", True),
        ("date=gt9999-12-31", False),
    ):
        assert bool(await found(client, query)) is there, query


async def test_a_search_goes_on_page_by_page(client: httpx.AsyncClient) -> None:
    made = [await assessed(client, f"p{number}") for number in range(5)]
    read: list[str] = []
    url: str | None = f"{BASE}?_count=2&date=ge2020"

    while url is not None:
        page = (await client.get(url)).json()
        read += [entry["resource"]["id"] for entry in page.get("entry", [])]
        links = {link["relation"]: link["url"] for link in page["link"]}
        url = links.get("next")

    assert read == made[::-1]


@pytest.mark.parametrize(
    "query",
    [
        *("name=x", "_count=-1", "_count=x", "date=soon", "date=ap2020", "patient=a%20b"),
        *("_cursor=-", "_cursor=8000000000000000", "_count=", "_summary=text", "date=2026,2027"),
        *("patient:missing=true", "patient.name=x", "_id:not=x"),
    ],
)
async def test_a_search_that_is_not_understood_is_refused(
    client: httpx.AsyncClient, query: str
) -> None:
    answer = await client.get(f"{BASE}?{query}")

    assert (answer.status_code, answer.json()["resourceType"]) == (422, "OperationOutcome")


@pytest.mark.parametrize(
    "query",
    [
        "patient=",
        "subject=",
        "patient=&subject=p1",
        "patient=p1&subject=p2",
        "patient=p1&patient=p2",
        "patient=Group/p1",
        "patient=Patient/p2/_history/p1",
        "patient=https://ehr.example/fhir/Group/p1",
        "patient=p1,p2",
    ],
)
async def test_a_search_that_does_not_name_one_patient_shows_nobody(
    client: httpx.AsyncClient, query: str
) -> None:
    await assessed(client)

    answer = await client.get(f"{BASE}?{query}")

    assert answer.status_code == 422
    assert "entry" not in answer.json()


async def test_every_parameter_narrows_a_search_by_id(client: httpx.AsyncClient) -> None:
    one, two, _ = [await assessed(client, f"p{number}") for number in range(3)]
    both = f"_id={one},{two},unknown"

    assert await found(client, f"{both}&date=ge2020") == [one, two]
    assert await found(client, f"{both}&date=lt2020") == []
    assert await found(client, f"{both}&patient=p0") == [one]
    page = (await client.get(f"{BASE}?{both}&_count=1")).json()
    assert [entry["resource"]["id"] for entry in page["entry"]] == [one]
    following = {link["relation"]: link["url"] for link in page["link"]}["next"]
    page = (await client.get(following)).json()
    assert [entry["resource"]["id"] for entry in page["entry"]] == [two]
    assert {link["relation"] for link in page["link"]} == {"self"}


async def test_a_day_that_is_left_out_is_left_out(client: httpx.AsyncClient) -> None:
    own = await assessed(client)
    made = (await client.get(f"{BASE}/{own}")).json()["occurrenceDateTime"]

    assert await found(client, "date=ne2020-01-01") == [own]
    assert await found(client, f"date=ne{made}") == []
    assert await found(client, f"date=ne{made[:10]}&date=ge2020") == []


@pytest.mark.parametrize("query", ["_count=0", "_summary=count", "_count=1&_summary=count"])
async def test_a_search_of_none_says_how_many_there_are(
    client: httpx.AsyncClient, query: str
) -> None:
    for number in range(3):
        await assessed(client, f"p{number % 2}", glucose=bundle(glucose(200 + number)))

    counted = (await client.get(f"{BASE}?{query}&patient=p0")).json()

    assert (counted["total"], "entry" in counted) == (2, False)
    assert [link["relation"] for link in counted["link"]] == ["self"]


async def test_a_page_says_how_many_there_are_where_that_is_asked_for(
    client: httpx.AsyncClient,
) -> None:
    for number in range(3):
        await assessed(client, f"p{number}")

    page = (await client.get(f"{BASE}?_count=2&_total=accurate")).json()
    following = {link["relation"]: link["url"] for link in page["link"]}["next"]

    assert (page["total"], len(page["entry"])) == (3, 2)
    assert (await client.get(following)).json()["total"] == 3
    assert "total" not in (await client.get(f"{BASE}?_count=2")).json()


async def test_a_search_may_stand_in_a_form(client: httpx.AsyncClient) -> None:
    one, two = [await assessed(client, f"p{number}") for number in range(2)]
    url = f"{BASE}/_search"

    answer = await client.post(url, data={"patient": "Patient/p0"})
    assert [entry["resource"]["id"] for entry in answer.json()["entry"]] == [one]
    answer = await client.post(f"{url}?_count=1", data={"date": "ge2020"})
    assert [entry["resource"]["id"] for entry in answer.json()["entry"]] == [two]
    answer = await client.post(f"{url}?patient=p0", data={"patient": "p1"})
    assert (answer.status_code, "entry" in answer.json()) == (422, False)
    for sent, status in (({"json": {}}, 415), ({"content": b"patient=p1"}, 415)):
        answer = await client.post(url, **sent)
        assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")
    form = {"content-type": "application/x-www-form-urlencoded"}
    for body in (b"patient=\xff", b"&".join([b"date=ge2020"] * 101)):
        assert (await client.post(url, content=body, headers=form)).status_code == 400


@pytest.mark.parametrize(
    ("prefer", "status"),
    [
        (None, 422),
        ("handling=strict", 422),
        ("handling=lenient, handling=strict", 422),
        ("handling=lenient", 200),
        ('return=minimal; Handling = "lenient"', 200),
    ],
)
async def test_a_parameter_that_is_not_known_is_passed_over_where_the_client_wants_that(
    client: httpx.AsyncClient, prefer: str | None, status: int
) -> None:
    own = await assessed(client)
    headers = {} if prefer is None else {"Prefer": prefer}

    answer = await client.get(f"{BASE}?patient=p1&_lastUpdated=gt2020&x.y=1", headers=headers)

    assert answer.status_code == status
    if status == 200:
        page = answer.json()
        assert [entry["resource"]["id"] for entry in page["entry"]] == [own]
        assert page["link"][0]["url"].endswith("RiskAssessment?patient=p1")
    for query in ("patient:missing=true", "patient.name=x", "patient=p1&subject=p2"):
        assert (await client.get(f"{BASE}?{query}", headers=headers)).status_code == 422


async def test_a_read_is_labelled_with_the_version(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{BASE}/{await assessed(client)}")

    assert answer.headers["etag"] == 'W/"1"'
    changed = parsedate_to_datetime(answer.headers["last-modified"])
    assert changed == datetime.fromisoformat(answer.json()["meta"]["lastUpdated"]).replace(
        microsecond=0
    )


async def test_the_model_is_a_device(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fhir/Device/fake-1")

    assert answer.json()["version"] == [{"value": "fake-1"}]
    assert (await client.get("/fhir/Device/other")).status_code == 404


async def test_a_model_that_is_served_no_more_is_a_device_while_assessments_refer_to_it(
    client: httpx.AsyncClient, parts: Any
) -> None:
    store = parts.assessments
    await assessed(client)
    [first] = store.kept.values()
    store.kept["former"] = replace(first, id="former", model_version="fake_0 (old)")

    answer = await client.get("/fhir/Device/fake-0--old-")

    assert answer.status_code == 200
    assert (answer.json()["id"], answer.json()["status"]) == ("fake-0--old-", "inactive")
    assert answer.json()["version"] == [{"value": "fake_0 (old)"}]
    read = (await client.get(f"{BASE}/former")).json()
    assert read["performer"]["reference"] == "Device/fake-0--old-"


FORMATS: Final = [
    ({"_format": "json"}, "text/html", 200),
    ({"_format": "application/fhir+json"}, "application/fhir+xml", 200),
    ({"_format": "application/fhir+json; fhirVersion=4.0"}, None, 200),
    ({"_format": "JSON"}, None, 200),
    ({"_format": "xml"}, "application/fhir+json", 406),
    ({"_format": "application/fhir+json; fhirVersion=4.0.1"}, None, 200),
    ({"_format": "application/fhir+json; fhirVersion=5.0"}, None, 406),
    ({}, "application/fhir+json; fhirVersion=3.0", 406),
    ({}, 'application/fhir+json; FHIRVersion="5.0"', 406),
    ({}, "application/fhir+json; fhirVersion=5.0, application/fhir+json; fhirVersion=4.0", 200),
    ({}, "application/fhir+json; fhirVersion=5.0, */*;q=0.1", 200),
    ({"_format": "application/fhir+xml"}, None, 406),
    ({"_format": "text/xml"}, None, 406),
    ({"_format": "ttl"}, None, 406),
    ({"_format": ["json", "xml"]}, None, 406),
    ({"_format": ""}, None, 200),
    ({}, None, 200),
    ({}, "", 200),
    ({}, "*/*", 200),
    ({}, "application/*", 200),
    ({}, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", 200),
    ({}, "application/fhir+xml;q=1.0, application/fhir+json;q=0.5", 200),
    ({}, "application/json+fhir", 200),
    ({}, "application/fhir+json; fhirVersion=4.0", 200),
    ({}, "application/fhir+xml", 406),
    ({}, "application/xml, text/xml", 406),
    ({}, "application/fhir+json;q=0", 406),
    ({}, "text/turtle", 406),
]


@pytest.mark.parametrize(("query", "accept", "status"), FORMATS)
async def test_whoever_wants_another_format_than_json_is_refused(
    client: httpx.AsyncClient, query: dict[str, Any], accept: str | None, status: int
) -> None:
    del client.headers["accept"]
    headers = {} if accept is None else {"Accept": accept}

    for path in ("/fhir/metadata", BASE, "/fhir/Device/fake-1"):
        answer = await client.get(path, params=query, headers=headers)

        assert answer.status_code == status, path
        assert answer.headers["content-type"] == "application/fhir+json"
        if status == 406:
            [issue] = answer.json()["issue"]
            assert (answer.json()["resourceType"], issue["code"]) == (
                "OperationOutcome",
                "not-supported",
            )


@pytest.mark.parametrize(("version", "status"), [("4.0", 200), ('"4.0.1"', 200), ("5.0", 415)])
async def test_a_body_of_another_version_of_fhir_is_refused(
    client: httpx.AsyncClient, version: str, status: int
) -> None:
    body = bundle(PATIENT, bmi(), glucose(), smoking(), condition("c", SNOMED, "1"))
    kind = {"Content-Type": f"application/fhir+json; fhirVersion={version}"}

    answer = await client.post(OPERATION, content=json.dumps(body), headers=kind)

    assert answer.status_code == status


async def test_a_plus_that_was_not_escaped_is_still_one(client: httpx.AsyncClient) -> None:
    assert (await client.get("/fhir/metadata?_format=application/fhir+json")).status_code == 200


async def test_what_is_not_fhir_is_not_asked_for_its_format(client: httpx.AsyncClient) -> None:
    for path in ("/cds-services", "/health/live"):
        answer = await client.get(path, params={"_format": "xml"}, headers={"Accept": "text/xml"})
        assert answer.status_code == 200


async def test_the_operation_takes_a_bundle_within_parameters(client: httpx.AsyncClient) -> None:
    document = whole(condition("c1", SNOMED, "53741008"))
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "note", "valueString": "x"}, {"name": "any", "resource": document}],
    }

    alone, within = [await client.post(OPERATION, json=each) for each in (document, parameters)]

    assert alone.status_code == within.status_code == 200
    assert alone.json()["id"] == within.json()["id"]


@pytest.mark.parametrize(
    "listed", [None, [], [{"name": "a"}], [{"resource": {}}, {"resource": {}}], 7, ["x"]]
)
async def test_parameters_without_one_resource_are_refused(
    client: httpx.AsyncClient, listed: Any
) -> None:
    answer = await client.post(OPERATION, json={"resourceType": "Parameters", "parameter": listed})

    assert answer.status_code == 422
    [issue] = answer.json()["issue"]
    assert issue["expression"] == ["parameter"]


TWO: Final = [{"name": "bundle", "resource": bundle(PATIENT, PATIENT | {"id": "p2"})}]


async def test_parameters_choose_as_the_url_does(client: httpx.AsyncClient) -> None:
    patient = {"name": "patient"}
    none, some = ({"name": "conditions", "valueCode": each} for each in ("none", "some"))
    cases: list[tuple[str, list[Any], int]] = [
        ("", [], 422),  # which of the two?
        ("", [patient | {"valueString": "p2"}], 412),
        ("", [patient | {"valueId": "p2"}], 412),
        ("", [patient | {"valueReference": {"reference": "Patient/p2"}}], 412),
        ("", [patient | {"valueUri": "https://ehr.example/fhir/Patient/p2"}], 412),
        ("?patient=p2", [], 412),
        ("?patient=p2", [none], 422),  # it lacks all else
        ("?patient=p2", [some], 422),
        ("", [patient | {"valueString": "p3"}], 422),
        ("", [patient | {"valueReference": {}}], 422),
        ("", [patient | {"valueInteger": 2}], 422),
        ("", [patient], 422),
        ("", [patient | {"valueString": "p1"}] * 2, 422),
        ("?patient=p1", [patient | {"valueString": "p1"}], 422),
        ("?patient=p1&patient=p2", [], 422),
    ]
    for query, parameters, status in cases:
        document = {"resourceType": "Parameters", "parameter": [*TWO, *parameters]}
        answer = await client.post(OPERATION + query, json=document)
        assert answer.status_code == status, (query, parameters, answer.text)
        assert answer.json()["resourceType"] == "OperationOutcome"


async def test_the_operation_is_announced_and_says_what_it_takes(
    client: httpx.AsyncClient,
) -> None:
    [server] = (await client.get("/fhir/metadata")).json()["rest"]
    [announced] = server["operation"]

    found = (await client.get("/fhir" + announced["definition"].partition("/fhir")[2])).json()

    assert announced["name"] == found["code"] == OPERATION.partition("$")[2]
    assert found["url"] == announced["definition"]
    assert {(each["name"], each["use"]) for each in found["parameter"]} == {
        ("bundle", "in"),
        ("patient", "in"),
        ("conditions", "in"),
        ("return", "out"),
    }


async def test_metadata_says_what_can_be_asked(parts_with: Callable[..., Any]) -> None:
    parts = parts_with(clinical={"public_url": "https://risk.example/x"})
    async with connected(parts.app) as client:
        found = (await client.get("/fhir/metadata")).json()
        uuid = await assessed(client)
        page = (await client.get(f"{BASE}?patient=p1")).json()

    assert found["fhirVersion"] == "4.0.1"
    assert found["implementation"]["url"] == "https://risk.example/x/fhir"
    assert page["entry"][0]["fullUrl"] == f"https://risk.example/x/fhir/RiskAssessment/{uuid}"


def whole(*resources: dict[str, Any]) -> dict[str, Any]:
    return bundle(PATIENT, bmi(), glucose(), smoking(), *resources)


HEART: Final = condition("c1", SNOMED, "53741008")


async def test_a_bundle_becomes_a_risk_assessment(client: httpx.AsyncClient, parts: Any) -> None:
    headers = {"Content-Type": "application/fhir+json; charset=utf-8"}

    answer = await client.post(OPERATION, content=json.dumps(whole(HEART)), headers=headers)

    made = answer.json()
    assert (answer.status_code, made["resourceType"]) == (200, "RiskAssessment")
    assert await found(client, "patient=p1") == [made["id"]]
    [kept] = parts.repository.rows.values()
    assert kept.heart_disease == 1


@pytest.mark.parametrize(
    ("document", "query", "status"),
    [
        (whole(), "", 412),
        (whole(), "?conditions=none", 200),
        (whole(HEART), "?conditions=some", 422),
        (whole(HEART, PATIENT | {"id": "p2"}), "", 422),
        (whole(HEART, PATIENT | {"id": "p2"}), "?patient=p1", 200),
        (more_pages(PATIENT, HEART), "", 422),
        ({"resourceType": "Patient"}, "", 422),
        (whole(condition("s", SNOMED, "230690007")), "", 422),
        (bundle(PATIENT, HEART), "", 422),
    ],
)
async def test_a_bundle_that_cannot_be_assessed_is_refused(
    client: httpx.AsyncClient, document: dict[str, Any], query: str, status: int
) -> None:
    answer = await client.post(f"{OPERATION}{query}", json=document)

    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.json()["resourceType"] == "OperationOutcome"
