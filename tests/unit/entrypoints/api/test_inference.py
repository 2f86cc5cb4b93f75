"""The Open Inference Protocol V2, on fakes."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from builders.asgi import connected
from builders.inference import DATATYPES, FEATURES, framed, inputs, packed, tensor
from builders.predictions import patient_json
from builders.service import Parts
from stroke.application.access.keys import KeyService
from stroke.container.clock import utc_now
from stroke.domain.errors import StoreUnavailable

pytestmark = pytest.mark.anyio

MODEL = "/v2/models/fake"
TEXTS = ("name", "country", "province")
CANARY = "Zebulon"


def outputs_of(answer: httpx.Response) -> dict[str, list[Any]]:
    assert answer.status_code == 200, answer.text
    return {each["name"]: each["data"] for each in answer.json()["outputs"]}


def error_of(answer: httpx.Response, status: int) -> str:
    """Return the text of an error, which is all that its body has."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    (said,) = answer.json().items()
    assert said[0] == "error"
    return str(said[1])


async def test_the_server_tells_what_it_is_and_that_it_is_ready(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    server = (await client.get("/v2")).json()
    assert server["name"] == "stroke"
    assert server["extensions"] == ["binary_tensor_data"]
    assert (await client.get("/v2/health/live")).json() == {"live": True}
    assert (await client.get("/v2/health/ready")).json() == {"ready": True}
    assert (await client.get(f"{MODEL}/ready")).json() == {"name": "fake", "ready": True}

    parts.repository.failing = StoreUnavailable("away")
    assert "cannot be stored" in error_of(await client.get("/v2/health/ready"), 503)
    assert (await client.get("/v2/health/live")).status_code == 200


async def test_the_metadata_names_the_tensors_that_an_answer_then_has(
    client: httpx.AsyncClient,
) -> None:
    for path in (MODEL, f"{MODEL}/versions/fake-1"):
        model = (await client.get(path)).json()
        assert (model["name"], model["versions"], model["platform"]) == ("fake", ["fake-1"], "onnx")
        found = {each["name"]: each["datatype"] for each in model["inputs"]}
        assert found == {name: DATATYPES[name] for name in FEATURES}
        answer = (await client.post(f"{path}/infer", json={"inputs": inputs()})).json()
        assert [(each["name"], each["datatype"]) for each in answer["outputs"]] == [
            (each["name"], each["datatype"]) for each in model["outputs"]
        ]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/models/other"),
        ("GET", "/v2/models/other/ready"),
        ("GET", f"{MODEL}/versions/2"),
        ("GET", f"{MODEL}/versions/2/ready"),
        ("POST", "/v2/models/other/infer"),
        ("POST", f"{MODEL}/versions/2/infer"),
        ("POST", f"{MODEL}/versions/2/explain"),
        ("GET", "/v2/nothing"),
    ],
)
async def test_another_model_or_version_or_path_is_not_found(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    error_of(await client.request(method, path, json={"inputs": inputs()}), 404)


async def test_an_inference_says_what_a_prediction_says_and_stores_nothing(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    ages = [30.0, 61.0, 88.5]
    asked = {"id": "42", "inputs": inputs(3, age=ages, hypertension=[0, 1, 0])}
    answer = await client.post(f"{MODEL}/infer", json=asked)
    found = outputs_of(answer)
    assert parts.repository.rows == {}
    head = answer.json()
    assert (head["id"], head["model_name"], head["model_version"]) == ("42", "fake", "fake-1")

    for row, (age, flag) in enumerate(zip(ages, (0, 1, 0), strict=True)):
        one = (await client.post("/predict", json=patient_json(age=age, hypertension=flag))).json()
        assert found["probability"][row] == one["probability"]
        assert found["risk_category"][row] == one["risk_category"]
        for each in one["explanation"]:
            assert found[f"contribution.{each['feature']}"][row] == each["log_odds"]


async def test_an_explanation_adds_up_to_the_logit_of_the_probability(
    client: httpx.AsyncClient,
) -> None:
    asked = {"inputs": inputs(2, age=[33.0, 77.0])}
    found = outputs_of(await client.post(f"{MODEL}/explain", json=asked))
    assert "probability" not in found
    wanted = {**asked, "outputs": [{"name": "probability"}]}
    (risks,) = outputs_of(await client.post(f"{MODEL}/explain", json=wanted)).values()
    for row, risk in enumerate(risks):
        added = [found[name][row] for name in ("contribution.age", "contribution.hypertension")]
        logit = found["baseline_log_odds"][row] + sum(added)
        assert math.isclose(logit, math.log(risk / (1 - risk)), abs_tol=1e-9)


async def test_a_shape_may_have_a_second_dimension_of_one_with_or_without_nested_data(
    client: httpx.AsyncClient,
) -> None:
    flat = inputs(2)
    expected = outputs_of(await client.post(f"{MODEL}/infer", json={"inputs": flat}))
    tall = [{**each, "shape": [2, 1]} for each in flat]
    nested = [{**each, "data": [[value] for value in each["data"]]} for each in tall]
    for form in (tall, nested):
        found = outputs_of(await client.post(f"{MODEL}/infer", json={"inputs": form}))
        assert found == expected


async def test_binary_data_say_the_same_as_json_in_both_directions(
    client: httpx.AsyncClient,
) -> None:
    tensors = inputs(2, age=[40.0, 81.25], gender=["Female", "Other"])
    expected = outputs_of(await client.post(f"{MODEL}/infer", json={"inputs": tensors}))
    body, headers = framed(tensors, parameters={"binary_data_output": True})
    answer = await client.post(f"{MODEL}/infer", content=body, headers=headers)

    assert answer.headers["content-type"] == "application/octet-stream"
    length = int(answer.headers["inference-header-content-length"])
    head, data = json.loads(answer.content[:length]), answer.content[length:]
    for output in head["outputs"]:
        # JSON has no NaN: what the fake model does not explain is null there.
        values = [math.nan if each is None else each for each in expected[output["name"]]]
        part = packed(output["datatype"], values)
        assert output["parameters"]["binary_data_size"] == len(part)
        assert data.startswith(part)
        data = data[len(part) :]
    assert data == b""


async def test_each_output_may_choose_its_own_form(client: httpx.AsyncClient) -> None:
    asked = {
        "inputs": inputs(),
        "parameters": {"binary_data_output": True},
        "outputs": [
            {"name": "risk_category", "parameters": {"binary_data": False}},
            {"name": "probability"},
        ],
    }
    answer = await client.post(f"{MODEL}/infer", json=asked)
    length = int(answer.headers["inference-header-content-length"])
    category, probability = json.loads(answer.content[:length])["outputs"]
    assert category["data"] == ["Medium"]
    assert probability["parameters"] == {"binary_data_size": 8}
    assert len(answer.content) == length + 8


async def test_rows_are_stored_if_the_request_says_so_and_has_what_a_prediction_has(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    asked: dict[str, Any] = {
        "inputs": inputs(2, [*FEATURES, *TEXTS]),
        "parameters": {"store": True},
    }
    found = outputs_of(await client.post(f"{MODEL}/infer", json=asked))
    assert found["prediction_id"] == sorted(parts.repository.rows)
    assert [row.name for row in parts.repository.rows.values()] == ["John Doe"] * 2

    for left_out in TEXTS:
        some = [each for each in asked["inputs"] if each["name"] != left_out]
        said = error_of(await client.post(f"{MODEL}/infer", json={**asked, "inputs": some}), 422)
        assert f"inputs/{left_out}: is required" in said
    assert len(parts.repository.rows) == 2


async def test_a_retry_with_the_same_key_stores_once(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    asked = {"inputs": inputs(2, [*FEATURES, *TEXTS]), "parameters": {"store": True}}
    key = {"Idempotency-Key": "again"}
    first = await client.post(f"{MODEL}/infer", json=asked, headers=key)
    second = await client.post(f"{MODEL}/infer", json=asked, headers=key)
    assert outputs_of(first)["prediction_id"] == outputs_of(second)["prediction_id"]
    assert len(parts.repository.rows) == 2


async def test_stored_rows_belong_to_the_site_of_the_key(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    made = await KeyService(parts.keys, now=utc_now).create(
        name="ward", site="north", scopes=["predict"]
    )
    async with connected(parts.app) as fresh:
        answer = await fresh.post(
            f"{MODEL}/infer",
            json={"inputs": inputs(1, [*FEATURES, *TEXTS]), "parameters": {"store": True}},
            headers={"Authorization": f"Bearer {made.text}"},
        )
    assert answer.status_code == 200
    (row,) = parts.repository.rows.values()
    assert row.site == "north"


async def test_a_body_without_a_media_type_is_scored_and_never_stored(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    asked = {"inputs": inputs(1, [*FEATURES, *TEXTS])}
    plain = await client.post(f"{MODEL}/infer", content=json.dumps(asked).encode())
    assert plain.status_code == 200
    storing = json.dumps({**asked, "parameters": {"store": True}}).encode()
    assert "Content-Type" in error_of(await client.post(f"{MODEL}/infer", content=storing), 415)
    assert parts.repository.rows == {}


@pytest.mark.parametrize("left_out", [False, True])
async def test_a_measurement_may_be_missing_where_the_model_can_do_without(
    client: httpx.AsyncClient, tolerant: httpx.AsyncClient, *, left_out: bool
) -> None:
    names = [each for each in FEATURES if not (left_out and each == "bmi")]
    body, headers = framed(inputs(1, names, bmi=[math.nan]), outputs=[{"name": "probability"}])
    (risks,) = outputs_of(
        await tolerant.post(f"{MODEL}/infer", content=body, headers=headers)
    ).values()
    one = await tolerant.post("/predict", json=patient_json(bmi=None))
    assert risks == [one.json()["probability"]]
    refused = await client.post(f"{MODEL}/infer", content=body, headers=headers)
    assert "inputs/bmi" in error_of(refused, 422)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"datatype": "FP32"}, "datatype: must be FP64"),
        ({"datatype": "BYTES"}, "datatype: must be FP64"),
        ({"shape": [2]}, "as many values"),
        ({"shape": [0], "data": []}, "1 to 10000 rows"),
        ({"shape": [2**64]}, "1 to 10000 rows"),
        ({"shape": [1, 2]}, "[n, 1]"),
        ({"shape": [1, 1, 1]}, "shape"),
        ({"shape": [-1]}, "shape/0"),
        ({"shape": []}, "shape"),
        ({"name": CANARY}, "must be one of"),
        ({"data": None}, "needs data"),
        ({"data": [None]}, "inputs/age/0"),
        ({"data": [True]}, "inputs/age/0"),
        ({"data": [[45.5]]}, "inputs/age/0"),
        ({"data": [10**400]}, "inputs/age/0"),
        ({"data": [CANARY]}, "inputs/age/0"),
        ({"data": [121]}, "0 to 120 years"),
        ({"datatype": "INT64", "data": [45.5]}, "whole numbers"),
        ({"parameters": {"shared_memory_region": CANARY}}, "not supported"),
        ({"parameters": {"binary_data_size": 8}}, "either data or binary_data_size"),
    ],
)
async def test_a_tensor_that_is_wrong_is_refused_with_its_place_and_without_its_value(
    client: httpx.AsyncClient, changes: dict[str, Any], said: str
) -> None:
    wrong = [{**each, **changes} if each["name"] == "age" else each for each in inputs()]
    answer = await client.post(f"{MODEL}/infer", json={"inputs": wrong})
    text = error_of(answer, 422)
    assert said in text
    assert CANARY not in text


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"inputs": []}, "inputs"),
        ({"inputs": inputs()[:6]}, "inputs/smoking_status: is required"),
        ({"inputs": [*inputs(), tensor("age", [45.0])]}, "comes twice"),
        ({"inputs": [*inputs()[1:], tensor("gender", ["Male"] * 2)]}, "same number of rows"),
        ({"parameters": {"store": 1}}, "parameters/store"),
        ({"parameters": {"binary_data_output": CANARY}}, "true or false"),
        ({"outputs": [{"name": CANARY}]}, "must be one of"),
        ({"outputs": [{"name": "prediction_id"}]}, "must be one of"),
        ({"outputs": [{"name": "probability"}] * 2}, "comes twice"),
        ({"outputs": [{"name": "probability", "parameters": {"classification": 1}}]}, "supported"),
        ({"id": 42}, "id"),
        ({"parameters": {CANARY: {}, "store": []}}, "parameters/store"),
    ],
)
async def test_a_request_that_is_wrong_is_refused(
    client: httpx.AsyncClient, parts: Parts, members: dict[str, Any], said: str
) -> None:
    answer = await client.post(f"{MODEL}/infer", json={"inputs": inputs(), **members})
    text = error_of(answer, 422)
    assert said in text
    assert CANARY not in text
    assert parts.model.runs == []


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "9" * 5000, "999999"])
async def test_a_length_that_the_body_has_not_is_refused(
    client: httpx.AsyncClient, length: str
) -> None:
    body, _ = framed(inputs())
    headers = {"Inference-Header-Content-Length": length}
    answer = await client.post(f"{MODEL}/infer", content=body, headers=headers)
    assert "Inference-Header-Content-Length" in error_of(answer, 400)


async def test_a_body_that_is_too_long_or_no_json_is_refused(client: httpx.AsyncClient) -> None:
    json_type = {"Content-Type": "application/json"}
    answer = await client.post(f"{MODEL}/infer", content=b"x" * 50_000, headers=json_type)
    error_of(answer, 413)
    error_of(await client.post(f"{MODEL}/infer", content=b"{", headers=json_type), 400)
    error_of(
        await client.post(f"{MODEL}/infer", content=b"{}", headers={"Content-Type": "text/csv"}),
        415,
    )


async def test_more_problems_than_a_text_can_hold_are_cut(client: httpx.AsyncClient) -> None:
    asked = {"inputs": inputs(50, age=[500.0] * 50)}
    text = error_of(await client.post(f"{MODEL}/infer", json=asked), 422)
    assert "inputs/age/9: " in text
    assert "inputs/age/10: " not in text
    assert "more problems" in text


@pytest.fixture
async def strict(parts_with: Callable[..., Parts]) -> AsyncIterator[httpx.AsyncClient]:
    async with connected(parts_with(knows=True, refuse_outside=True).app) as client:
        yield client


async def test_patients_outside_of_the_training_data_are_refused_where_predictions_are(
    strict: httpx.AsyncClient,
) -> None:
    for parameters in ({}, {"store": True}):
        asked = {
            "inputs": inputs(2, [*FEATURES, *TEXTS], age=[50.0, 110.0]),
            "parameters": parameters,
        }
        assert "inputs/1" in error_of(await strict.post(f"{MODEL}/infer", json=asked), 422)


async def test_a_caller_without_a_key_or_scope_or_with_too_many_requests_reads_an_error(
    parts_with: Callable[..., Parts],
) -> None:
    limited = parts_with(rate={"per_key": "2/minute"})
    keys = KeyService(limited.keys, now=utc_now)
    made = await keys.create(name="ward", site="north", scopes=["predict"])
    bearer = {"Authorization": f"Bearer {made.text}"}
    async with connected(limited.app) as client:
        error_of(await client.post(f"{MODEL}/infer", json={"inputs": inputs()}), 401)
        error_of(await client.get(MODEL, headers=bearer), 403)
        for status in (200, 429):
            asked = {"inputs": inputs()}
            answer = await client.post(f"{MODEL}/infer", json=asked, headers=bearer)
            assert answer.status_code == status
        assert "too many" in error_of(answer, 429)
