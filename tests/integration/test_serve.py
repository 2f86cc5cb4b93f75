"""`stroke serve` as a process: how it starts, counts, refuses and stops. SQLite throughout."""

from __future__ import annotations

import re
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from builders.predictions import patient_json
from components.processes import environment, run_stroke, wait_for

SERVE = [sys.executable, "-c", "from stroke.entrypoints.cli.main import main; main()", "serve"]
CANARY = "Canary Q. Patient"


class Served:
    """One running `stroke serve` and what it printed."""

    def __init__(self, folder: Path, *options: str, **settings: str) -> None:
        self.errors = folder / "stderr"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*SERVE, "--port", "0", *options],
                cwd=folder,
                env=environment(**settings),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.process.stdout is not None
        self.banner = self.process.stdout.readline()
        assert "http://" in self.banner, self.errors.read_text()
        self.address = self.banner.split(" on ")[1].split()[0]
        try:
            wait_for(f"{self.address}/health/ready", within=60, alive=self.process)
        except AssertionError as error:
            error.add_note(self.errors.read_text())
            self.process.terminate()
            self.process.communicate(timeout=60)
            raise

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def served(folder: Path, *options: str, **settings: str) -> Iterator[Served]:
    service = Served(folder, *options, **settings)
    try:
        yield service
    finally:
        # Workers end with a parent that is asked to end; one that is killed leaves them, and
        # they keep the pipe open.
        if service.process.poll() is None:
            service.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                service.process.wait(30)
        service.process.kill()
        service.process.communicate()


def _refusal(folder: Path, *options: str, **settings: str) -> str:
    """Return the one line on stderr of a start that is refused with exit code 1."""
    ended = run_stroke("serve", *options, folder=folder, settings=settings, within=60)
    assert ended.returncode == 1, ended.stderr
    [line] = ended.stderr.splitlines()
    return line


def test_sigterm_stores_and_answers_what_waits_and_ends_with_code_0(tmp_path: Path) -> None:
    with served(tmp_path) as service, httpx.Client(base_url=service.address, timeout=60) as client:

        def predict(_: int) -> int | None:
            try:
                answer = client.post("/predict", json=patient_json())
            except httpx.TransportError:  # it no longer listens
                return None
            return int(answer.json()["prediction_id"]) if answer.status_code == 200 else None

        with ThreadPoolExecutor(8) as callers:
            answers = callers.map(predict, range(400))
            while not (service.address and predict(0)):
                pass
            assert service.stop() == 0
            acknowledged = {answer for answer in answers if answer is not None}
        assert service.errors.read_text() == ""
    assert acknowledged
    with served(tmp_path) as again, httpx.Client(base_url=again.address, timeout=60) as client:
        for prediction_id in acknowledged:
            assert client.get(f"/api/v1/predictions/{prediction_id}").status_code == 200


def test_a_prediction_survives_a_restart(tmp_path: Path) -> None:
    with served(tmp_path) as first:
        made = httpx.post(f"{first.address}/predict", json=patient_json(), timeout=60).json()
        assert first.stop() == 0
    with served(tmp_path) as second:
        [record] = httpx.get(f"{second.address}/predictions", timeout=60).json()
    assert (record["id"], record["probability"]) == (made["prediction_id"], made["probability"])


def test_workers_share_the_port_and_add_up_their_metrics(tmp_path: Path) -> None:
    with served(tmp_path, "--workers", "2") as service:
        for _ in range(20):  # each over a connection of its own, for either worker to take
            assert httpx.post(
                f"{service.address}/predict", json=patient_json(), timeout=60
            ).is_success
        for _ in range(4):
            lines = httpx.get(f"{service.address}/metrics", timeout=60).text.splitlines()
            counted = [line for line in lines if line.startswith("stroke_predictions_total")]
            assert sum(float(line.split()[-1]) for line in counted) == 20
            assert "stroke_queue_depth 0.0" in lines
            assert "http_requests_in_progress 1.0" in lines  # the one for these
            # Each keeps one from its first insert on.
            in_use = 'stroke_database_connections{state="in_use"}'
            assert f"{in_use} 1.0" in lines or f"{in_use} 2.0" in lines
        assert service.stop() == 0


def test_nothing_of_a_patient_is_printed(tmp_path: Path) -> None:
    with served(tmp_path) as service:
        sick = patient_json(name=CANARY, age=500)
        httpx.post(f"{service.address}/predict", json=patient_json(name=CANARY), timeout=60)
        httpx.post(f"{service.address}/predict", json=sick, timeout=60)
        httpx.get(f"{service.address}/{CANARY}", timeout=60)
        service.stop()
        assert service.process.stdout is not None
        assert CANARY not in service.process.stdout.read() + service.errors.read_text()


def _key() -> str:
    return f"stroke_{secrets.token_hex(8)}_{secrets.token_urlsafe(32)}"


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ((), {}),
        (("--insecure", "--host", "0.0.0.0", "--workers", "2"), {}),  # noqa: S104
        (("--host", "0.0.0.0"), {"STROKE_INSECURE": "true"}),  # noqa: S104
    ],
)
def test_without_a_key_everybody_is_served_on_loopback_or_where_that_is_asked_for(
    tmp_path: Path, options: tuple[str, ...], settings: dict[str, str]
) -> None:
    proxied = {"STROKE_HTTP_TRUSTED_PROXIES": "127.0.0.1"}
    elsewhere = {"X-Forwarded-For": "203.0.113.9"}
    with served(tmp_path, *options, **settings, **proxied) as service:
        assert httpx.get(f"{service.address}/predictions", timeout=60).status_code == 200
        answer = httpx.get(f"{service.address}/predictions", headers=elsewhere, timeout=60)
        assert answer.status_code == (200 if options or settings else 401)
        assert httpx.get(f"{service.address}/health/ready", timeout=60).json()["access"] == "open"
        service.stop()
        assert service.process.stdout is not None
        [said] = [line for line in service.process.stdout.readlines() if "  open  " in line]
    assert "stroke keys create --name admin" in said


@pytest.mark.parametrize(("host", "workers"), [("0.0.0.0", "1"), ("::", "2")])  # noqa: S104
def test_without_a_key_other_machines_are_not_served_and_the_command_that_makes_one_is_said(
    tmp_path: Path, host: str, workers: str
) -> None:
    asked = ("--host", host, "--port", "0", "--workers", workers)
    line = _refusal(tmp_path, *asked)
    [command] = re.findall(r"`stroke (keys create [^`]*)`", line)
    assert host in line
    assert "STROKE_INSECURE=true" in line

    made = run_stroke(*command.split(), folder=tmp_path)
    assert made.returncode == 0, made.stderr
    key = {"Authorization": f"Bearer {made.stdout.strip()}"}
    if host == "::":  # the rest is the same
        return
    with served(tmp_path, "--host", host, "--workers", workers) as service:
        assert httpx.get(f"{service.address}/predictions", timeout=60).status_code == 401
        answer = httpx.post(
            f"{service.address}/predict", json=patient_json(), headers=key, timeout=60
        )
        assert answer.status_code == 200
        assert service.stop() == 0


def test_without_a_key_no_page_of_any_origin_may_read_patients(tmp_path: Path) -> None:
    everywhere = {"STROKE_HTTP_CORS_ORIGINS": "*"}

    line = _refusal(tmp_path, "--port", "0", **everywhere)

    assert "STROKE_HTTP_CORS_ORIGINS" in line
    assert "stroke keys create" in line
    key = {"STROKE_ADMIN_KEY": _key()}
    for allowed in ({"STROKE_INSECURE": "true"}, key):
        with served(tmp_path, **everywhere, **allowed) as service:
            assert service.stop() == 0


def test_the_keys_of_the_settings_are_stored_at_the_start_and_stay_revoked(tmp_path: Path) -> None:
    admin, metrics = _key(), _key()
    settings = {"STROKE_ADMIN_KEY": admin, "STROKE_METRICS_KEY": metrics}
    everywhere = ("--host", "0.0.0.0", "--workers", "2")  # noqa: S104

    def status(service: Served, path: str, key: str) -> int:
        return httpx.get(
            f"{service.address}{path}", headers={"X-API-Key": key}, timeout=60
        ).status_code

    with served(tmp_path, *everywhere, **settings) as service:
        assert httpx.get(f"{service.address}/health/ready", timeout=60).json()["access"] == "keys"
        assert status(service, "/predictions", admin) == 200
        assert status(service, "/metrics", metrics) == 200
        assert status(service, "/predictions", metrics) == 403
        assert status(service, "/predictions", _key()) == 401
        assert service.stop() == 0
        assert admin not in service.errors.read_text()
    assert run_stroke("keys", "revoke", "metrics", folder=tmp_path).returncode == 0
    with served(tmp_path, *everywhere, **settings) as service:
        assert status(service, "/predictions", admin) == 200
        assert status(service, "/metrics", metrics) == 401
        assert service.stop() == 0
    listed = run_stroke("keys", "list", folder=tmp_path)
    assert len(listed.stdout.splitlines()) == 2
    entries = run_stroke("audit", "export", folder=tmp_path)
    for key in (admin, metrics):
        assert key.split("_")[1] in entries.stdout
        assert key not in entries.stdout


def test_a_busy_port_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        line = _refusal(tmp_path, "--port", port)
    assert port in line
    assert "--port" in line


@pytest.mark.parametrize(
    ("options", "settings", "said"),
    [
        (["--host", "192.0.2.1"], {}, "--host"),
        ([], {"SAVED_MODEL": "nowhere"}, "nowhere"),
        ([], {"STROKE_HTTP_PORT": "many"}, "STROKE_HTTP_PORT"),
        ([], {"STROKE_DATABASE_SQLITE_PATH": "no/such/folder/stroke.db"}, "does not exist"),
        (["--no-migrate"], {}, "stroke db upgrade"),
        (["--port", "0"], {"STROKE_ADMIN_KEY": "secret"}, "STROKE_ADMIN_KEY: key must be stroke_"),
        (["--port", "0"], {"STROKE_METRICS_KEY": "secret"}, "STROKE_METRICS_KEY"),
        (["--workers", "2"], {"SAVED_MODEL": "nowhere"}, "nowhere"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    tmp_path: Path, options: list[str], settings: dict[str, str], said: str
) -> None:
    line = _refusal(tmp_path, *(options or ["--port", "0"]), **settings)
    assert said in line
