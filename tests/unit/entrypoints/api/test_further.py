"""Requests for a model that declares features of its own, and for one that does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from builders.asgi import connected
from builders.further import OF_ALL_KINDS
from builders.inference import inputs
from builders.predictions import patient_json
from builders.service import Parts, service_parts

pytestmark = pytest.mark.anyio

OWN: dict[str, Any] = {"waist": 96.5, "diabetes": 1, "alcohol": "none"}
BATCH = "/api/v1/predictions:batch"
WHAT_IF = "/api/v1/what-if"
WRONG = [
    ("waist", 39.9, "greater_than_equal"),
    ("waist", "96", "float_type"),
    ("waist", True, "float_type"),
    ("diabetes", 0.5, "multiple_of"),
    ("diabetes", None, "float_type"),
    ("alcohol", "much", "literal_error"),
    ("alcohol", "None", "literal_error"),
    ("alcohol", 1, "literal_error"),
]


@pytest.fixture
def own_parts() -> Parts:
    return service_parts(further=OF_ALL_KINDS)


@pytest.fixture
async def own(own_parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    async with connected(own_parts.app) as client:
        yield client


async def test_values_are_answered_explained_and_stored_in_prediction_data(
    own: httpx.AsyncClient, own_parts: Parts
) -> None:
    answer = (await own.post("/predict", json=patient_json(**OWN))).json()

    explained = {each["feature"]: each["value"] for each in answer["explanation"]}
    assert explained | OWN == explained
    row = own_parts.repository.rows[answer["prediction_id"]]
    assert {name: row.prediction_data[name] for name in OWN} == OWN
    shown = (await own.get(f"/api/v1/predictions/{answer['prediction_id']}")).json()
    assert {name: shown["prediction_data"][name] for name in OWN} == OWN
    assert set(shown) & set(OWN) == set()


async def test_what_may_be_missing_is_null_or_absent(own: httpx.AsyncClient) -> None:
    for body in (
        patient_json(diabetes=0, waist=None, alcohol=None),
        patient_json(diabetes=0),
    ):
        answer = (await own.post("/predict", json=body)).json()
        explained = {each["feature"]: each["value"] for each in answer["explanation"]}
        assert (explained["waist"], explained["alcohol"], explained["diabetes"]) == (None, None, 0)
        assert "missing" not in answer


@pytest.mark.parametrize(("field", "value", "code"), WRONG)
async def test_a_wrong_value_is_refused_by_its_field_and_not_quoted(
    own: httpx.AsyncClient, own_parts: Parts, field: str, value: Any, code: str
) -> None:
    body = patient_json(**{**OWN, field: value})
    alone = await own.post("/predict", json=body)
    batch = await own.post(BATCH, json={"patients": [patient_json(**OWN), body]})
    asked = await own.post(WHAT_IF, json={"patient": body, "changes": {"bmi": 27}})
    for answer, pointer in (
        (alone, f"/{field}"),
        (batch, f"/patients/1/{field}"),
        (asked, f"/patient/{field}"),
    ):
        assert answer.status_code == 422
        [problem] = answer.json()["errors"]
        assert (problem["pointer"], problem["code"]) == (pointer, code)
        assert "much" not in answer.text
    assert not own_parts.repository.rows


async def test_a_feature_that_must_be_there_is_required(own: httpx.AsyncClient) -> None:
    answer = await own.post("/predict", json=patient_json(waist=90))
    [problem] = answer.json()["errors"]
    assert (problem["pointer"], problem["detail"]) == ("/diabetes", "is required")


async def test_a_model_without_such_features_ignores_them_as_ever(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    plain = (await client.post("/predict", json=patient_json())).json()
    with_more = (await client.post("/predict", json=patient_json(**OWN, waists="x"))).json()
    assert {**plain, "prediction_id": 0} == {**with_more, "prediction_id": 0}
    assert (
        set(OWN) & set(parts.repository.rows[with_more["prediction_id"]].prediction_data) == set()
    )


async def test_the_document_has_them_for_this_model_alone(
    own: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    document = (await own.get("/openapi.json")).json()
    patient = document["components"]["schemas"]["PatientIn"]
    assert patient["properties"]["alcohol"]["anyOf"][0]["enum"] == ["none", "some"]
    assert (
        patient["properties"]["waist"]["anyOf"][0] | {"minimum": 40, "maximum": 200}
        == (patient["properties"]["waist"]["anyOf"][0])
    )
    assert patient["properties"]["waist"]["description"].startswith("cm; ")
    assert "diabetes" in patient["required"]
    assert not {"waist", "alcohol"} & set(patient["required"])
    [example] = patient["examples"]
    assert (await own.post("/predict", json=example)).status_code == 200
    before = (await client.get("/openapi.json")).json()
    assert not set(OWN) & set(before["components"]["schemas"]["PatientIn"]["properties"])


async def test_a_retry_is_answered_once_and_another_value_is_another_request(
    own: httpx.AsyncClient, own_parts: Parts
) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await own.post("/predict", json=patient_json(**OWN), headers=headers)
    again = await own.post("/predict", json=patient_json(**OWN), headers=headers)
    other = await own.post("/predict", json=patient_json(**OWN | {"waist": 97}), headers=headers)
    assert (first.status_code, again.content, other.status_code) == (200, first.content, 409)
    assert len(own_parts.repository.rows) == 1


async def test_what_if_keeps_them_and_refuses_to_change_them(own: httpx.AsyncClient) -> None:
    body = {"patient": patient_json(**OWN), "changes": {"hypertension": 1}}
    found = (await own.post(WHAT_IF, json=body)).json()
    values = {
        each["feature"]: (each["value_before"], each["value_after"])
        for each in found["differences"]
    }
    assert values["waist"] == (96.5, 96.5)
    refused = await own.post(WHAT_IF, json={**body, "changes": {"waist": 80}})
    assert refused.status_code == 422


async def test_tensors_have_them_with_a_datatype_each(own: httpx.AsyncClient) -> None:
    model = (await own.get("/v2/models/fake")).json()
    types = {each["name"]: each["datatype"] for each in model["inputs"]}
    assert (types["waist"], types["diabetes"], types["alcohol"]) == ("FP64", "INT64", "BYTES")
    more = [
        {"name": "waist", "datatype": "FP64", "shape": [2], "data": [96.5, None]},
        {"name": "diabetes", "datatype": "INT64", "shape": [2], "data": [1, 0]},
        {"name": "alcohol", "datatype": "BYTES", "shape": [2], "data": ["none", ""]},
    ]
    answer = await own.post("/v2/models/fake/infer", json={"inputs": [*inputs(2), *more]})
    assert answer.status_code == 200, answer.text
    outputs = {each["name"]: each["data"] for each in answer.json()["outputs"]}
    assert outputs["contribution.waist"] == [0.1, 0.0]
    for name, place in (("waist", 0), ("diabetes", 1)):
        for value in (10**400, -(10**400), 5):
            wrong = [{**each, "data": [each["data"][0], value]} if at == place else each
                     for at, each in enumerate(more)]  # fmt: skip
            refused = await own.post("/v2/models/fake/infer", json={"inputs": [*inputs(2), *wrong]})
            assert (refused.status_code, name in refused.text) == (422, True), refused.text
    without = await own.post("/v2/models/fake/infer", json={"inputs": inputs(2)})
    assert without.status_code == 422
    assert "diabetes" in without.text


async def test_model_info_declares_them(own: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    declared = (await own.get("/model_info")).json()["further_features"]
    assert [each["name"] for each in declared] == list(OWN)
    assert declared[0]["range"] == [40, 200]
    assert declared[2]["categories"] == ["none", "some"]
    assert (await client.get("/model_info")).json()["further_features"] == []
