"""Charts of hospitals for a model that declares features of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from builders.asgi import connected
from builders.charts import PATIENT, bmi, bundle, condition, glucose, request, smoking
from builders.further import OF_ALL_KINDS
from builders.further_codes import CODES, DIABETIC, MAPPED, answer, married, waist
from builders.service import Parts
from fakes.clinical import FakeRecordServer
from fakes.predictions import FakeRiskModel
from stroke.application.clinical.ports import Document
from stroke.application.predictions.deployed import Deployed

pytestmark = pytest.mark.anyio

URL: Final = "/cds-services/stroke-risk"
STORED: Final = {"waist": 96.5, "diabetes": 1, "alcohol": "none", "ever_married": "Yes"}


def sent(**changed: Any) -> dict[str, Any]:
    """Return a request with all that the model asks for."""
    whole: dict[str, Any] = {
        "patient": PATIENT | married(),
        "further": bundle(waist(), answer("0")),
        "conditions": bundle(condition("d", *DIABETIC)),
    }
    return request(**{**whole, **changed})


def granted(server: FakeRecordServer) -> dict[str, Any]:
    """Return what lets the service fetch from ``server``."""
    grant = {
        "access_token": "CANARY-token",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.read",
        "subject": "stroke",
    }
    return {"fhirServer": server.base, "fhirAuthorization": grant}


class Promoting(FakeRecordServer):
    """A server that is asked while another model becomes the champion."""

    promote: Callable[[], None]

    async def read(self, url: str, token: str, *, most_bytes: int) -> Document:
        self.promote()
        return await super().read(url, token, most_bytes=most_bytes)


@pytest.fixture
def server() -> FakeRecordServer:
    return FakeRecordServer()


@pytest.fixture
def own_parts(parts_with: Callable[..., Parts], server: FakeRecordServer, tmp_path: Path) -> Parts:
    codes = tmp_path / "codes.json"
    codes.write_text(json.dumps(CODES))
    clinical = {"codes": codes, "card_from": "Low", "fhir_servers": (server.base,)}
    return parts_with(further=MAPPED, clinical=clinical, record_server=server)


@pytest.fixture
async def own(own_parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    async with connected(own_parts.app) as client:
        yield client


async def test_a_chart_is_assessed_with_them_and_the_card_says_where_from(
    own: httpx.AsyncClient, own_parts: Parts
) -> None:
    reply = await own.post(URL, json=sent())
    [card] = reply.json()["cards"]
    assert "| waist | 96.5 | +0.10 | as recorded, in cm, 2026-10-01 |" in card["detail"]
    assert "| diabetes | yes | +0.10 | as recorded |" in card["detail"]
    assert "| ever married | Yes | +0.10 | from the marital status |" in card["detail"]
    resource = card["suggestions"][0]["actions"][0]["resource"]
    assert "waist raises the risk (+0.10 in log-odds)" in resource["prediction"][0]["rationale"]
    assert {"reference": "Observation/wst1"} in resource["basis"]
    data = own_parts.repository.rows[1].prediction_data
    assert {name: data[name] for name in STORED} == STORED


async def test_the_same_chart_is_one_prediction_and_with_another_value_it_is_another(
    own: httpx.AsyncClient, own_parts: Parts
) -> None:
    for value in (96.5, 96.5, 97):
        reply = await own.post(URL, json=sent(further=bundle(waist(value), answer("0"))))
        assert reply.status_code == 200
    assert [row.prediction_data["waist"] for row in own_parts.repository.rows.values()] == [
        96.5,
        97.0,
    ]


async def test_what_the_record_lacks_is_said_as_of_other_measurements(
    own: httpx.AsyncClient, own_parts: Parts
) -> None:
    reply = await own.post(URL, json=sent(patient=PATIENT, glucose=bundle()))
    [card] = reply.json()["cards"]
    assert card["summary"] == (
        "Stroke risk not assessed: the record lacks glucose and ever married"
    )
    may_be_missing = await own.post(URL, json=sent(further=bundle()))
    [card] = may_be_missing.json()["cards"]
    assert "the record has no usable waist: it counts as missing" in card["detail"]
    assert own_parts.repository.rows[1].prediction_data["waist"] is None


async def test_a_client_is_asked_for_them_and_what_it_does_not_send_is_fetched(
    own: httpx.AsyncClient, server: FakeRecordServer, client: httpx.AsyncClient
) -> None:
    [service] = (await own.get("/cds-services")).json()["services"]
    assert "8280-0" in service["prefetch"]["further"]
    [plain] = (await client.get("/cds-services")).json()["services"]
    assert "further" not in plain["prefetch"]

    document = sent()
    del document["prefetch"]["further"]
    refused = await own.post(URL, json=document)
    assert refused.status_code == 412
    [issue] = refused.json()["issue"]
    assert issue["details"]["text"] == "not sent: further"

    server.answers = {"Observation": bundle(bmi(), glucose(), smoking(), waist(), answer("0"))}
    fetched = await own.post(URL, json=document | granted(server))
    [card] = fetched.json()["cards"]
    assert "| waist | 96.5 |" in card["detail"]
    [(url, _)] = server.asked
    assert "74013-4" in url


async def test_a_chart_is_read_and_assessed_for_one_model_while_another_is_promoted(
    parts_with: Callable[..., Parts], tmp_path: Path
) -> None:
    codes = tmp_path / "codes.json"
    codes.write_text(json.dumps(CODES))
    server = Promoting()
    server.answers = {"Observation": bundle(bmi(), glucose(), smoking(), waist(), answer("0"))}
    clinical = {"codes": codes, "card_from": "Low", "fhir_servers": (server.base,)}
    parts = parts_with(clinical=clinical, record_server=server)
    serving = parts.container.serving()
    server.promote = lambda: serving.swap(Deployed(FakeRiskModel(further=OF_ALL_KINDS)))
    document = sent() | granted(server)
    del document["prefetch"]["glucose"]

    async with connected(parts.app) as client:
        reply = await client.post(URL, json=document)

    assert serving.now.champion.description.further
    [card] = reply.json()["cards"]
    assert "not assessed" not in card["summary"]
    assert "waist" not in card["detail"]
    assert "waist" not in parts.repository.rows[1].prediction_data


async def test_the_operation_on_a_bundle_reads_them_too(
    own: httpx.AsyncClient, own_parts: Parts
) -> None:
    resources = (
        *(PATIENT | married(), bmi(), glucose(), smoking()),
        *(waist(), answer("2"), condition("d", *DIABETIC)),
    )
    reply = await own.post("/fhir/$stroke-risk", json=bundle(*resources))
    assert reply.status_code == 200, reply.text
    assert own_parts.repository.rows[1].prediction_data["alcohol"] == "some"


async def test_where_no_code_maps_what_is_needed_the_chart_is_not_assessed(
    parts_with: Callable[..., Parts],
) -> None:
    parts = parts_with(further=OF_ALL_KINDS)
    async with connected(parts.app) as client:
        reply = await client.post(URL, json=sent())
    [card] = reply.json()["cards"]
    assert card["summary"] == (
        "Stroke risk not assessed: the model needs diabetes, which no code maps"
    )
    assert not parts.repository.rows


async def test_a_model_without_them_answers_the_same_with_the_sites_codes(
    parts_with: Callable[..., Parts], client: httpx.AsyncClient, tmp_path: Path
) -> None:
    codes = tmp_path / "codes.json"
    codes.write_text(json.dumps(CODES))
    async with connected(parts_with(clinical={"codes": codes}).app) as mapping:
        with_codes = (await mapping.post(URL, json=request())).json()["cards"]
    without = (await client.post(URL, json=request())).json()["cards"]
    assert [each["detail"] for each in with_codes] == [each["detail"] for each in without]
    assert with_codes
