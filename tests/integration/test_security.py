"""What strangers, crowds and curious readers of logs get from the service."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import urllib3

from builders.predictions import patient_json
from components.containers import MySqlServer
from components.otlp_collector import Collector
from components.processes import Service, run_stroke, upgrade_schema, wait_for

WORD = "Zyxwvut"  # nothing else of the project contains it
CANARY = f"{WORD} Q. Patient"
AGE = 43.219871
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def _processes_of(service: Service) -> str:
    """Return the command lines and environments of the service and its children."""
    known = [service.pid, *service.children("")]
    read = [Path(f"/proc/{pid}/{name}") for pid in known for name in ("cmdline", "environ")]
    return "\n".join(path.read_bytes().decode(errors="replace") for path in read)


def _strange_requests(url: str, key: str = WORD) -> list[urllib3.BaseHTTPResponse]:
    """Send a patient's values wherever a request has a place for them; return what is answered.

    The ``key`` is shown with each request.
    """
    patient = patient_json(name=CANARY, country=CANARY, province=CANARY, age=AGE)
    wrong: list[dict[str, Any]] = [{**patient, name: CANARY} for name in patient if name != "name"]
    headers = {
        "Idempotency-Key": f"{WORD}-key",
        "X-Request-ID": CANARY,
        "Referer": CANARY,
        "User-Agent": CANARY,
        "X-API-Key": key,
        "X-Forwarded-For": CANARY,
        "Cookie": f"name={WORD}",
    }
    shown = {"X-API-Key": key}
    with urllib3.PoolManager(retries=False, timeout=30, headers=shown) as client:
        answers = [client.request("POST", f"{url}/predict", json=patient, headers=headers | JSON)]
        for body in [*wrong, {**patient, CANARY: CANARY}, {**patient, "name": CANARY * 20}]:
            answers.append(client.request("POST", f"{url}/predict", json=body, headers=shown))
            batch = {"patients": [body, patient]}
            path = f"{url}/api/v1/predictions:batch"
            answers.append(client.request("POST", path, json=batch, headers=shown))
        other = {**patient, "age": 50.0}  # another request with the key of the first
        answers.append(client.request("POST", f"{url}/predict", json=other, headers=headers | JSON))
        broken = f'{{"name": "{CANARY}" oops'.encode()
        answers.append(client.request("POST", f"{url}/predict", body=broken, headers=shown | JSON))
        quoted = WORD.lower()
        for method, path in (
            ("GET", f"/{quoted}"),
            ("GET", f"/predictions?country={quoted}&limit={quoted}"),
            ("GET", f"/api/v1/predictions?cursor={quoted}&province={quoted}"),
            ("GET", f"/api/v1/predictions/{quoted}"),
            ("DELETE", f"/api/v1/predictions/{quoted}"),
            ("PUT", f"/api/v1/predictions/1/outcome?{quoted}"),
            (WORD.upper(), "/predict"),
        ):
            answers.append(client.request(method, url + path, headers=headers))
    return answers


@pytest.mark.parametrize("form", ["json", "text"])
def test_nothing_that_a_client_sends_is_written_down_anywhere(
    form: str, collector: Collector, tmp_path: Path
) -> None:
    settings = {
        "STROKE_INSECURE": "true",  # among what is sent are headers of proxies
        "STROKE_HTTP_WORKERS": "2",
        "STROKE_LOG_FORMAT": form,
        "STROKE_HTTP_LOG_SECONDS": "0",
        "STROKE_HTTP_REFUSAL_PAUSE_SECONDS": "0",  # no second's rest after each of many 503
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with Service(tmp_path, **settings) as service:
        answers = _strange_requests(service.url)
        assert answers[0].status == 200
        problems = [answer for answer in answers if answer.status >= 400]
        assert len(problems) > 20
        (tmp_path / "stroke.db").unlink()  # errors of the database are logged, too
        answers = _strange_requests(service.url)
        problems += [answer for answer in answers if answer.status >= 400]
        assert any(answer.status == 503 for answer in problems)
        metrics = urllib3.request("GET", f"{service.url}/metrics").data.decode()
        processes = _processes_of(service)
        assert service.stop() == 0
        log = service.log
    assert "answered 503" in log
    assert "request_id" in log
    for place, text in {
        "log": log,
        "metrics": metrics,
        "traces": b"".join(collector.bodies).decode(errors="replace"),
        "processes": processes,
        "problems": "\n".join(f"{a.headers}\n{a.data.decode()}" for a in problems),
    }.items():
        assert text, place
        assert WORD.lower() not in text.lower(), place
        assert str(AGE) not in text, place


def test_nothing_of_a_patient_or_of_a_key_is_in_the_trail_of_a_caller_with_a_key(
    tmp_path: Path,
) -> None:
    with Service(tmp_path, STROKE_HTTP_LOG_SECONDS="0") as service:
        made = run_stroke(
            *("keys", "create", "--name", "ward", "--site", "north", "--scope", "admin"),
            folder=tmp_path,
        )
        assert made.returncode == 0, made.stderr
        key = made.stdout.strip()
        wait_for(f"{service.url}/predictions", status=401)
        refused = _strange_requests(service.url)
        assert {answer.status for answer in refused} <= {400, 401, 404, 405}
        answers = _strange_requests(service.url, key)
        assert answers[0].status == 200
        first = answers[0].json()["prediction_id"]
        asked = {"headers": {"X-API-Key": key}, "retries": False}
        row = f"{service.url}/api/v1/predictions/{first}"
        for query in (f"?country={WORD}", f"?province={WORD}&limit=1"):
            path = f"{service.url}/api/v1/predictions{query}"
            assert urllib3.request("GET", path, **asked).status == 200  # type: ignore[arg-type]
        assert urllib3.request("GET", row, **asked).status == 200  # type: ignore[arg-type]
        assert urllib3.request("DELETE", row, **asked).status == 204  # type: ignore[arg-type]
        problems = [a for a in [*refused, *answers] if a.status >= 400]
        processes = _processes_of(service)
        assert service.stop() == 0
        log = service.log
    with closing(sqlite3.connect(tmp_path / "stroke.db")) as file:
        trail = file.execute("SELECT * FROM audit").fetchall()
    assert len(trail) > 4
    for place, text in {
        "trail": str(trail),
        "log": log,
        "processes": processes,
        "problems": "\n".join(f"{a.headers}\n{a.data.decode()}" for a in problems),
    }.items():
        assert WORD.lower() not in text.lower(), place
        assert str(AGE) not in text, place
        assert key.split("_", 2)[2] not in text, place  # the secret, which may have one itself


def test_64_duplicates_of_a_key_at_once_over_two_workers_are_one_row(
    mysql: MySqlServer, tmp_path: Path
) -> None:
    database = mysql.new_database()
    upgrade_schema(database, tmp_path)
    settings = {"STROKE_DATABASE_URL": database, "STROKE_HTTP_WORKERS": "2"}
    with Service(tmp_path, **settings) as service:
        began = threading.Barrier(64)

        def send(_: int) -> tuple[int, bytes]:
            # A connection each, so that both workers get some.
            with urllib3.PoolManager(retries=False, timeout=60) as client:
                began.wait(60)
                answer = client.request(
                    "POST",
                    f"{service.url}/predict",
                    json=patient_json(),
                    headers=JSON | {"Idempotency-Key": "one-visit"},
                )
                return answer.status, answer.data

        with ThreadPoolExecutor(64) as clients:
            answers = set(clients.map(send, range(64)))
    [(status, _)] = answers
    assert status == 200
    assert mysql.rows(database, "SELECT COUNT(*) FROM predictions") == [(1,)]


def _resident_mib(service: Service) -> float:
    pages = int(Path(f"/proc/{service.pid}/statm").read_text().split()[1])
    return pages * 4096 / 1024**2


@pytest.mark.soak("ten times the capacity for half a minute")
def test_an_overload_is_refused_at_once_and_leaves_no_trace(tmp_path: Path) -> None:
    capacity, seconds = 8, 30.0
    settings = {
        "STROKE_QUEUE_CAPACITY": str(capacity),
        "STROKE_QUEUE_COMMIT_SIZE": "2",
        "STROKE_HTTP_ADMISSION_SECONDS": "0.05",
        "STROKE_HTTP_REFUSAL_PAUSE_SECONDS": "0",
    }
    acknowledged: list[int] = []
    took: list[float] = []
    statuses: Counter[int] = Counter()
    memory: list[float] = []
    with Service(tmp_path, **settings) as service:
        end = time.monotonic() + seconds

        def client(number: int) -> None:
            with urllib3.PoolManager(retries=False, timeout=30) as pool:
                while time.monotonic() < end:
                    began = time.monotonic()
                    answer = pool.request("POST", f"{service.url}/predict", json=patient_json())
                    statuses[answer.status] += 1
                    if answer.status == 200:
                        acknowledged.append(answer.json()["prediction_id"])
                    else:
                        took.append(time.monotonic() - began)
                        assert int(answer.headers["retry-after"]) > 0, number

        with ThreadPoolExecutor(10 * capacity) as clients:
            running = [clients.submit(client, number) for number in range(10 * capacity)]
            while time.monotonic() < end:
                time.sleep(1)
                memory.append(_resident_mib(service))
            for each in running:
                each.result(60)
        began = time.monotonic()
        answer = urllib3.request("POST", f"{service.url}/predict", json=patient_json(), timeout=5)
        assert answer.status == 200
        assert time.monotonic() - began < 5
        acknowledged.append(answer.json()["prediction_id"])
        assert service.stop() == 0
    assert set(statuses) == {200, 503}, statuses
    took.sort()
    assert took[len(took) * 95 // 100] < 1
    assert max(memory[len(memory) // 3 :]) < memory[len(memory) // 3] + 32
    with closing(sqlite3.connect(tmp_path / "stroke.db")) as file:
        stored = [row for (row,) in file.execute("SELECT id FROM predictions")]
    assert len(acknowledged) == len(set(acknowledged))
    assert set(acknowledged) <= set(stored)
