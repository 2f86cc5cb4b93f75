"""A body that has a name twice in one object is refused by every route, in its own format."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from builders.charts import bundle, request
from builders.inference import inputs
from builders.predictions import patient_json
from builders.service import Parts
from stroke.domain.documents import NAME_TWICE

pytestmark = pytest.mark.anyio
BATCH = "/api/v1/predictions:batch"
PATIENT = patient_json(name="Zoë Example")
WHAT_IF = {"patient": PATIENT, "changes": {"bmi": 27}}
SAID = f"The body {NAME_TWICE}."


def twice(body: Any, name: str, *, written: str | None = None) -> bytes:
    """Return the body with another value of ``name`` behind the one that it has."""
    text = json.dumps(body)
    mark = json.dumps(name) + ": "
    assert mark in text
    return text.replace(mark, f"{written or json.dumps(name)} : null, {mark}", 1).encode()


BODIES = {
    "a patient": ("/predict", PATIENT, "age"),
    "a patient, at the newer address": ("/api/v1/predict", PATIENT, "gender"),
    "a batch": (BATCH, {"patients": [PATIENT, PATIENT]}, "bmi"),
    "two batches": (BATCH, {"patients": [PATIENT]}, "patients"),
    "a what-if": ("/api/v1/what-if", WHAT_IF, "hypertension"),
    "a change": ("/api/v1/what-if", WHAT_IF, "changes"),
    "tensors": ("/v2/models/fake/infer", {"inputs": inputs()}, "datatype"),
    "a hook": ("/cds-services/stroke-risk", request(), "resourceType"),
}


@pytest.mark.parametrize("kind", BODIES)
async def test_a_name_twice_is_refused_and_nothing_is_stored(
    client: httpx.AsyncClient, parts: Parts, kind: str
) -> None:
    path, body, name = BODIES[kind]
    sent = {"content-type": "application/json"}
    answer = await client.post(path, content=twice(body, name), headers=sent)
    assert answer.status_code == 400, answer.text
    assert NAME_TWICE in answer.text
    assert "Zoë" not in answer.text
    assert not parts.repository.rows
    assert (await client.post(path, json=body)).status_code == 200


async def test_fhir_says_it_as_an_outcome(client: httpx.AsyncClient) -> None:
    body = twice(bundle(), "resourceType")
    answer = await client.post(
        "/fhir/$stroke-risk", content=body, headers={"content-type": "application/fhir+json"}
    )
    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert NAME_TWICE in answer.text


@pytest.mark.parametrize("written", ['"\\u0061ge"', '"age"\n', '"age"\t '])
async def test_it_does_not_help_to_write_the_name_otherwise(
    client: httpx.AsyncClient, written: str
) -> None:
    body = twice(PATIENT, "age", written=written)
    answer = await client.post("/predict", content=body, headers={"content-type": "text/json"})
    assert answer.status_code == 415
    answer = await client.post(
        "/predict", content=body, headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["detail"]) == (400, SAID)


@pytest.mark.parametrize("name", ["Example: Zoë", '":":":', "a\\u0022:", "::"])
async def test_colons_in_a_value_are_no_names(client: httpx.AsyncClient, name: str) -> None:
    for path, body in (
        ("/predict", {**PATIENT, "name": name}),
        (BATCH, {"patients": [{**PATIENT, "name": name}]}),
    ):
        assert (await client.post(path, json=body)).status_code == 200


async def test_unknown_fields_are_still_ignored_unless_they_come_twice(
    client: httpx.AsyncClient,
) -> None:
    body = {**PATIENT, "ward": "7:b", "notes": {"a": {"a": 1}}}
    assert (await client.post("/predict", json=body)).status_code == 200
    sent = {"content-type": "application/json"}
    answer = await client.post("/predict", content=twice(body, "ward"), headers=sent)
    assert answer.status_code == 400
