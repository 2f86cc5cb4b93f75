"""The served process at its HTTP edge: real clients, clients that hang up, hostile bytes."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3

from builders.predictions import patient_json
from components.change_events import until
from components.processes import Service, wait_for
from components.programs import program

CLIENTS = Path(__file__).parents[1] / "components" / "clients"
PATIENT = json.dumps(patient_json()).encode()
PREDICT = (
    b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(PATIENT), PATIENT)
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("edge")) as service:
        yield service


def connect(service: Service) -> socket.socket:
    address = urlsplit(service.url)
    assert address.hostname
    assert address.port
    return socket.create_connection((address.hostname, address.port), timeout=30)


def reset(client: socket.socket) -> None:
    """Close with a reset: what a client that is killed, or its network, leaves behind."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def rest(client: socket.socket) -> bytes:
    read = b""
    try:
        while part := client.recv(65536):
            read += part
    except ConnectionError:
        pass
    return read


def stored(service: Service) -> int:
    """Return how many predictions are stored: the newest id, as none is erased here."""
    page = urllib3.request("GET", f"{service.url}/predictions?limit=1").json()
    return int(page[0]["id"]) if page else 0


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def java(service: Service) -> str:
    program("javac", "default-jdk-headless")
    return run(program("java", "default-jdk-headless"), str(CLIENTS / "Predict.java"), service.url)


def node(service: Service) -> str:
    return run(program("node", "nodejs"), str(CLIENTS / "predict.mjs"), service.url)


def go(service: Service) -> str:
    return run(program("go", "golang-go"), "run", str(CLIENTS / "predict.go"), service.url)


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(java, id="java.net.http"),
        pytest.param(node, id="node"),
        pytest.param(go, id="go", marks=pytest.mark.soak("go builds its library first: 30 s")),
    ],
)
def test_the_stock_client_of_a_language_predicts_with_every_kind_of_body(
    service: Service, client: Callable[[Service], str]
) -> None:
    before = stored(service)
    lines = client(service).splitlines()
    assert len(lines) >= 3
    assert [line.split()[0] for line in lines] == ["200"] * len(lines)
    assert stored(service) - before == len(lines)


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--http2"],  # offers h2c
        ["--http1.0"],
        ["-H", "Transfer-Encoding: chunked"],
        ["-H", "Expect: 100-continue"],
        ["--http2", "-H", "Expect: 100-continue"],
    ],
)
def test_curl_predicts_twice_over_one_connection(service: Service, options: list[str]) -> None:
    url = f"{service.url}/predict"
    head = ["-sS", "--max-time", "20", "-H", "Content-Type: application/json", *options]
    shown = run(
        program("curl", "curl"), *head, "-d", PATIENT.decode(), "-w", "\n%{http_code}\n", url, url
    )
    assert shown.count("\n200\n") == 2


def test_curl_sees_the_head_and_the_refusals(service: Service) -> None:
    curl = program("curl", "curl")
    assert run(curl, "-sSI", f"{service.url}/health/live").startswith("HTTP/1.1 200")
    code = ["-sS", "-o", os.devnull, "-w", "%{http_code} %{content_type}"]
    problem = "application/problem+json"
    url = f"{service.url}/predictions"
    assert run(curl, *code, f"{url}?{'q' * 9000}") == f"414 {problem}"
    assert run(curl, *code, "-H", f"h: {'v' * 17_000}", url) == f"431 {problem}"


def test_36_mb_of_headers_are_refused_and_not_kept(service: Service) -> None:
    before = memory(service)
    line = b"h: " + b"v" * 1000 + b"\r\n"
    for _ in range(3):
        with connect(service) as client:
            try:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + line * 36_000)
            except ConnectionError:
                continue  # it ended the connection meanwhile
            assert b" 431 " in rest(client)[:20]
    assert memory(service) - before < 20
    assert urllib3.request("GET", f"{service.url}/health/ready").status == 200


def memory(service: Service) -> float:
    """Return the process's memory in MiB."""
    lines = urllib3.request("GET", f"{service.url}/metrics").data.decode().splitlines()
    [line] = [each for each in lines if each.startswith("process_resident_memory_bytes ")]
    return float(line.split()[1]) / 2**20


def test_what_is_stored_is_answered_though_garbage_follows(service: Service) -> None:
    before = stored(service)
    with connect(service) as client:
        client.sendall(PREDICT + b"\x00garbage\r\n\r\n")
        answer = rest(client)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert stored(service) == before + 1


def test_clients_that_hang_up_are_not_counted_as_errors_nor_logged(service: Service) -> None:
    counted = failures(service)
    for sent in (PREDICT, PREDICT[:-10], PREDICT[:60], PREDICT * 20, b""):
        for _ in range(40):
            client = connect(service)
            client.sendall(sent)
            reset(client)
    time.sleep(0.5)
    assert urllib3.request("GET", f"{service.url}/health/ready").status == 200
    assert failures(service) == counted
    assert "unforeseen" not in service.log
    assert "Exception" not in service.log


def failures(service: Service) -> float:
    lines = urllib3.request("GET", f"{service.url}/metrics").data.decode().splitlines()
    return sum(
        float(line.split()[-1])
        for line in lines
        if line.startswith("http_requests_total{") and 'status="5' in line
    )


def test_a_process_with_few_files_survives_more_clients_than_it_has_files_for(
    tmp_path: Path,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as limited:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 4096), hard))
        limited.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        service = Service(tmp_path, STROKE_HTTP_IDLE_SECONDS="2", STROKE_HTTP_HEAD_SECONDS="2")
        service.command = ["sh", "-c", 'ulimit -n 128 && exec "$@"', "sh", *service.command]
        limited.enter_context(service)
        silent = [limited.enter_context(connect(service)) for _ in range(400)]
        # Which of them are refused depends on how many were let go before the others came.
        assert any(b" 503 " in rest(client)[:20] for client in reversed(silent))
        wait_for(f"{service.url}/health/ready", within=60)
    assert "ulimit -n" in service.log


def in_progress(service: Service) -> float:
    """Return how many requests the service has in progress, with that which asks."""
    lines = urllib3.request("GET", f"{service.url}/metrics").data.decode().splitlines()
    [line] = [each for each in lines if each.startswith("http_requests_in_progress ")]
    return float(line.split()[1])


def test_gauges_of_killed_workers_go_with_them(tmp_path: Path) -> None:
    # Half a request stays in progress for as long as the machine may pause this test.
    settings = {"STROKE_HTTP_WORKERS": "2", "STROKE_HTTP_BODY_SECONDS": "100"}
    with Service(tmp_path, **settings) as service, ExitStack() as open_until_the_end:
        waiting = [open_until_the_end.enter_context(connect(service)) for _ in range(8)]
        for client in waiting:
            client.sendall(PREDICT[:-1])  # in progress in one of the workers
        # One that no worker had taken would be in progress in the next workers. This look is too.
        until(lambda: in_progress(service) == 9, within=60, what="all are taken", every=0.1)
        workers = service.children("spawn_main")
        assert len(workers) == 2
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while not set(workers).isdisjoint(service.children("spawn_main")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        wait_for(f"{service.url}/health/ready")
        # A worker counts down, and its parent writes, a moment after what is seen of them here.
        until(lambda: in_progress(service) == 1, within=60, what="they are gone", every=0.1)
        ended = f"worker {workers[0]} ended with exit code -9"
        until(lambda: ended in service.log, within=60, what=ended, every=0.1)
        assert service.stop() == 0
