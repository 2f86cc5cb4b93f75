from __future__ import annotations

from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/openapi.json")).json()
    return found


async def test_every_route_is_documented(document: dict[str, Any]) -> None:
    operations = {
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
    }
    assert operations == {
        "GET /",
        "GET /health/live",
        "GET /health/ready",
        "GET /metrics",
        "GET /model_info",
        "GET /api/v1/models/{version}/card",
        "GET /api/v1/models",
        "GET /api/v1/models/deployment",
        "POST /api/v1/models/deployment",
        "GET /api/v1/models/deployments",
        "GET /api/v1/models/agreement",
        "GET /predictions",
        "GET /api/v1/audit",
        "POST /api/v1/erasures",
        "GET /api/v1/erasures/{job_id}",
        "GET /api/v1/predictions",
        "GET /api/v1/predictions/{prediction_id}",
        "DELETE /api/v1/predictions/{prediction_id}",
        "PUT /api/v1/predictions/{prediction_id}/outcome",
        "GET /api/v1/predictions/{prediction_id}/outcome",
        "DELETE /api/v1/predictions/{prediction_id}/outcome",
        "POST /predict",
        "POST /api/v1/predict",
        "POST /api/v1/predictions:batch",
        "POST /api/v1/what-if",
        "GET /v2",
        "GET /v2/health/live",
        "GET /v2/health/ready",
        *(
            operation.format(model=model)
            for model in (
                "/v2/models/{model_name}",
                "/v2/models/{model_name}/versions/{model_version}",
            )
            for operation in (
                "GET {model}",
                "GET {model}/ready",
                "POST {model}/infer",
                "POST {model}/explain",
            )
        ),
    }


async def test_the_schema_of_a_patient_shows_the_domains_ranges(document: dict[str, Any]) -> None:
    patient = document["components"]["schemas"]["PatientIn"]
    assert len(patient["required"]) == 10
    fields = patient["properties"]
    assert (fields["age"]["minimum"], fields["age"]["maximum"]) == (0, 120)
    assert (fields["avg_glucose_level"]["minimum"], fields["bmi"]["maximum"]) == (20, 100)
    assert fields["hypertension"]["enum"] == [0, 1]
    assert fields["gender"]["enum"] == ["Male", "Female", "Other"]
    assert fields["name"]["maxLength"] == 100
    assert (
        document["components"]["schemas"]["BatchIn"]["properties"]["patients"]["maxItems"] == 10_000
    )


async def test_the_example_of_the_docs_page_can_be_sent(
    client: httpx.AsyncClient, document: dict[str, Any]
) -> None:
    example = document["components"]["schemas"]["PatientIn"]["examples"][0]
    assert (await client.post("/predict", json=example)).status_code == 200


async def test_every_error_is_documented_as_a_problem_or_as_the_protocols_error(
    document: dict[str, Any],
) -> None:
    statuses = set()
    for path, item in document["paths"].items():
        kind, form = (
            ("application/json", "InferenceErrorOut")
            if path.startswith("/v2")
            else ("application/problem+json", "Problem")
        )
        for operation in item.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    statuses.add(status)
                    schema = {"$ref": f"#/components/schemas/{form}"}
                    assert response["content"] == {kind: {"schema": schema}}
    assert statuses == {
        *("400", "401", "403", "404", "409", "413", "415", "422", "429", "500", "503")
    }


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    found = set(_references(document))
    assert found
    assert {name.removeprefix("#/components/schemas/") for name in found} <= set(schemas)


async def test_a_key_that_makes_retries_safe_is_documented(document: dict[str, Any]) -> None:
    for path in ("/predict", "/api/v1/predict"):
        names = [p["name"] for p in document["paths"][path]["post"]["parameters"]]
        assert names == ["Idempotency-Key"]
        (parameter,) = document["paths"][path]["post"]["parameters"]
        for problem in ("idempotency-key-reused", "not-replayable"):
            assert f"urn:stroke:problem:{problem}" in parameter["description"]


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [ref for value in node.values() for ref in _references(value)]
    return [ref for value in node for ref in _references(value)] if isinstance(node, list) else []
