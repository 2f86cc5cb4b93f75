"""Patients who lack a measurement, over HTTP: with a model that has companions, and without."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from builders.predictions import patient_json
from stroke.domain.patient import OPTIONAL

pytestmark = pytest.mark.anyio

BATCH = "/api/v1/predictions:batch"
GAPS: list[tuple[str, ...]] = [("avg_glucose_level",), ("bmi",), ("avg_glucose_level", "bmi")]
ACCURACY = {
    "patients": 100,
    "auc": 0.8,
    "auc_of_full_model": 0.81,
    "auc_lost": 0.01,
    "auc_lost_low": -0.01,
    "auc_lost_high": 0.03,
}
REFUSED = {
    "null": ("float_type", "must be a valid number"),
    "absent": ("missing", "is required"),
}
ADDED = {"missing", "model_variant", "accuracy"}


def without(missing: tuple[str, ...], how: str, **changes: Any) -> dict[str, Any]:
    body = patient_json(**changes)
    if how == "null":
        return {**body, **dict.fromkeys(missing)}
    return {name: value for name, value in body.items() if name not in missing}


@pytest.mark.parametrize("missing", GAPS)
@pytest.mark.parametrize("how", ["null", "absent"])
async def test_what_may_be_missing_is_null_or_absent_and_the_answer_names_its_companion(
    tolerant: httpx.AsyncClient, tolerant_parts: Any, missing: tuple[str, ...], how: str
) -> None:
    answer = await tolerant.post("/predict", json=without(missing, how, age=80))
    assert answer.status_code == 200
    body = answer.json()
    assert body["missing"] == list(missing)
    assert body["model_variant"] == f"without {' and '.join(missing)}"
    assert body["accuracy"] == ACCURACY
    row = tolerant_parts.repository.rows[body["prediction_id"]]
    assert [name for name in OPTIONAL if getattr(row, name) is None] == list(missing)
    [shown] = (await tolerant.get("/predictions")).json()
    assert {shown[name] for name in missing} == {None}


async def test_a_patient_who_lacks_nothing_is_answered_as_ever(
    tolerant: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    body = patient_json(age=80)
    answered = (await tolerant.post("/predict", json=body)).content
    assert answered == (await client.post("/predict", json=body)).content


async def test_a_batch_is_answered_patient_by_patient_as_alone(tolerant: httpx.AsyncClient) -> None:
    bodies = [without(gap, "null", age=80) for gap in [(), *GAPS]]
    alone = [(await tolerant.post("/predict", json=body)).json() for body in bodies]
    batch = (await tolerant.post(BATCH, json={"patients": bodies})).json()["predictions"]
    for one, other in zip(alone, batch, strict=True):
        assert {**one, "prediction_id": 0} == {**other, "prediction_id": 0}
    assert [ADDED & set(each) for each in batch] == [set(), ADDED, ADDED, ADDED]


@pytest.mark.parametrize("missing", GAPS)
@pytest.mark.parametrize("how", ["null", "absent"])
async def test_a_model_without_companions_refuses_what_is_missing_as_ever(
    client: httpx.AsyncClient, parts: Any, missing: tuple[str, ...], how: str
) -> None:
    code, detail = REFUSED[how]
    body = without(missing, how)
    alone, batch = (
        await client.post("/predict", json=body),
        await client.post(BATCH, json={"patients": [patient_json(), body]}),
    )
    for answer, within in ((alone, ""), (batch, "/patients/1")):
        assert answer.status_code == 422
        assert answer.json()["errors"] == [
            {"pointer": f"{within}/{name}", "detail": detail, "code": code} for name in missing
        ]
    assert parts.repository.rows == {}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"bmi": 7.9}, "greater_than_equal"),
        ({"bmi": "26"}, "float_type"),
        ({"bmi": True}, "float_type"),
        ({"bmi": ""}, "float_type"),
        ({"avg_glucose_level": 601}, "less_than_equal"),
        ({"age": None}, "float_type"),
        ({"hypertension": None}, "float_type"),
        ({"gender": None}, "literal_error"),
        ({"smoking_status": None}, "literal_error"),
    ],
)
async def test_companions_change_nothing_for_what_is_there_or_must_be(
    tolerant: httpx.AsyncClient, client: httpx.AsyncClient, changes: dict[str, Any], code: str
) -> None:
    body = patient_json(**changes)
    same = {"X-Request-ID": "the-same-id"}
    answer = await tolerant.post("/predict", json=body, headers=same)
    assert answer.status_code == 422
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [
        (f"/{next(iter(changes))}", code)
    ]
    assert answer.content == (await client.post("/predict", json=body, headers=same)).content


async def test_a_category_of_a_missing_measurement_cannot_be_claimed(
    tolerant: httpx.AsyncClient,
) -> None:
    body = without(("bmi",), "null", bmi_category="Overweight")
    answer = await tolerant.post("/predict", json=body)
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [
        ("/bmi_category", "implausible")
    ]
    assert (await tolerant.post("/predict", json={**body, "bmi_category": None})).is_success


async def test_every_field_that_is_wrong_is_named_in_the_order_of_the_fields(
    tolerant: httpx.AsyncClient,
) -> None:
    answer = await tolerant.post("/predict", json={"age": 200, "bmi": 7, "avg_glucose_level": 1})
    pointers = [error["pointer"] for error in answer.json()["errors"]]
    required = ["gender", "age", "hypertension", "heart_disease", "avg_glucose_level", "bmi"]
    wanted = [*required, "smoking_status", "name", "country", "province"]
    assert pointers == [f"/{name}" for name in wanted]


async def test_the_same_key_repeats_the_answer_of_a_patient_who_lacked_something(
    tolerant: httpx.AsyncClient,
) -> None:
    headers = {"Idempotency-Key": "a-key!"}
    body = without(("bmi",), "absent")
    first = await tolerant.post("/predict", json=body, headers=headers)
    again = await tolerant.post("/predict", json={**body, "bmi": None}, headers=headers)
    assert (again.status_code, again.content) == (200, first.content)
    measured = await tolerant.post("/predict", json=patient_json(), headers=headers)
    assert measured.status_code == 409


async def test_model_info_says_what_may_be_missing_and_how_good_the_companions_are(
    tolerant: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    info = (await tolerant.get("/model_info")).json()
    assert info["may_be_missing"] == list(OPTIONAL)
    assert [tuple(each["missing"]) for each in info["companions"]] == GAPS
    for each in info["companions"]:
        assert each["bands"] == {"medium": 0.03, "high": 0.3}
        assert each["accuracy"] == ACCURACY
        assert each["metrics"]["auc"]["value"] == 0.8
        lacked = {"patients": 201, "strokes": 40, "expected": 17.1}
        assert each["lacked"] == (lacked if each["missing"] == ["bmi"] else None)
    strict = (await client.get("/model_info")).json()
    assert (strict["may_be_missing"], strict["companions"]) == ([], [])


async def test_the_document_says_what_the_served_model_can_do_without(
    tolerant: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    document = (await tolerant.get("/openapi.json")).json()
    patient = document["components"]["schemas"]["PatientIn"]
    assert set(OPTIONAL) & set(patient["required"]) == set()
    assert {"type": "null"} in patient["properties"]["bmi"]["anyOf"]
    batch = document["components"]["schemas"]["BatchIn"]["properties"]["patients"]
    assert batch["items"] == {"$ref": "#/components/schemas/PatientIn"}
    assert (batch["minItems"], batch["maxItems"]) == (1, 10_000)
    strict = (await client.get("/openapi.json")).json()["components"]["schemas"]["PatientIn"]
    assert set(OPTIONAL) <= set(strict["required"])
    assert list(strict["properties"]) == list(patient["properties"])
