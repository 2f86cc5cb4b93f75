"""Traces of the live service, as a collector gets them."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from builders.predictions import patient_json
from components.containers import MySqlServer, free_port
from components.otlp_collector import Collector, Span
from components.processes import STROKE, Service, environment, upgrade_schema

# Of patients: what must be nowhere in what is sent.
NAME, COUNTRY, PROVINCE, AGE = "Canary Nomen", "Canaria", "Provincia", 43.21987
PATIENT = patient_json(name=NAME, country=COUNTRY, province=PROVINCE, age=AGE)
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def served(collector: Collector, folder: Path, **settings: str) -> Service:
    return Service(
        folder,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        OTEL_BSP_SCHEDULE_DELAY="100",
        **settings,
    )


def is_request(span: Span) -> bool:
    return span.kind == "SPAN_KIND_SERVER"


def no_canary(collector: Collector) -> None:
    sent = b"".join(collector.bodies)
    assert sent
    for canary in (NAME, COUNTRY, PROVINCE, str(AGE), "Nomen"):
        assert canary.encode() not in sent


@pytest.mark.parametrize("store", ["sqlite", "mysql"])
def test_a_request_its_commit_and_its_statements_are_one_trace_without_a_patient(
    store: str, collector: Collector, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    settings = {}
    if store == "mysql":
        server: MySqlServer = request.getfixturevalue("mysql")
        settings["STROKE_DATABASE_URL"] = server.new_database()
        upgrade_schema(settings["STROKE_DATABASE_URL"], tmp_path)
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "vendor=Canaria"}

    with served(collector, tmp_path, **settings) as service:
        made = httpx.post(
            f"{service.url}/predict", json=PATIENT, headers=headers, timeout=60
        ).json()
        read = f"{service.url}/api/v1/predictions/{made['prediction_id']}"
        assert httpx.get(read, timeout=60).json()["name"] == NAME
        httpx.get(f"{service.url}/api/v1/predictions", params={"country": COUNTRY}, timeout=60)
        httpx.get(f"{service.url}/{NAME}", timeout=60)
        service.stop()

    predicted = collector.wait_for(lambda span: span.name == "POST /predict")
    assert (predicted.trace_id, predicted.parent_id) == (TRACE, CALLER)
    assert predicted.attributes["http.response.status_code"] == "200"
    commit = collector.wait_for(lambda span: span.name == "commit predictions")
    assert (commit.trace_id, commit.parent_id) == (TRACE, predicted.span_id)
    assert commit.attributes["db.operation.batch.size"] == "1"
    found = collector.wait_for(lambda span: span.name == "GET /api/v1/predictions/{prediction_id}")
    selects = [span for span in collector.spans() if span.parent_id == found.span_id]
    assert {span.attributes["db.operation.name"] for span in selects} == {"SELECT"}
    assert "GET" in {span.name for span in collector.spans() if is_request(span)}
    assert not any("/health" in span.name for span in collector.spans())
    no_canary(collector)


def test_requests_that_share_a_commit_are_linked_with_it_to_and_fro(
    collector: Collector, tmp_path: Path
) -> None:
    async def crowd(url: str) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            await asyncio.gather(*(http.post("/predict", json=PATIENT) for _ in range(60)))

    with served(collector, tmp_path) as service:
        asyncio.run(crowd(service.url))
        service.stop()

    requests = {span.span_id: span for span in collector.spans() if span.name == "POST /predict"}
    commits = [span for span in collector.spans() if span.name == "commit predictions"]
    assert len(requests) == 60
    assert sum(int(span.attributes["db.operation.batch.size"]) for span in commits) == 60
    shared = [span for span in commits if span.links]
    assert shared
    for commit in shared:
        assert len({commit.parent_id, *commit.links}) == int(
            commit.attributes["db.operation.batch.size"]
        )
        for other in commit.links:
            assert requests[other].links == (commit.span_id,)


def test_a_failure_is_logged_by_its_kind_alone(collector: Collector, tmp_path: Path) -> None:
    with served(collector, tmp_path) as service:
        httpx.post(f"{service.url}/predict", json=PATIENT | {"age": 999}, timeout=60)
        with sqlite3.connect(tmp_path / "stroke.db") as held:
            held.execute("ALTER TABLE predictions RENAME TO elsewhere")
        away = httpx.post(f"{service.url}/predict", json=PATIENT, timeout=60)
        service.stop()

    assert away.status_code == 503
    refused, failed = (span for span in collector.spans() if span.name == "POST /predict")
    assert (refused.attributes["http.response.status_code"], refused.failed) == ("422", False)
    assert failed.attributes["http.response.status_code"] == "503"
    assert failed.failed
    commit = collector.wait_for(lambda span: span.name == "commit predictions")
    assert (commit.failed, commit.trace_id) == (True, failed.trace_id)
    assert commit.attributes["error.type"]
    no_canary(collector)


def test_a_collector_that_is_away_disturbs_nobody_and_is_logged_once(tmp_path: Path) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    with Service(
        tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=away, OTEL_BSP_SCHEDULE_DELAY="100"
    ) as service:
        for _ in range(5):
            assert httpx.post(f"{service.url}/predict", json=PATIENT, timeout=60).status_code == 200
        assert service.stop() == 0

    lines = [line for line in service.log.splitlines() if "collector" in line]
    assert len(lines) == 1
    assert "opentelemetry" not in service.log


def test_an_endpoint_that_is_none_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(STROKE), "serve"],
        cwd=tmp_path,
        env=environment(OTEL_EXPORTER_OTLP_ENDPOINT="collector:4318"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "STROKE_TRACES_ENDPOINT" in done.stderr or "OTEL_EXPORTER_OTLP_ENDPOINT" in done.stderr
    assert len(done.stderr.splitlines()) == 1


_IMPORTED = """
import sys
from stroke.container.service import Container
from stroke.config import Settings
from stroke.entrypoints.api.app import create_app
create_app(Container(settings=Settings.load()))
tracing = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.instrumentation")
print([name for name in sys.modules if name.startswith(tracing)])
"""


def test_without_an_endpoint_nothing_that_traces_is_imported(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_calls_of_kafka_connect_are_spans_that_name_what_was_asked(
    collector: Collector, tmp_path: Path
) -> None:
    """The collector answers as a Connect that knows no connectors would not: that is an error."""
    done = subprocess.run(
        [str(STROKE), "connectors", "status"],
        cwd=tmp_path,
        env=environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            STROKE_CONNECT_URL=f"http://127.0.0.1:{free_port()}",
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    call = collector.wait_for(lambda span: span.kind == "SPAN_KIND_CLIENT")
    assert call.name.startswith("GET /connectors")
    assert call.failed
