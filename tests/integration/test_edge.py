"""The edge: TLS, slow clients, limits, what it publishes. Real HAProxy before a real service."""

from __future__ import annotations

import gc
import json
import socket
import ssl
import subprocess
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
import urllib3

from builders.predictions import patient_json
from components.change_events import until
from components.edge_proxy import FOLDER, EdgeProxy, defaults
from components.processes import Service

# What the hasty edge gives a client. A machine may pause the edge or the client for longer than
# that. A client that is never cut off goes on for its STEPS, which take 20 seconds at the least.
SECONDS = 2
CUT_OFF_WITHIN = 15
STEPS, STEP = 100, 0.2
CANARY = "CanaryQPatient"
# A host that the service knows: another one it refuses at once, without waiting for the body.
HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("served")
    # Its own patience with bodies is longer than any client goes on: what cuts off is the edge.
    settings = {"STROKE_HTTP_TRUSTED_PROXIES": "127.0.0.1", "STROKE_HTTP_BODY_SECONDS": "60"}
    with Service(folder, **settings) as service:
        yield service


@pytest.fixture(scope="module")
def edge(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProxy]:
    """An edge that waits longer for a client than a machine pauses it."""
    with EdgeProxy(
        tmp_path_factory.mktemp("edge"),
        service.url.removeprefix("http://"),
        EDGE_SECONDS="30",
        EDGE_CONNECTIONS_PER_ADDRESS="20",
    ) as edge:
        yield edge


@pytest.fixture(scope="module")
def hasty(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProxy]:
    """An edge that soon cuts off who keeps it waiting."""
    with EdgeProxy(
        tmp_path_factory.mktemp("hasty"),
        service.url.removeprefix("http://"),
        EDGE_SECONDS=str(SECONDS),
    ) as edge:
        yield edge


def tls_with(hasty: EdgeProxy) -> ssl.SSLSocket:
    """Return a connection with TLS: a handshake that was paused is cut off, so there are more."""
    for _ in range(4):
        with suppress(ConnectionError, ssl.SSLError):
            return hasty.tls()
    return hasty.tls()


def until_closed(connection: socket.socket) -> tuple[float, bytes]:
    """Return how long the edge keeps a connection, and what it says at the end."""
    started, said = time.monotonic(), b""
    try:
        while part := connection.recv(4096):
            said += part
    except (ConnectionError, ssl.SSLError):
        pass
    connection.close()
    return time.monotonic() - started, said


def test_a_prediction_goes_through_and_the_answer_has_hsts_and_an_id(edge: EdgeProxy) -> None:
    answer = edge.client().request(
        "POST", "/predict", json=patient_json(), headers={"X-Request-ID": "visit-1"}
    )
    assert answer.status == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert answer.headers["x-request-id"] == "visit-1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(edge: EdgeProxy, version: ssl.TLSVersion) -> None:
    with edge.tls(minimum_version=version, maximum_version=version) as connection:
        assert connection.version() == version.name.replace("_", ".")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_tls_is_refused(edge: EdgeProxy, version: ssl.TLSVersion) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            edge.tls(minimum_version=version, maximum_version=version)


def test_plain_http_is_not_answered(edge: EdgeProxy) -> None:
    with edge.connection() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: stroke\r\n\r\n")
        assert b"HTTP/1.1 200" not in until_closed(connection)[1]


def test_a_head_that_comes_byte_by_byte_is_cut_off(hasty: EdgeProxy) -> None:
    connection = tls_with(hasty)
    started = time.monotonic()
    with suppress(ConnectionError, ssl.SSLError):
        connection.sendall(b"GET / HTTP/1.1\r\n")
        for number in range(STEPS):
            connection.sendall(b"X-%d: y\r\n" % number)
            time.sleep(STEP)
    assert time.monotonic() - started < CUT_OFF_WITHIN
    connection.close()


@pytest.mark.parametrize("length", [b"Content-Length: 400", b"Transfer-Encoding: chunked"])
def test_a_body_that_trickles_is_cut_off_before_the_service_hears_of_it(
    hasty: EdgeProxy, length: bytes
) -> None:
    connection = tls_with(hasty)
    started = time.monotonic()
    with suppress(ConnectionError, ssl.SSLError):
        connection.sendall(HEAD + length + b"\r\n\r\n")
        for _ in range(STEPS):
            connection.sendall(b"1\r\n \r\n" if b"chunked" in length else b" ")
            time.sleep(STEP)
    assert time.monotonic() - started < CUT_OFF_WITHIN
    connection.close()


def test_a_body_that_stays_away_is_cut_off_by_the_edge_whatever_the_method(
    hasty: EdgeProxy,
) -> None:
    def answered(method: str) -> bytes:
        head = f"{method} /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
        answer, late = b"", True
        for _ in range(5):
            started = time.monotonic()
            with tls_with(hasty) as connection, suppress(ConnectionError, ssl.SSLError):
                connection.sendall(head.encode() + b"a")
                # Of a client that was paused, the edge may have cut off the head.
                late = time.monotonic() - started >= SECONDS
                answer = b""
                while part := connection.recv(4096):
                    answer += part
            if not late:
                break
        return answer

    with ThreadPoolExecutor(5) as clients:
        for answer in clients.map(answered, ["GET", "HEAD", "OPTIONS", "PROPFIND", "POST"]):
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"request_id" not in answer  # which problems of the service have


@pytest.mark.parametrize("speaks", ["nothing", "tls"])
def test_a_connection_without_a_request_is_closed(hasty: EdgeProxy, speaks: str) -> None:
    connection = hasty.connection() if speaks == "nothing" else tls_with(hasty)
    took, _ = until_closed(connection)
    assert took < CUT_OFF_WITHIN


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/metrics/",
        "/%6detrics",
        "/docs",
        "/docs/assets/swagger-ui.css",
        "/openapi.json",
        "/openapi%2Ejson",
        "/stroke/metrics",
        "/%2Fmetrics",
    ],
)
def test_metrics_and_docs_are_not_published_unless_asked(edge: EdgeProxy, path: str) -> None:
    answer = edge.client().request("GET", path)
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.data)["status"] == 404


def test_they_are_published_where_somebody_asks(service: Service, tmp_path: Path) -> None:
    upstream = service.url.removeprefix("http://")
    asked = {"EDGE_PUBLISH_DOCS": "yes", "EDGE_PUBLISH_METRICS": "yes"}
    with EdgeProxy(tmp_path / "edge", upstream, **asked) as edge:
        for path in ("/metrics", "/docs", "/openapi.json"):
            assert edge.client().request("GET", path).status == 200
        # What a client says of proxies before the edge, nobody believes.
        page = edge.client().request("GET", "/docs", headers={"X-Forwarded-Prefix": "/evil"})
        assert b"/evil" not in page.data


def test_the_service_gets_the_clients_address_from_the_edge_alone(tmp_path: Path) -> None:
    settings = {"STROKE_HTTP_TRUSTED_PROXIES": "127.0.0.1", "STROKE_RATE_PER_ADDRESS": "2/hour"}
    with (
        Service(tmp_path, **settings) as service,
        EdgeProxy(tmp_path / "edge", service.url.removeprefix("http://")) as edge,
    ):
        one, other = edge.client("127.0.0.7"), edge.client("127.0.0.8")
        seen = [
            one.request("GET", "/", headers={"X-Forwarded-For": f"203.0.113.{n}"}).status
            for n in range(3)
        ]
        assert seen == [200, 200, 429]
        assert other.request("GET", "/").status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Length": "8388609"}, 413),
        ({"X-Large": "x" * 40_000}, 400),
        ({f"X-{n}": "y" for n in range(200)}, 400),
    ],
)
def test_what_is_too_large_is_refused(
    edge: EdgeProxy, headers: dict[str, str], status: int
) -> None:
    connection = edge.tls()
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    connection.sendall(HEAD + "".join(lines).encode() + b"\r\n")
    _, said = until_closed(connection)
    assert said.startswith(b"HTTP/1.1 %d" % status)
    if status == 413:  # what cannot be read as a request gets HAProxy's own words
        assert b"application/problem+json" in said


def test_one_address_gets_so_many_connections_and_others_go_on(edge: EdgeProxy) -> None:
    held = []
    for _ in range(40):
        with suppress(ConnectionError):
            held.append(edge.connection("127.0.0.3"))
    with warnings.catch_warnings():
        # urllib3 leaves a socket whose handshake fails to the collector.
        warnings.simplefilter("ignore", ResourceWarning)
        with pytest.raises(urllib3.exceptions.HTTPError):
            edge.client("127.0.0.3").request("GET", "/")
        gc.collect()
    assert edge.client("127.0.0.4").request("GET", "/").status == 200
    for connection in held:
        connection.close()


def test_one_address_gets_so_many_requests_in_ten_seconds(service: Service, tmp_path: Path) -> None:
    upstream = service.url.removeprefix("http://")
    with EdgeProxy(tmp_path / "edge", upstream, EDGE_REQUESTS_PER_ADDRESS="5") as edge:
        client = edge.client("127.0.0.5")
        answers = [client.request("GET", "/") for _ in range(5)]
        assert [answer.status for answer in answers] == [200] * 5
        # HAProxy's ten seconds slide: on a busy machine the first requests are of before.
        while answers[-1].status == 200 and len(answers) < 60:
            answers.append(client.request("GET", "/"))
        assert answers[-1].status == 429
        assert int(answers[-1].headers["retry-after"]) > 0
        assert edge.client("127.0.0.6").request("GET", "/").status == 200


def test_a_service_that_is_away_is_503_with_a_problem(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        edge = EdgeProxy(tmp_path / "edge", service.url.removeprefix("http://"))
        with edge:
            service.kill()
            answer = edge.client().request("GET", "/")
            assert answer.status == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["strict-transport-security"]
            assert answer.headers["x-request-id"]
            assert int(answer.headers["retry-after"]) > 0


def test_a_log_line_is_json_without_path_query_or_header(edge: EdgeProxy) -> None:
    request_id = str(uuid4())
    headers = {"X-Name": CANARY, "Referer": CANARY, "X-Request-ID": request_id}
    edge.client().request("GET", f"/{CANARY}?country={CANARY}", headers=headers)

    def written() -> list[str]:
        # HAProxy writes the line after the answer; what has no end yet is no line.
        whole = [line for line in edge.log.splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in whole if request_id in line]

    [line] = until(written, within=60, what="the line of the request", every=0.05)
    logged = json.loads(line)
    assert logged.keys() >= {"time", "client", "method", "status", "request_id", "tls"}
    assert (logged["status"], logged["request_id"]) == (404, request_id)
    assert CANARY not in edge.log


def test_the_certificate_that_it_makes_is_kept(service: Service, tmp_path: Path) -> None:
    upstream = service.url.removeprefix("http://")
    with EdgeProxy(tmp_path / "edge", upstream, EDGE_NAME="stroke.example") as edge:
        made = edge.certificate.read_bytes()
        key = edge.certificate.with_suffix(".key")
        assert key.stat().st_mode & 0o077 == 0
    with EdgeProxy(tmp_path / "edge", upstream) as again:
        assert again.certificate.read_bytes() == made


def test_a_certificate_that_is_given_is_used(edge: EdgeProxy, tmp_path: Path) -> None:
    given = tmp_path / "edge" / "given"
    given.mkdir(parents=True)
    for name in ("tls.crt", "tls.key"):
        (given / name).write_bytes(edge.certificate.with_name(name).read_bytes())
    with EdgeProxy(tmp_path / "edge", edge.environment["EDGE_SERVICE"]) as other:
        assert not other.certificate.exists()
        other.certificate = given / "tls.crt"
        assert other.client().request("GET", "/").status == 200


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "needs both tls.crt and tls.key"),
        ({"EDGE_SECONDS": "soon"}, "EDGE_SECONDS must be a whole number"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    edge = EdgeProxy(tmp_path / "edge", "127.0.0.1:1", **settings)
    if not settings:
        given = tmp_path / "edge" / "given"
        given.mkdir()
        (given / "tls.crt").write_text("half of it")
    done = subprocess.run(
        ["bash", str(FOLDER / "start")],
        env=edge.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert said in done.stderr


def test_the_operations_page_has_every_setting_of_the_edge_with_its_default() -> None:
    page = (FOLDER.parents[2] / "docs" / "operations.md").read_text()
    for name, default in defaults().items():
        assert f"| `{name}` | {default} |" in page, name


@pytest.mark.soak("2,000 connections that say nothing")
def test_2000_idle_connections_are_cut_off_and_others_are_served_meanwhile(
    service: Service, tmp_path: Path
) -> None:
    upstream = service.url.removeprefix("http://")
    settings = {"EDGE_SECONDS": "5", "EDGE_CONNECTIONS_PER_ADDRESS": "100"}
    with EdgeProxy(tmp_path / "edge", upstream, **settings) as edge:
        held = [edge.connection(f"127.0.1.{1 + n % 50}") for n in range(2_000)]
        started = time.monotonic()
        answer = edge.client("127.0.0.9").request("POST", "/predict", json=patient_json())
        assert answer.status == 200
        assert time.monotonic() - started < 2
        for connection in held:
            until_closed(connection)
        assert time.monotonic() - started < 15
        assert edge.client("127.0.0.9").request("GET", "/").status == 200
