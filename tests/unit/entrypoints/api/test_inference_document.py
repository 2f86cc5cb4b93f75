"""The Open Inference Protocol as the OpenAPI document has it, against the routes on fakes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import pytest
import schemathesis
from jsonschema_rs import is_valid  # what schemathesis judges by
from schemathesis import GenerationMode

from builders.asgi import from_this_machine
from builders.inference import inputs, tensor
from builders.service import Parts
from components.openapi import send_examples
from stroke.entrypoints.api.inference_tensors import InferIn

BASE = "/v2/models/{model_name}"
EXAMPLES = 12


@pytest.mark.filterwarnings("ignore:Using `httpx`")  # schemathesis' own client of an application
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name.lower())
def test_made_up_tensors_are_answered_as_the_document_says(
    parts: Parts, mode: GenerationMode
) -> None:
    answers: Counter[tuple[int, str]] = Counter()

    def send(case: schemathesis.Case[Any]) -> None:
        answer = case.call_and_validate()
        answers[int(answer.status_code), answer.headers["content-type"][0]] += 1

    document = schemathesis.openapi.from_asgi("/openapi.json", from_this_machine(parts.app))
    send_examples(
        document[f"{BASE}/infer"]["POST"],
        mode,
        examples=EXAMPLES,
        served=(parts.model.description.name, parts.model.description.version),
        send=send,
    )

    if mode is GenerationMode.POSITIVE:
        of_scores = {(200, "application/json"), (200, "application/octet-stream")}
        # A key may come again, with other rows.
        assert of_scores <= set(answers) <= {*of_scores, (409, "application/json")}
        assert parts.repository.rows
    else:
        assert answers
        assert set(answers) <= {(400, "application/json"), (422, "application/json")}
        assert not parts.repository.rows


def _first(**changes: Any) -> dict[str, Any]:
    first, *others = inputs()
    return {"inputs": [first | changes, *others]}


BROKEN = {
    "no inputs": {},
    "an empty list of inputs": {"inputs": []},
    "an input that is a text": {"inputs": ["age"]},
    "an input without a name": {"inputs": [{"shape": [1], "datatype": "FP64", "data": [1]}]},
    "a name that is a number": _first(name=1),
    "a datatype that is unknown": _first(datatype="FP128"),
    "no shape at all": _first(shape=[]),
    "three dimensions": _first(shape=[1, 1, 1]),
    "no row": _first(shape=[0]),
    "too many rows": _first(shape=[10_001]),
    "a shape of texts": _first(shape=["1"]),
    "data that are no list": _first(data="Male"),
    "a size that is negative": _first(data=None, parameters={"binary_data_size": -1}),
    "a size that is a text": _first(data=None, parameters={"binary_data_size": "4"}),
    "parameters that are a list": {"inputs": inputs(), "parameters": []},
    "to store that is a text": {"inputs": inputs(), "parameters": {"store": "yes"}},
    "a form that is a number": {"inputs": inputs(), "parameters": {"binary_data_output": 1}},
    "an id that is a number": {"inputs": inputs(), "id": 7},
    "outputs that are an object": {"inputs": inputs(), "outputs": {}},
    "an output without a name": {"inputs": inputs(), "outputs": [{}]},
    "an output's form that is null": {
        "inputs": inputs(),
        "outputs": [{"name": "probability", "parameters": {"binary_data": None}}],
    },
}


@pytest.mark.anyio
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_what_the_document_does_not_allow_is_refused_in_the_protocols_form(
    client: httpx.AsyncClient, broken: dict[str, Any]
) -> None:
    assert not is_valid(InferIn.model_json_schema(), broken)

    answer = await client.post("/v2/models/fake/infer", json=broken)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]


@pytest.mark.anyio
async def test_the_document_and_the_routes_agree_on_a_request_that_uses_everything(
    client: httpx.AsyncClient,
) -> None:
    texts = [tensor(name, ["A", "B"]) for name in ("name", "country", "province")]
    body = {
        "id": "ward-7",
        "inputs": [*inputs(2), *texts],
        "parameters": {"store": True, "binary_data_output": False, "other": 1},
        "outputs": [{"name": "prediction_id", "parameters": {"binary_data": False}}],
    }
    document = (await client.get("/openapi.json")).json()
    schema = {"$ref": "#/components/schemas/InferIn", "components": document["components"]}
    assert is_valid(schema, body)
    assert is_valid(InferIn.model_json_schema(), body)

    answer = await client.post("/v2/models/fake/infer", json=body)

    assert answer.status_code == 200
    assert set(answer.json()) == {"id", "model_name", "model_version", "outputs"}
