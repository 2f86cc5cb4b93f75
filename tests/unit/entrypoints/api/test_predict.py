from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from builders.predictions import patient_json
from builders.problems import problem_of
from fakes.predictions import FakePredictionRepository
from stroke.domain.patient import flag_of
from stroke.entrypoints.api.schemas.patients import PatientIn

pytestmark = pytest.mark.anyio


@pytest.fixture
def rows(parts: Any) -> FakePredictionRepository:
    repository: FakePredictionRepository = parts.repository
    return repository


@pytest.mark.parametrize("path", ["/predict", "/api/v1/predict"])
async def test_a_prediction_is_answered_with_its_explanation(
    client: httpx.AsyncClient, rows: FakePredictionRepository, path: str
) -> None:
    answer = await client.post(path, json=patient_json(age=80, hypertension=1))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body == {
        "probability": pytest.approx(0.2994, abs=1e-4),
        "risk_category": "High",
        "contributing_factors": ["age", "hypertension"],
        "prediction_id": 1,
        "explanation": [
            {"feature": "age", "value": 80.0, "log_odds": 1.75, "direction": "raises"},
            {"feature": "hypertension", "value": 1, "log_odds": 0.4, "direction": "raises"},
        ],
        "model_version": "fake-1",
        "interval": None,
        "support": None,
        "comparison": None,
    }
    assert rows.rows[1].probability == body["probability"]


async def test_the_row_is_stored_before_the_answer(
    client: httpx.AsyncClient, rows: FakePredictionRepository
) -> None:
    answer = await client.post("/predict", json=patient_json(name="Zoë", age=45))
    row = rows.rows[answer.json()["prediction_id"]]
    assert (row.name, row.age) == ("Zoë", 45.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"age": 45},
        {"hypertension": 1.0, "heart_disease": 0.0},
        {"name": "", "country": "", "province": ""},
        {"name": "名" * 100},
        {"age": 0, "bmi": 8, "avg_glucose_level": 600},
        {"unknown": {"to": ["this", "version"]}},
        {"age_group": None, "age_hypertension": None},
        {
            "age_group": "Young adult",
            "bmi_category": "Overweight",
            "glucose_category": "Normal",
            "age_hypertension": 0,
        },
    ],
)
async def test_what_clients_may_send_is_taken(
    client: httpx.AsyncClient, changes: dict[str, Any]
) -> None:
    assert (await client.post("/predict", json=patient_json(**changes))).status_code == 200


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"age": True}, "float_type"),
        ({"age": "45"}, "float_type"),
        ({"age": None}, "float_type"),
        ({"age": -0.1}, "greater_than_equal"),
        ({"age": 120.5}, "less_than_equal"),
        ({"bmi": 7.9}, "greater_than_equal"),
        ({"avg_glucose_level": 601}, "less_than_equal"),
        ({"hypertension": True}, "float_type"),
        ({"hypertension": 2}, "less_than_equal"),
        ({"heart_disease": 0.5}, "multiple_of"),
        ({"heart_disease": 0.999999999999999}, "multiple_of"),
        ({"hypertension": 1e-300}, "multiple_of"),
        ({"hypertension": 5e-324}, "multiple_of"),
        ({"hypertension": 1.0000000000000002}, "less_than_equal"),
        ({"gender": "male"}, "literal_error"),
        ({"smoking_status": "sometimes"}, "literal_error"),
        ({"name": "n" * 101}, "string_too_long"),
        ({"country": "c" * 51}, "string_too_long"),
        ({"province": "line\nbreak"}, "string_pattern_mismatch"),
        ({"name": "nul\0"}, "string_pattern_mismatch"),
        ({"name": 7}, "string_type"),
        ({"age_group": "Very old"}, "implausible"),
        ({"bmi_category": "Obese"}, "literal_error"),
        ({"age_hypertension": 45.5}, "implausible"),
    ],
)
async def test_a_rejected_request_names_the_field_and_stores_nothing(
    client: httpx.AsyncClient, rows: FakePredictionRepository, changes: dict[str, Any], code: str
) -> None:
    answer = await client.post("/predict", json=patient_json(**changes))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["type"], problem["status"]) == ("urn:stroke:problem:invalid-request", 422)
    assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [
        (f"/{next(iter(changes))}", code)
    ]
    assert rows.rows == {}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_a_number_that_is_not_finite_is_rejected(
    client: httpx.AsyncClient, rows: FakePredictionRepository, number: str
) -> None:
    body = httpx.Request("POST", "http://x", json=patient_json(age=77)).content
    answer = await client.post(
        "/predict",
        content=body.replace(b"77", number.encode()),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 422
    assert [e["pointer"] for e in answer.json()["errors"]] == ["/age"]
    assert rows.rows == {}


async def test_every_field_that_is_wrong_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.post("/predict", json={"age": 200, "gender": "?"})
    errors = {e["pointer"]: e["detail"] for e in answer.json()["errors"]}
    assert errors.pop("/age") == "must be less than or equal to 120"
    assert errors.pop("/gender") == "must be 'Male', 'Female' or 'Other'"
    assert len(errors) == 8
    assert set(errors.values()) == {"is required"}


async def test_every_claim_that_disagrees_is_named(client: httpx.AsyncClient) -> None:
    claims = {"age_group": "Very old", "bmi_category": "Underweight", "glucose_category": "Normal"}
    answer = await client.post("/predict", json=patient_json(**claims))
    pointers = [e["pointer"] for e in answer.json()["errors"]]
    assert pointers == ["/age_group", "/bmi_category"]


async def test_the_same_key_is_answered_with_the_stored_prediction(
    client: httpx.AsyncClient, rows: FakePredictionRepository
) -> None:
    headers = {"Idempotency-Key": "a-key!"}
    first = await client.post("/predict", json=patient_json(), headers=headers)
    again = await client.post("/predict", json=patient_json(), headers=headers)
    assert again.status_code == 200
    assert again.json() == first.json()
    assert len(rows.rows) == 1


async def test_a_key_of_other_measurements_is_refused(
    client: httpx.AsyncClient, rows: FakePredictionRepository
) -> None:
    headers = {"Idempotency-Key": "a-key!"}
    await client.post("/predict", json=patient_json(age=50), headers=headers)
    answer = await client.post("/predict", json=patient_json(age=51), headers=headers)
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:stroke:problem:idempotency-key-reused"
    assert len(rows.rows) == 1


@pytest.mark.parametrize("route", ["/predict", "/api/v1/predictions:batch"])
@pytest.mark.parametrize("field", ["name", "country", "province", "age", "smoking_status"])
async def test_a_key_of_another_person_is_refused_and_nobody_is_answered_with_another_s_id(
    client: httpx.AsyncClient, rows: FakePredictionRepository, route: str, field: str
) -> None:
    def body(**changes: Any) -> dict[str, Any]:
        sent = patient_json(**changes)
        return {"patients": [patient_json(), sent]} if route.endswith("batch") else sent

    headers = {"Idempotency-Key": "a-key!"}
    other = {"age": 51, "smoking_status": "smokes"}.get(field, "Someone else")
    first = await client.post(route, json=body(), headers=headers)
    answer = await client.post(route, json=body(**{field: other}), headers=headers)
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:stroke:problem:idempotency-key-reused"
    assert "prediction_id" not in answer.text
    again = await client.post(route, json=body(), headers=headers)
    assert (again.status_code, again.json()) == (200, first.json())
    assert len(rows.rows) == len(body().get("patients", [0]))


@pytest.mark.parametrize("lacking", ["probability", "risk_category", "prediction_data"])
async def test_a_stored_row_without_a_risk_is_a_conflict_and_no_risk_of_zero(
    client: httpx.AsyncClient, rows: FakePredictionRepository, lacking: str
) -> None:
    headers = {"Idempotency-Key": "a-key!"}
    await client.post("/predict", json=patient_json(), headers=headers)
    changes: dict[str, Any] = {lacking: None}
    rows.rows[1] = replace(rows.rows[1], **changes)
    answer = await client.post("/predict", json=patient_json(), headers=headers)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem_of(answer) == {
        "type": "urn:stroke:problem:not-replayable",
        "title": "The stored prediction cannot be answered again",
        "status": 409,
        "detail": "prediction 1 has this idempotency key and was stored without a complete "
        "answer: send the request with another key",
    }
    assert len(rows.rows) == 1


@pytest.mark.parametrize("path", ["/predict", "/api/v1/predictions:batch"])
async def test_two_keys_in_one_request_are_refused(client: httpx.AsyncClient, path: str) -> None:
    headers = [("Idempotency-Key", "one"), ("Idempotency-Key", "two")]
    body = patient_json() if path == "/predict" else {"patients": [patient_json()]}
    answer = await client.post(path, json=body, headers=headers)
    assert answer.status_code == 422
    assert "must stand once" in answer.text


@pytest.mark.parametrize("key", ["", "k" * 65, "two words", "tab\t", b"caf\xc3\xa9"])
async def test_a_key_that_is_not_visible_ascii_is_refused(
    client: httpx.AsyncClient, rows: FakePredictionRepository, key: str | bytes
) -> None:
    value = key if isinstance(key, bytes) else key.encode()
    answer = await client.post(
        "/predict", json=patient_json(), headers=[(b"Idempotency-Key", value)]
    )
    assert answer.status_code == 422
    assert [e["parameter"] for e in answer.json()["errors"]] == ["Idempotency-Key"]
    assert rows.rows == {}


@given(st.floats(-1e-9, 1e-9) | st.floats(1 - 1e-9, 1 + 1e-9) | st.integers(-3, 3) | st.booleans())
def test_json_takes_the_flags_that_the_domain_takes_and_no_other(value: float) -> None:
    try:
        read = PatientIn.model_validate(patient_json(heart_disease=value)).to_domain()
    except ValidationError:
        assert flag_of(value) is None
    else:
        assert read.heart_disease == flag_of(value)
