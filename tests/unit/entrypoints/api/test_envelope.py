from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace

from builders.asgi import connected
from builders.predictions import patient_json
from builders.problems import problem_of
from stroke.domain.errors import StoreUnavailable
from stroke.entrypoints.api.envelope import SECURITY
from stroke.entrypoints.logs import JsonFormatter
from stroke.entrypoints.request_id import CURRENT, request_id_of

pytestmark = pytest.mark.anyio
MADE = re.compile(r"[0-9a-f]{32}")
PATHS = ["/", "/predictions", "/nowhere", "/docs", "/openapi.json", "/metrics", "/health/live"]
BAD = [
    "",
    "two words",
    "x" * 129,
    '"quoted"',
    "{}",
    "-rf",
    "a\tb",
    "<script>",
    "a;b",
    "Zoë",
]


@pytest.fixture
async def lines() -> AsyncIterator[list[dict[str, Any]]]:
    """Give what the service logs meanwhile, read back from its JSON."""
    read: list[dict[str, Any]] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            read.append(json.loads(JsonFormatter().format(record)))

    handler = Handler()
    logging.getLogger("stroke").addHandler(handler)
    yield read
    logging.getLogger("stroke").removeHandler(handler)


@pytest.mark.parametrize("path", PATHS)
async def test_an_id_that_a_client_sends_comes_back_on_every_answer(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path, headers={"X-Request-ID": "visit-4711.a:B_2"})
    assert answer.headers.get_list("x-request-id") == ["visit-4711.a:B_2"]


@pytest.mark.parametrize("path", PATHS)
async def test_without_one_each_request_gets_an_id_of_its_own(
    client: httpx.AsyncClient, path: str
) -> None:
    ids = {(await client.get(path)).headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20
    assert all(MADE.fullmatch(one) for one in ids)


@pytest.mark.parametrize("sent", BAD)
async def test_an_id_that_is_not_well_formed_is_replaced(
    client: httpx.AsyncClient, sent: str
) -> None:
    answer = await client.get("/nowhere", headers=[(b"x-request-id", sent.encode())])
    assert MADE.fullmatch(answer.headers["x-request-id"])
    assert problem_of(answer)["status"] == 404


async def test_an_id_that_is_sent_twice_is_replaced(client: httpx.AsyncClient) -> None:
    twice = [("x-request-id", "one"), ("x-request-id", "two")]
    answer = await client.get("/", headers=twice)
    assert MADE.fullmatch(answer.headers["x-request-id"])


@given(st.binary(max_size=200))
def test_no_id_has_a_byte_that_could_end_a_line_or_a_header(sent: bytes) -> None:
    taken = request_id_of([(b"x-request-id", sent)])
    assert re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", taken)
    assert taken.encode() == sent or MADE.fullmatch(taken)


@pytest.mark.parametrize(
    "body", [b"{", json.dumps(patient_json(age=670)).encode(), b"x" * 50_000, None]
)
async def test_a_problem_names_its_request(client: httpx.AsyncClient, body: bytes | None) -> None:
    headers = {"content-type": "application/json", "x-request-id": "visit-1"}
    answer = await client.post("/predict", content=body, headers=headers)
    assert answer.status_code in (400, 413, 415, 422)
    assert answer.json()["request_id"] == "visit-1" == answer.headers["x-request-id"]


@pytest.mark.parametrize("error", [StoreUnavailable("the database is away"), ValueError("Canary")])
async def test_what_is_logged_within_a_request_names_it(
    client: httpx.AsyncClient, parts: Any, lines: list[dict[str, Any]], error: Exception
) -> None:
    parts.repository.failing = error
    headers = {"x-request-id": "visit-2"}
    answer = await client.post("/predict", json=patient_json(), headers=headers)
    assert answer.status_code >= 500
    assert answer.json()["request_id"] == "visit-2"
    assert [line["request_id"] for line in lines] == ["visit-2"]
    assert CURRENT.get() is None


async def test_the_span_of_a_request_gets_its_id(client: httpx.AsyncClient) -> None:
    noted: dict[str, Any] = {}

    class Span(trace.NonRecordingSpan):
        def set_attribute(self, key: str, value: Any) -> None:
            noted[key] = value

    context = trace.SpanContext(0xABC, 0xDEF, is_remote=False)
    with trace.use_span(Span(context)):
        await client.get("/", headers={"x-request-id": "visit-3"})
    assert noted == {"stroke.request_id": "visit-3"}


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_has_each_security_header_once(
    client: httpx.AsyncClient, path: str
) -> None:
    headers = (await client.get(path)).headers
    for name, _ in SECURITY:
        assert len(headers.get_list(name.decode())) == 1, name
    assert "server" not in headers


async def test_answers_may_not_be_kept_framed_sniffed_or_run(client: httpx.AsyncClient) -> None:
    headers = (await client.post("/predict", json=patient_json())).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]


async def test_the_docs_page_may_run_its_own_scripts_and_nobody_elses(
    client: httpx.AsyncClient,
) -> None:
    policy = (await client.get("/docs")).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http:" not in policy


async def test_a_page_of_another_origin_may_send_and_read_the_id_where_cors_is_open(
    parts_with: Callable[..., Any],
) -> None:
    origin = "https://clinic.example"
    async with connected(parts_with(cors_origins=(origin,)).app) as client:
        asked = {
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "x-request-id",
        }
        preflight = await client.options("/predict", headers=asked)
        assert preflight.status_code == 200
        answer = await client.get("/", headers={"origin": origin})
    assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
