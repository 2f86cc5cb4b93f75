"""Interval, support and comparison over HTTP, and what would be with other values."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.asgi import connected
from builders.charts import PATIENT, SNOMED, bmi, bundle, condition, glucose, request, smoking
from builders.predictions import patient_json
from builders.service import Parts, service_parts
from stroke.domain.patient import OPTIONAL
from stroke.domain.what_if import CHANGEABLE, NOTE

pytestmark = pytest.mark.anyio

WHAT_IF = "/api/v1/what-if"
BATCH = "/api/v1/predictions:batch"
REASON = {
    "code": "none-as-high",
    "features": ["age"],
    "fewer_than": None,
    "text": "No patient of the training data had an age this high.",
}
OUTSIDE = {"type": "urn:stroke:problem:outside-support", "status": 422}


def risk(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


@pytest.fixture
def knowing(parts_with: Callable[..., Parts]) -> Parts:
    return parts_with(OPTIONAL, knows=True)


@pytest.fixture
def strict(parts_with: Callable[..., Parts]) -> Parts:
    return parts_with(OPTIONAL, knows=True, refuse_outside=True)


@pytest.fixture
async def client(knowing: Parts) -> AsyncIterator[httpx.AsyncClient]:
    async with connected(knowing.app) as client:
        yield client


@pytest.fixture
async def careful(strict: Parts) -> AsyncIterator[httpx.AsyncClient]:
    async with connected(strict.app) as client:
        yield client


async def test_an_answer_says_how_sure_it_is_and_what_others_have(
    client: httpx.AsyncClient,
) -> None:
    body = (await client.post("/predict", json=patient_json(age=65, hypertension=1))).json()
    assert body["interval"] == {
        "low": pytest.approx(risk(-3 + 1.4 - 0.5)),
        "high": pytest.approx(risk(-3 + 1.4 + 0.5)),
    }
    assert body["support"] == {"level": "within", "reasons": []}
    assert body["comparison"] == {
        "average_risk": pytest.approx(risk(-2)),
        "relative_to_average": pytest.approx(risk(-1.6) / risk(-2)),
        "reference_risk": pytest.approx(risk(-2)),
        "relative_to_reference": pytest.approx(risk(-1.6) / risk(-2)),
        "equal_age": pytest.approx(73),
    }


async def test_whoever_is_outside_of_the_training_data_is_answered_and_flagged(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post("/predict", json=patient_json(age=101))
    assert answer.status_code == 200
    assert answer.json()["support"] == {"level": "outside", "reasons": [REASON]}
    assert answer.json()["comparison"]["equal_age"] is None


@pytest.mark.parametrize("age", [65, 101])
async def test_the_row_holds_what_was_answered_and_a_replay_gives_it_again(
    client: httpx.AsyncClient, knowing: Parts, age: int
) -> None:
    asked = {"json": patient_json(age=age, bmi=None), "headers": {"Idempotency-Key": "k"}}
    first = await client.post("/predict", **asked)  # type: ignore[arg-type]
    knowing.model.knows = False
    again = await client.post("/predict", **asked)  # type: ignore[arg-type]
    assert again.content == first.content
    data = knowing.repository.rows[1].prediction_data
    for name in ("interval", "support", "comparison"):
        assert data[name] == first.json()[name]


async def test_a_row_that_was_stored_before_has_none(
    client: httpx.AsyncClient, knowing: Parts
) -> None:
    knowing.model.knows = False
    asked = {"json": patient_json(), "headers": {"Idempotency-Key": "k"}}
    await client.post("/predict", **asked)  # type: ignore[arg-type]
    assert not {"interval", "support", "comparison"} & set(
        knowing.repository.rows[1].prediction_data
    )
    knowing.model.knows = True
    again = (await client.post("/predict", **asked)).json()  # type: ignore[arg-type]
    assert (again["interval"], again["support"], again["comparison"]) == (None, None, None)


@pytest.mark.parametrize(
    "damage",
    [
        {"interval": {"low": 0.9, "high": 0.95}},
        {"interval": {"low": 0.1}},
        {"support": {"level": "near", "reasons": []}},
        {"support": "within"},
        {"comparison": {"average": 1}},
    ],
)
async def test_a_row_whose_context_makes_no_sense_is_not_replayed(
    client: httpx.AsyncClient, knowing: Parts, damage: dict[str, Any]
) -> None:
    asked = {"json": patient_json(), "headers": {"Idempotency-Key": "k"}}
    await client.post("/predict", **asked)  # type: ignore[arg-type]
    knowing.repository.rows[1].prediction_data.update(damage)
    again = await client.post("/predict", **asked)  # type: ignore[arg-type]
    assert (again.status_code, again.json()["type"]) == (409, "urn:stroke:problem:not-replayable")


async def test_a_batch_has_it_for_each_patient(client: httpx.AsyncClient) -> None:
    patients = [patient_json(age=65), patient_json(age=101)]
    answers = (await client.post(BATCH, json={"patients": patients})).json()["predictions"]
    assert [each["support"]["level"] for each in answers] == ["within", "outside"]
    assert all(each["interval"]["low"] < each["probability"] for each in answers)


async def test_a_setting_refuses_whoever_is_outside(
    careful: httpx.AsyncClient, strict: Parts
) -> None:
    refused = await careful.post("/predict", json=patient_json(age=101))
    assert refused.status_code == 422
    assert OUTSIDE.items() <= refused.json().items()
    assert refused.json()["errors"] == [
        {"pointer": "/age", "detail": REASON["text"], "code": REASON["code"]}
    ]
    assert (await careful.post("/predict", json=patient_json(age=100))).status_code == 200
    assert len(strict.repository.rows) == 1


async def test_a_setting_refuses_the_charts_of_whoever_is_outside(
    careful: httpx.AsyncClient, strict: Parts
) -> None:
    old = {**PATIENT, "birthDate": "1920-01-01"}

    hook = await careful.post("/cds-services/stroke-risk", json=request(patient=old))
    [card] = hook.json()["cards"]
    assert card["summary"].startswith("Stroke risk not assessed: the training data had no")
    assert "suggestions" not in card
    whole = bundle(old, bmi(), glucose(), smoking(), condition("c1", SNOMED, "53741008"))
    refused = await careful.post("/fhir/$stroke-risk", json=whole)
    assert (refused.status_code, refused.json()["resourceType"]) == (422, "OperationOutcome")
    assert not strict.repository.rows


async def test_a_setting_refuses_a_batch_with_some_who_are_outside(
    careful: httpx.AsyncClient, strict: Parts
) -> None:
    ages = [50, 101, 60, 120]
    body = {"patients": [patient_json(age=age) for age in ages]}
    for headers in ({}, {"Idempotency-Key": "k"}):
        refused = await careful.post(BATCH, json=body, headers=headers)
        assert OUTSIDE.items() <= refused.json().items()
        assert [each["pointer"] for each in refused.json()["errors"]] == [
            "/patients/1/age",
            "/patients/3/age",
        ]
    assert not strict.repository.rows


async def test_what_was_answered_once_is_answered_again_although_it_would_be_refused_now(
    careful: httpx.AsyncClient, strict: Parts
) -> None:
    asked = {"json": patient_json(age=101), "headers": {"Idempotency-Key": "k"}}
    strict.model.knows = False
    first = await careful.post("/predict", **asked)  # type: ignore[arg-type]
    strict.model.knows = True
    assert (await careful.post("/predict", **asked)).content == first.content  # type: ignore[arg-type]
    other = {"json": patient_json(age=101), "headers": {"Idempotency-Key": "other"}}
    assert (await careful.post("/predict", **other)).status_code == 422  # type: ignore[arg-type]


async def test_what_would_be_with_another_value_is_answered_and_not_stored(
    client: httpx.AsyncClient, knowing: Parts
) -> None:
    body = {"patient": patient_json(age=65, hypertension=1), "changes": {"hypertension": 0}}
    answer = await client.post(WHAT_IF, json=body)
    assert answer.status_code == 200
    found = answer.json()
    assert found["before"]["probability"] == pytest.approx(risk(-1.6))
    assert found["after"]["probability"] == pytest.approx(risk(-2))
    assert found["difference"] == pytest.approx(risk(-2) - risk(-1.6))
    strongest, other = found["differences"]
    assert strongest == {
        "feature": "hypertension",
        "value_before": 1,
        "value_after": 0,
        "log_odds_before": 0.4,
        "log_odds_after": 0.0,
        "log_odds": -0.4,
    }
    assert (other["feature"], other["log_odds"]) == ("age", 0.0)
    assert found["note"] == NOTE
    assert found["after"]["interval"]["low"] < found["after"]["probability"]
    assert found["after"]["support"]["level"] == "within"
    assert not knowing.repository.rows
    assert "prediction_id" not in answer.text


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "hypertension": st.integers(0, 1),
            "bmi": st.none() | st.floats(8, 100),
            "avg_glucose_level": st.none() | st.floats(20, 600),
            "smoking_status": st.sampled_from(["smokes", "Unknown"]),
        },
    ).filter(bool),
    st.sampled_from([{}, {"bmi": None}, {"avg_glucose_level": None, "bmi": None}]),
)
async def test_the_differences_sum_to_that_of_the_logits(
    changes: dict[str, Any], gaps: dict[str, Any]
) -> None:
    async with connected(service_parts(OPTIONAL, knows=True).app) as client:
        body = {"patient": patient_json(hypertension=1, **gaps), "changes": changes}
        found = (await client.post(WHAT_IF, json=body)).json()
    logits = [
        math.log(each["probability"] / (1 - each["probability"]))
        for each in (found["before"], found["after"])
    ]
    baselines = [found[name]["baseline_log_odds"] for name in ("before", "after")]
    summed = sum(each["log_odds"] for each in found["differences"]) + baselines[1] - baselines[0]
    assert summed == pytest.approx(logits[1] - logits[0], abs=1e-9)


async def test_the_texts_of_a_patient_may_be_left_out(client: httpx.AsyncClient) -> None:
    patient = {
        name: value
        for name, value in patient_json().items()
        if name not in ("name", "country", "province")
    }
    answer = await client.post(WHAT_IF, json={"patient": patient, "changes": {"bmi": 27}})
    assert answer.status_code == 200


async def test_a_claim_about_the_patient_says_nothing_of_the_changed_one(
    client: httpx.AsyncClient,
) -> None:
    claimed = patient_json(bmi=26.8, bmi_category="Overweight")
    answer = await client.post(WHAT_IF, json={"patient": claimed, "changes": {"bmi": 40}})
    assert answer.status_code == 200
    wrong = patient_json(bmi=26.8, bmi_category="Underweight")
    answer = await client.post(WHAT_IF, json={"patient": wrong, "changes": {"bmi": 40}})
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/patient/bmi_category"]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"patient": patient_json(), "changes": {}}, ["/changes"]),
        ({"patient": patient_json()}, ["/changes"]),
        ({"changes": {"bmi": 27}}, ["/patient"]),
        ({"patient": patient_json(), "changes": {"bmi": 7}}, ["/changes/bmi"]),
        ({"patient": patient_json(), "changes": {"bmi": "27"}}, ["/changes/bmi"]),
        ({"patient": patient_json(), "changes": {"hypertension": None}}, ["/changes/hypertension"]),
        ({"patient": patient_json(), "changes": {"hypertension": 0.5}}, ["/changes/hypertension"]),
        ({"patient": patient_json(age=130), "changes": {"bmi": 27}}, ["/patient/age"]),
        ({"patient": patient_json(), "changes": {"age": 30}}, ["/changes/age"]),
        ({"patient": patient_json(), "changes": {"gender": "Male"}}, ["/changes/gender"]),
        ({"patient": patient_json(), "changes": {"Jane Doe": 30, "bmi": 27}}, ["/changes"]),
        ({"patient": patient_json(), "changes": {"name": "Jane Doe"}}, ["/changes"]),
        ({"patient": patient_json(), "changes": [1]}, ["/changes"]),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_its_place_and_never_quoted(
    client: httpx.AsyncClient, body: dict[str, Any], pointers: list[str]
) -> None:
    refused = await client.post(WHAT_IF, json=body)
    assert refused.status_code == 422
    assert [each["pointer"] for each in refused.json()["errors"]] == pointers
    assert "Jane" not in refused.text


async def test_a_model_that_needs_a_measurement_takes_no_change_to_none(
    parts_with: Callable[..., Parts],
) -> None:
    async with connected(parts_with().app) as client:
        body = {"patient": patient_json(), "changes": {"bmi": None}}
        refused = await client.post(WHAT_IF, json=body)
    assert [each["pointer"] for each in refused.json()["errors"]] == ["/changes/bmi"]


@pytest.mark.parametrize("age", [101, 100])
async def test_the_setting_holds_for_what_if_as_well(careful: httpx.AsyncClient, age: int) -> None:
    body = {"patient": patient_json(age=age), "changes": {"bmi": 27}}
    answer = await careful.post(WHAT_IF, json=body)
    assert answer.status_code == (422 if age > 100 else 200)
    if age > 100:
        assert [each["pointer"] for each in answer.json()["errors"]] == ["/patient/age"]


async def test_the_document_describes_what_may_be_changed(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    changes = schemas["ChangesIn"]
    assert set(changes["properties"]) == set(CHANGEABLE)
    assert changes["additionalProperties"] is False
    assert changes["minProperties"] == 1
    assert "required" not in changes
    assert {"type": "null"} in changes["properties"]["bmi"]["anyOf"]
    assert "anyOf" not in changes["properties"]["hypertension"]
    assert "name" not in schemas["WhatIfPatientIn"]["required"]
    assert {"gender", "age"} <= set(schemas["WhatIfPatientIn"]["required"])
