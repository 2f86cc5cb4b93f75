"""CDS Hooks: discovery, cards, what is refused, and feedback."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, Final
from uuid import UUID

import httpx
import pytest

from builders.asgi import connected
from builders.charts import (
    ABSENT,
    ICD10,
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
from fakes.clinical import FakeRecordServer
from stroke.application.access.keys import KeyService
from stroke.container.clock import utc_now
from stroke.entrypoints.api.cards import escaped

pytestmark = pytest.mark.anyio

URL: Final = "/cds-services/stroke-risk"
HYPERTENSION: Final = condition("c9", ICD10, "I10")


async def hook(client: httpx.AsyncClient, **changed: Any) -> httpx.Response:
    return await client.post(URL, json=request(**changed))


async def card(client: httpx.AsyncClient, **changed: Any) -> dict[str, Any]:
    answer = await hook(client, **changed)
    assert answer.status_code == 200, answer.text
    [found] = answer.json()["cards"]
    return dict(found)


async def test_discovery_asks_for_what_the_mapping_reads(client: httpx.AsyncClient) -> None:
    [service] = (await client.get("/cds-services")).json()["services"]

    assert (service["hook"], service["id"], service["hookVersion"]) == (
        "patient-view",
        "stroke-risk",
        "1.0",
    )
    assert {"description", "title", "version", "usageRequirements"} < service.keys()
    assert set(service["prefetch"]) == set(request()["prefetch"])
    for template in service["prefetch"].values():
        assert "desc" not in template
        assert set(re.findall(r"{{(.*?)}}", template)) == {"context.patientId"}
        if template.startswith("Observation"):
            assert "_sort=-date" in template
            assert "http://loinc.org|" in template
    assert "clinical-status" not in service["prefetch"]["conditions"]


async def test_a_card_says_the_risk_and_why_and_can_be_saved(client: httpx.AsyncClient) -> None:
    answer = await hook(client)

    [found] = answer.json()["cards"]
    assert found["summary"] == "Stroke risk 13.0% (Medium)"
    assert found["indicator"] == "info"
    assert found["source"]["label"] == "stroke"
    assert UUID(found["uuid"]).version == 5
    assert "Age raises the risk (+1.10 in log-odds)" in found["detail"]
    assert "| age | 67 | +1.10 | from the birth date |" in found["detail"]
    assert "is no diagnosis" in found["detail"]
    assert all(reason["display"] for reason in found["overrideReasons"])
    [suggestion] = found["suggestions"]
    [action] = suggestion["actions"]
    resource = action["resource"]
    assert (action["type"], resource["subject"]) == ("create", {"reference": "Patient/p1"})
    assert {each["reference"] for each in resource["basis"]} == {
        "Patient/p1",
        "Condition/c1",
        "Observation/glu1",
        "Observation/bmi1",
        "Observation/smo1",
    }
    assert answer.json()["extension"] == {"stroke.riskAssessment": found["uuid"]}


async def test_the_probability_of_a_risk_assessment_is_a_percentage(
    client: httpx.AsyncClient, parts: Any
) -> None:
    found = await card(client)

    [prediction] = found["suggestions"][0]["actions"][0]["resource"]["prediction"]
    [row] = parts.repository.rows.values()
    assert prediction["probabilityDecimal"] == round(100 * row.probability, 4)
    assert prediction["probabilityDecimal"] > 1
    assert not [name for name in prediction if name.startswith("when")]
    assert "year" not in json.dumps(found)


async def test_summaries_are_short_enough_whatever_is_lacking(client: httpx.AsyncClient) -> None:
    nobody = {"resourceType": "Patient", "id": "p1"}

    found = await card(client, patient=nobody, glucose=bundle(), bmi=bundle())

    assert found["summary"] == (
        "Stroke risk not assessed: the record lacks sex and age and glucose and BMI"
    )
    assert len(found["summary"]) < 140
    assert "suggestions" not in found


@pytest.mark.parametrize(
    "changed",
    [
        {"patient": PATIENT | {"birthDate": "2015-01-01"}},
        {"patient": PATIENT | {"deceasedBoolean": True}},
        {"conditions": condition("s", SNOMED, "230690007")},
    ],
    ids=["a minor", "deceased", "a recorded stroke"],
)
async def test_some_patients_get_no_card_and_no_prediction(
    client: httpx.AsyncClient, parts: Any, changed: dict[str, Any]
) -> None:
    answer = await hook(client, **changed)

    assert (answer.status_code, answer.json()) == (200, {"cards": []})
    assert parts.repository.rows == {}


async def test_a_card_links_to_a_page_that_is_published(parts_with: Callable[..., Any]) -> None:
    parts = parts_with(clinical={"public_url": "https://risk.example"})
    async with connected(parts.app) as client:
        [link] = (await card(client))["links"]
        answer = await client.get(link["url"].removeprefix("https://risk.example"))

    # The edge keeps /docs and /metrics back.
    assert link["url"] == "https://risk.example/ui/model"
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_low_risk_is_stored_and_shows_no_card(
    client: httpx.AsyncClient, parts: Any
) -> None:
    answer = await hook(client, patient=PATIENT | {"birthDate": "2000-01-01"})

    assert answer.json()["cards"] == []
    [row] = parts.repository.rows.values()
    assert row.risk_category == "Low"
    assert answer.json()["extension"]["stroke.riskAssessment"]


async def test_the_band_from_which_on_cards_are_shown_is_a_setting(
    parts_with: Callable[..., Any],
) -> None:
    for band, shown in (("Low", 1), ("High", 0)):
        async with connected(parts_with(clinical={"card_from": band}).app) as client:
            answer = await hook(client)
            assert len(answer.json()["cards"]) == shown


async def test_a_card_about_what_is_lacking_is_a_setting(parts_with: Callable[..., Any]) -> None:
    async with connected(parts_with(clinical={"card_when_lacking": False}).app) as client:
        assert (await hook(client, glucose=bundle())).json() == {"cards": []}


async def test_a_companion_is_said_on_the_card(tolerant: httpx.AsyncClient) -> None:
    found = await card(tolerant, glucose=bundle(glucose(5.4)))

    assert found["summary"].endswith("(Low), without glucose") or "without glucose" in str(found)
    assert "a companion model that works without it" in found["detail"]
    assert "the glucose of 2026-10-01 was not used" in found["detail"]


@pytest.mark.parametrize(
    ("changed", "places"),
    [
        ({"glucose": ABSENT}, ["prefetch.glucose"]),
        ({"conditions": ABSENT}, ["prefetch.conditions"]),
        ({"conditions": more_pages()}, ["prefetch.conditions"]),
        ({"patient": None}, ["prefetch.patient"]),
        ({"patient": PATIENT | {"id": "p2"}}, ["prefetch.patient"]),
        ({"bmi": ABSENT, "body": ABSENT}, ["prefetch.bmi", "prefetch.body"]),
    ],
)
async def test_what_was_not_sent_is_412_and_named(
    client: httpx.AsyncClient, parts: Any, changed: dict[str, Any], places: list[str]
) -> None:
    answer = await hook(client, **changed)

    outcome = answer.json()
    assert answer.status_code == 412
    assert answer.headers["content-type"] == "application/fhir+json"
    assert outcome["resourceType"] == "OperationOutcome"
    assert [issue["expression"] for issue in outcome["issue"]] == [[each] for each in places]
    assert {issue["code"] for issue in outcome["issue"]} == {"required"}
    assert parts.repository.rows == {}


async def test_a_request_without_prefetch_is_412(client: httpx.AsyncClient) -> None:
    bare = {name: value for name, value in request().items() if name != "prefetch"}

    assert (await client.post(URL, json=bare)).status_code == 412


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"hook": "order-sign"}, "hook"),
        ({"hook": None}, "hook"),
        ({"hookInstance": ""}, "hookInstance"),
        ({"hookInstance": None}, "hookInstance"),
        ({"hookInstance": "x" * 65}, "hookInstance"),
        ({"context": []}, "context"),
        ({"context": {}}, "context.patientId"),
        ({"context": {"patientId": "p1/../p2"}}, "context.patientId"),
        ({"context": {"patientId": "p\n1"}}, "context.patientId"),
        ({"context": {"patientId": "p" * 200}}, "context.patientId"),
        ({"fhirServer": 7}, "fhirServer"),
    ],
)
async def test_a_wrong_field_is_named_and_not_quoted(
    client: httpx.AsyncClient, changed: dict[str, Any], place: str
) -> None:
    answer = await client.post(URL, json=request() | changed)

    [issue] = answer.json()["issue"]
    assert answer.status_code == 422
    assert issue["expression"] == [place]
    assert "p2" not in answer.text


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"7", b'"x"', b"\xff", b"null"])
async def test_what_is_no_json_object_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}

    answer = await client.post(URL, content=body, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_every_error_under_the_two_paths_is_an_operation_outcome(
    client: httpx.AsyncClient,
) -> None:
    for method, path, status in (
        ("GET", "/cds-services/other", 404),
        ("DELETE", "/cds-services", 405),
        ("POST", URL, 415),
        ("GET", "/fhir/Patient", 404),
        ("GET", "/fhir", 404),
    ):
        answer = await client.request(method, path)
        assert answer.status_code == status, path
        [issue] = answer.json()["issue"]
        assert issue["diagnostics"].endswith(answer.headers["X-Request-ID"])
    assert (await client.get("/fhirx")).headers["content-type"] == "application/problem+json"


async def test_the_same_chart_opened_again_is_the_same_prediction(
    client: httpx.AsyncClient, parts: Any
) -> None:
    first = await card(client)
    again = request() | {"hookInstance": "7c1e2d52-3f0c-4d8e-9e55-05c3f5a1b0d2"}

    [second] = (await client.post(URL, json=again)).json()["cards"]

    assert second == first
    assert len(parts.repository.rows) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"smoking": smoking("266919005")},
        {"conditions": bundle(condition("c1", SNOMED, "53741008"), HYPERTENSION)},
    ],
)
async def test_another_measurement_is_another_prediction(
    client: httpx.AsyncClient, parts: Any, changed: dict[str, Any]
) -> None:
    first = await card(client)

    other = await card(client, **changed)

    assert other["uuid"] != first["uuid"]
    assert len(parts.repository.rows) == 2


async def test_a_server_with_a_slash_behind_it_is_the_same_server(
    client: httpx.AsyncClient, parts: Any
) -> None:
    base = str(request()["fhirServer"])

    found = []
    for server in (base, f"{base}/"):
        answer = await client.post(URL, json=request() | {"fhirServer": server})
        found.append(answer.json()["cards"][0]["uuid"])

    assert found[0] == found[1]
    assert len(parts.repository.rows) == 1


async def test_the_same_id_on_another_server_is_another_patient(
    client: httpx.AsyncClient, parts: Any
) -> None:
    await card(client)

    await client.post(URL, json=request() | {"fhirServer": "https://other.example/fhir"})

    assert len(parts.repository.rows) == 2


async def test_no_name_of_a_patient_is_stored_or_answered(
    client: httpx.AsyncClient, parts: Any
) -> None:
    answer = await hook(client)

    [row] = parts.repository.rows.values()
    assert row.name == ""
    assert "Muster" not in answer.text
    assert "Erwin" not in answer.text


async def judged(client: httpx.AsyncClient, uuid: str, **changed: Any) -> httpx.Response:
    given = {
        "card": uuid,
        "outcome": "overridden",
        "overrideReason": {
            "reason": {"system": "urn:stroke:override-reason", "code": "known"},
            "userComment": "canary comment",
        },
        "outcomeTimestamp": "2026-11-29T12:00:00Z",
        **changed,
    }
    return await client.post(f"{URL}/feedback", json={"feedback": [given]})


async def test_feedback_is_kept_and_counted_by_model_and_reason(
    client: httpx.AsyncClient,
) -> None:
    uuid = (await card(client))["uuid"]

    assert (await judged(client, uuid)).status_code == 200
    assert (await judged(client, uuid)).status_code == 200  # again: the same card

    metrics = (await client.get("/metrics")).text
    assert (
        'stroke_clinical_feedback_total{model_version="fake-1",reason="known",'
        'verdict="overridden"} 1.0' in metrics
    )
    assert 'stroke_clinical_charts_total{answer="card"} 1.0' in metrics


async def test_feedback_on_an_unknown_card_changes_nothing(client: httpx.AsyncClient) -> None:
    answer = await judged(client, "7c1e2d52-3f0c-4d8e-9e55-05c3f5a1b0d2")

    assert answer.status_code == 200
    assert "stroke_clinical_feedback_total{" not in (await client.get("/metrics")).text


async def test_a_reason_that_is_not_ours_is_counted_as_other(client: httpx.AsyncClient) -> None:
    uuid = (await card(client))["uuid"]

    await judged(client, uuid, overrideReason={"reason": {"code": "canary reason"}})

    metrics = (await client.get("/metrics")).text
    assert 'reason="other"' in metrics
    assert "canary" not in metrics


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"card": "x"}, "feedback.0.card"),
        ({"outcome": "ignored"}, "feedback.0.outcome"),
        ({"outcome": "accepted"}, "feedback.0.acceptedSuggestions"),
        ({"outcomeTimestamp": "now"}, "feedback.0.outcomeTimestamp"),
    ],
)
async def test_wrong_feedback_is_refused(
    client: httpx.AsyncClient, changed: dict[str, Any], place: str
) -> None:
    answer = await judged(client, "7c1e2d52-3f0c-4d8e-9e55-05c3f5a1b0d2", **changed)

    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == [place]


async def test_no_value_of_a_patient_reaches_a_log_or_metric(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    canary = "canary-7d4e"
    patient = PATIENT | {"name": [{"text": canary}]}
    with caplog.at_level(logging.DEBUG):
        uuid = (await card(client, patient=patient))["uuid"]
        await judged(client, uuid, overrideReason={"userComment": canary})
        await client.post(URL, json=request() | {"context": {"patientId": f"{canary} "}})
        await client.get(f"/fhir/RiskAssessment?patient={canary}")
        await client.get(f"/fhir/RiskAssessment/{canary}")
        shown = (await client.get("/metrics")).text

    logged = "\n".join(
        record.getMessage() for record in caplog.records if "httpx" not in record.name
    )
    for text in (logged, shown):
        assert canary not in text
        assert "228.69" not in text
        assert uuid not in text


def test_a_text_of_the_record_makes_no_markup() -> None:
    assert escaped("a|b\n<img src=x> [x](y) *z* `c` 2026-10-01 +1.2") == (
        "a\\|b \\<img src=x\\> \\[x\\](y) \\*z\\* \\`c\\` 2026-10-01 +1.2"
    )


class Callers:
    """Callers of two sites on one service that asks for keys."""

    def __init__(self, client: httpx.AsyncClient, keys: dict[str, str]) -> None:
        self.client = client
        self._keys = keys

    async def post(self, who: str, path: str, document: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._keys[who]}"}
        return await self.client.post(path, json=document, headers=headers)

    async def get(self, who: str, path: str) -> httpx.Response:
        return await self.client.get(path, headers={"X-API-Key": self._keys[who]})


@pytest.fixture
async def callers(parts: Any) -> AsyncIterator[Callers]:
    made = {}
    service = KeyService(parts.keys, now=utc_now)
    for name, site, scopes in (
        ("north", "north", ("predict", "read")),
        ("south", "south", ("predict", "read")),
        ("reader", "north", ("read",)),
        ("all", "other", ("read", "all-sites")),
    ):
        made[name] = (await service.create(name=name, site=site, scopes=scopes)).text
    async with connected(parts.app) as client:
        yield Callers(client, made)


async def test_a_stranger_gets_no_card(callers: Callers) -> None:
    for answer in (
        await callers.client.post(URL, json=request()),
        await callers.client.get("/cds-services"),
        await callers.client.get("/fhir/RiskAssessment"),
        await callers.client.post("/fhir/$stroke-risk", json={}),
        await callers.client.post(f"{URL}/feedback", json={}),
    ):
        assert answer.status_code == 401
        assert answer.json()["issue"][0]["code"] == "login"
        assert "WWW-Authenticate" in answer.headers
    assert (await callers.post("reader", URL, request())).status_code == 403
    assert (await callers.client.get("/fhir/metadata")).status_code == 200


async def test_an_assessment_belongs_to_the_site_of_its_caller(callers: Callers) -> None:
    answer = await callers.post("north", URL, request())
    uuid = answer.json()["extension"]["stroke.riskAssessment"]
    path = f"/fhir/RiskAssessment/{uuid}"

    assert (await callers.get("north", path)).status_code == 200
    assert (await callers.get("all", path)).status_code == 200
    assert (await callers.get("south", path)).status_code == 404
    for who, count in (("north", 1), ("all", 1), ("south", 0)):
        found = (await callers.get(who, "/fhir/RiskAssessment?patient=p1")).json()
        assert len(found.get("entry", [])) == count
        found = (await callers.get(who, f"/fhir/RiskAssessment?_id={uuid}")).json()
        assert len(found.get("entry", [])) == count


async def test_reading_an_assessment_is_written_down_without_the_patient(
    callers: Callers, parts: Any
) -> None:
    answer = await callers.post("north", URL, request())
    uuid = answer.json()["extension"]["stroke.riskAssessment"]

    await callers.get("reader", f"/fhir/RiskAssessment/{uuid}")
    await callers.get("reader", "/fhir/RiskAssessment?patient=p1&_count=3")
    await callers.get("reader", "/fhir/RiskAssessment/p1")

    targets = [(entry.event.action, entry.event.target) for entry in parts.audit.kept]
    assert targets == [
        ("prediction.read", uuid),
        ("prediction.list", "_count patient"),
        ("prediction.read", "an id that is none"),
    ]


AUTHORIZATION: Final = {
    "access_token": "CANARY-token",
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "patient/*.read",
    "subject": "stroke",
}


@pytest.fixture
def record() -> FakeRecordServer:
    server = FakeRecordServer()
    server.answers = {
        "Patient/p1": PATIENT,
        "Observation": bundle(bmi(), glucose(), smoking()),
        "Condition": bundle(condition("c1", SNOMED, "53741008")),
    }
    return server


@pytest.fixture
async def fetching(
    parts_with: Callable[..., Any], record: FakeRecordServer
) -> AsyncIterator[httpx.AsyncClient]:
    parts = parts_with(clinical={"fhir_servers": (record.base,)}, record_server=record)
    async with connected(parts.app) as client:
        yield client


async def test_what_was_not_sent_is_fetched_with_the_clients_own_token(
    client: httpx.AsyncClient, fetching: httpx.AsyncClient, record: FakeRecordServer
) -> None:
    document = request() | {"fhirServer": record.base, "fhirAuthorization": AUTHORIZATION}
    document["prefetch"] = {"patient": PATIENT}

    answer = await fetching.post(URL, json=document)

    [shown] = answer.json()["cards"]
    assert shown["summary"] == (await card(client))["summary"]
    assert "Patient" not in " ".join(url for url, _ in record.asked)  # that was sent
    assert "CANARY" not in answer.text


async def test_what_could_not_be_fetched_either_is_said_by_key(
    fetching: httpx.AsyncClient, record: FakeRecordServer
) -> None:
    document = request(conditions=ABSENT, glucose=ABSENT) | {
        "fhirServer": record.base,
        "fhirAuthorization": AUTHORIZATION | {"scope": "patient/Observation.read"},
    }
    del record.answers["Observation"]

    answer = await fetching.post(URL, json=document)

    assert answer.status_code == 412
    assert {issue["details"]["text"] for issue in answer.json()["issue"]} == {
        "not sent: glucose; it was not fetched, for the FHIR server refuses it",
        (
            "not sent: conditions; it was not fetched, for the scopes of fhirAuthorization do not "
            "allow it"
        ),
    }


async def test_nothing_is_fetched_where_all_was_sent_or_no_server_is_listed(
    client: httpx.AsyncClient, fetching: httpx.AsyncClient, record: FakeRecordServer
) -> None:
    whole = request() | {"fhirServer": record.base, "fhirAuthorization": AUTHORIZATION}

    assert (await fetching.post(URL, json=whole)).status_code == 200
    del whole["prefetch"]["glucose"]
    assert (await client.post(URL, json=whole)).status_code == 412
    assert (await fetching.post(URL, json=whole | {"fhirServer": "https://x"})).status_code == 412

    assert record.asked == []


async def test_only_the_first_page_is_fetched_again_as_a_whole(
    fetching: httpx.AsyncClient, record: FakeRecordServer
) -> None:
    document = request(conditions=more_pages(condition("c2", SNOMED, "1"))) | {
        "fhirServer": record.base,
        "fhirAuthorization": AUTHORIZATION,
    }

    answer = await fetching.post(URL, json=document)

    assert answer.status_code == 200
    [action] = answer.json()["cards"][0]["suggestions"][0]["actions"]
    assert {"reference": "Condition/c1"} in action["resource"]["basis"]
