"""The served model is changed under load: two workers, real processes, nobody notices but by the
version.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree
from typing import Any, NamedTuple

import numpy as np
import pytest
import urllib3

from builders.predictions import patient_json
from components.containers import MySqlServer
from components.processes import Service, run_stroke, upgrade_schema
from stroke.adapters.onnx.store import DEFAULT, SHIPPED
from stroke.domain.risk import RiskBands

OTHER = "other-1"


class Answer(NamedTuple):
    """What a client got: by which version, how long it took, and whether that fits."""

    at: float
    seconds: float
    version: str
    fits: bool


class Clients:
    """Threads that predict without pause. With a key, a request that fails is sent again."""

    def __init__(self, url: str, bands: dict[str, RiskBands]) -> None:
        self._url, self._bands = url, bands
        self._over = threading.Event()
        self.answers: list[Answer] = []
        self.failed: Counter[str] = Counter()
        self.repeated = 0

    @contextmanager
    def running(self, count: int, pause: float = 0) -> Iterator[None]:
        threads = [
            threading.Thread(target=self._work, args=(n, pause), daemon=True) for n in range(count)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join(60)

    def _work(self, number: int, pause: float) -> None:
        pool = urllib3.connection_from_url(self._url, timeout=30, retries=False)
        turn = 0
        while not self._over.is_set():
            turn += 1
            name = f"client {number} patient {turn}"
            body = patient_json(name=name, age=20.0 + turn * 7 % 75)
            key = {"Idempotency-Key": f"{number}-{turn}"}
            began = time.perf_counter()
            for attempt in range(50):
                try:
                    answer = pool.request("POST", "/api/v1/predict", json=body, headers=key)
                except urllib3.exceptions.HTTPError:
                    self.repeated += 1  # a worker was killed: its connection is gone
                    time.sleep(0.05 * (attempt > 0))
                    continue
                break
            else:
                self.failed["no answer"] += 1
                continue
            now = time.perf_counter()
            if answer.status != 200:
                self.failed[str(answer.status)] += 1
                continue
            said = answer.json()
            right = self._bands[said["model_version"]].categorise(said["probability"])
            fits = said["risk_category"] == right
            self.answers.append(Answer(now, now - began, said["model_version"], fits))
            time.sleep(pause)

    def until(self, condition: Callable[[list[Answer]], bool], within: float) -> float:
        """Return the seconds until the latest answers are so."""
        began = time.perf_counter()
        while time.perf_counter() - began < within:
            if condition(self.answers):
                return time.perf_counter() - began
            time.sleep(0.02)
        raise AssertionError(Counter(each.version for each in self.answers[-50:]))


@pytest.fixture
def bands(tmp_path: Path) -> dict[str, RiskBands]:
    """Put a model into the store whose categories begin elsewhere; return both models' bands."""
    folder = tmp_path / "models" / "other"
    copytree(SHIPPED / DEFAULT, folder)
    manifest = folder / "manifest.json"
    document: dict[str, Any] = json.loads(manifest.read_text())
    shipped = RiskBands(**document["bands"])
    version = document["version"]
    document |= {"version": OTHER, "bands": {"medium": 0.002, "high": 0.01}}
    manifest.write_text(json.dumps(document))
    return {version: shipped, OTHER: RiskBands(0.002, 0.01)}


def stroke(folder: Path, *arguments: str, **settings: str) -> dict[str, Any]:
    done = run_stroke("model", *arguments, "--json", folder=folder, settings=settings)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def all_of(version: str, answers: int = 40) -> Callable[[list[Answer]], bool]:
    """Return whether the last answers, of both workers as likely as not, are all of a version."""
    return lambda seen: {each.version for each in seen[-answers:]} == {version}


def change(url: str, **wish: str) -> dict[str, Any]:
    """Change what is served by the API: to start the command takes longer than the swap."""
    answer = urllib3.request("POST", f"{url}/api/v1/models/deployment", json=wish, timeout=30)
    assert answer.status == 200, answer.data
    return dict(answer.json())


def test_a_swap_reaches_both_workers_in_5_s_and_no_answer_is_lost_or_mixed(
    tmp_path: Path, bands: dict[str, RiskBands]
) -> None:
    [base] = set(bands) - {OTHER}
    with Service(tmp_path, STROKE_HTTP_WORKERS="2") as service:
        clients = Clients(service.url, bands)
        # Enough to meet both workers, and so few that the machine is not busy with them.
        with clients.running(4, pause=0.05):
            clients.until(lambda seen: len(seen) > 20, 30)
            change(service.url, action="promote", model="other", reason="better")
            clients.until(all_of(OTHER, 24), 5)
            made = change(service.url, action="rollback")
            clients.until(all_of(base, 24), 5)
        history = urllib3.request("GET", f"{service.url}/api/v1/models/deployments").json()

    assert clients.failed == {}
    assert clients.repeated == 0
    assert all(each.fits for each in clients.answers)
    assert made["champion"]["version"] == base
    assert [each["action"] for each in history["items"]] == ["rollback", "promote", "begin"]


@pytest.mark.soak("three commands while eight clients keep both cores busy: 30 s to 100 s")
def test_a_swap_under_load_reaches_both_workers_in_5_s_and_no_answer_is_lost_or_mixed(
    tmp_path: Path, bands: dict[str, RiskBands]
) -> None:
    [base] = set(bands) - {OTHER}
    with Service(tmp_path, STROKE_HTTP_WORKERS="2") as service:
        clients = Clients(service.url, bands)
        with clients.running(8, pause=0.02):
            clients.until(lambda seen: len(seen) > 40, 30)
            stroke(tmp_path, "promote", "other", "--reason", "better")
            swapped = clients.until(all_of(OTHER), 5)
            made = stroke(tmp_path, "rollback")
            back = clients.until(all_of(base), 5)

    assert clients.failed == {}
    assert clients.repeated == 0
    assert all(each.fits for each in clients.answers)
    assert made["champion"]["version"] == base
    history = stroke(tmp_path, "status", "--history", "9")["history"]
    assert [each["action"] for each in history] == ["rollback", "promote", "begin"]
    assert max(swapped, back) < 5


def test_what_a_shadow_says_is_stored_told_and_erased_with_its_prediction(
    tmp_path: Path, bands: dict[str, RiskBands]
) -> None:
    [base] = set(bands) - {OTHER}
    with Service(tmp_path) as service:
        change(service.url, action="shadow", model="other")
        present = f"{service.url}/api/v1/models/deployment"
        deadline = time.monotonic() + 60
        while urllib3.request("GET", present).json()["served_here"]["shadows"] != [OTHER]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        body = {"patients": [patient_json(age=20.0 + n) for n in range(60)]}
        stored = urllib3.request("POST", f"{service.url}/api/v1/predictions:batch", json=body)
        assert stored.status == 200, stored.data
        agreement = f"{service.url}/api/v1/models/agreement"
        deadline = time.monotonic() + 60
        while not (found := urllib3.request("GET", agreement).json()["items"]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        newest = urllib3.request("GET", f"{service.url}/api/v1/predictions").json()["items"][0]
        gone = f"{service.url}/api/v1/predictions/{newest['id']}"
        assert urllib3.request("DELETE", gone).status == 204

    # The same graph with other bands: the same risks, in categories that begin lower.
    [report] = found
    everybody = report["groups"][0]
    assert (report["model_version"], report["answered_by"]) == (OTHER, {base: 60})
    assert (everybody["largest"], everybody["down"]["value"]) == (0, 0)
    assert everybody["up"]["value"] > 0.3
    told = stroke(tmp_path, "agreement", "other")["items"]
    assert [each["predictions"] for each in told] == [59]


def test_commands_say_what_is_wrong_and_a_start_refuses_a_champion_that_is_gone(
    tmp_path: Path, bands: dict[str, RiskBands]
) -> None:
    def refusal(*arguments: str) -> str:
        done = run_stroke("model", *arguments, folder=tmp_path)
        assert done.returncode == 1
        return done.stderr

    assert "there is no database" in refusal("promote", "other")
    upgrade_schema(f"sqlite:///{tmp_path}/stroke.db", tmp_path)
    assert "no model 'nobody'" in refusal("promote", "nobody")
    assert "no model 'nobody'" in refusal("agreement", "nobody")
    assert "--share 10%" in refusal("canary", "other")
    assert "must be above 0 and below 100%" in refusal("canary", "other", "--share", "100%")
    assert "there is no canary" in refusal("canary", "stop")
    assert "no champion before" in refusal("rollback")
    assert stroke(tmp_path, "promote", "other", "--dry-run")["number"] == 2
    assert stroke(tmp_path, "status")["number"] == 0
    assert stroke(tmp_path, "canary", "other", "--share", "12.5%")["challenger"]["share"] == 0.125
    assert stroke(tmp_path, "promote", "other")["challenger"] is None

    (tmp_path / "models" / "other").rename(tmp_path / "elsewhere")
    for workers in "12":
        refused = run_stroke("serve", "--port", "0", "--workers", workers, folder=tmp_path)
        assert refused.returncode == 1
        assert "the champion other-1 cannot be loaded" in refused.stderr


def test_a_command_that_cannot_roll_back_says_who_can(
    tmp_path: Path, bands: dict[str, RiskBands]
) -> None:
    upgrade_schema(f"sqlite:///{tmp_path}/stroke.db", tmp_path)
    stroke(tmp_path, "promote", "other")
    stroke(tmp_path, "promote", DEFAULT)
    (tmp_path / "models" / "other").rename(tmp_path / "elsewhere")

    done = run_stroke("model", "rollback", folder=tmp_path)

    assert done.returncode == 1
    assert "no model 'other-1'" in done.stderr
    assert "a service that still has it loaded can roll back without the store" in done.stderr
    assert stroke(tmp_path, "status")["champion"]["version"] in set(bands) - {OTHER}


@pytest.mark.soak("ten swaps under full load, while workers are killed: 60 s each")
@pytest.mark.parametrize("database", ["sqlite", "mysql"])
def test_swaps_while_workers_are_killed_lose_and_mix_nothing(
    tmp_path: Path,
    bands: dict[str, RiskBands],
    database: str,
    request: pytest.FixtureRequest,
    figures: Callable[[str], None],
) -> None:
    settings: dict[str, str] = {}
    if database == "mysql":
        server: MySqlServer = request.getfixturevalue("mysql")
        settings["STROKE_DATABASE_URL"] = server.new_database()
        upgrade_schema(settings["STROKE_DATABASE_URL"], tmp_path)
    during: list[tuple[float, float]] = []
    with Service(tmp_path, STROKE_HTTP_WORKERS="2", **settings) as service:
        clients = Clients(service.url, bands)
        with clients.running(32):
            clients.until(lambda seen: len(seen) > 2_000, 60)
            began = time.perf_counter()
            for turn in range(10):
                step = ["promote", "other"] if turn % 2 == 0 else ["rollback"]
                asked = time.perf_counter()
                stroke(tmp_path, *step, **settings)
                if turn % 3 == 2:
                    workers = service.children("stroke") or service.children("python")
                    os.kill(workers[0], signal.SIGKILL)
                expected = OTHER if turn % 2 == 0 else next(iter(set(bands) - {OTHER}))
                clients.until(all_of(expected, 200), 60)  # a killed worker starts again
                during.append((asked, time.perf_counter()))

    quiet = [each.seconds for each in clients.answers if each.at < began]
    # Without those that a killed worker made wait: they measure its restart.
    whole = [
        each.seconds
        for turn, (first, last) in enumerate(during)
        if turn % 3 != 2
        for each in clients.answers
        if first <= each.at <= last
    ]
    p99, p99_during = np.quantile(quiet, 0.99), np.quantile(whole, 0.99)
    figures(
        f"swaps while workers are killed: {len(clients.answers)} answers, {clients.repeated} sent "
        f"again after a kill; p99 {p99 * 1e3:.0f} ms, during swaps {p99_during * 1e3:.0f} ms"
    )
    assert clients.failed == {}
    assert all(each.fits for each in clients.answers)
