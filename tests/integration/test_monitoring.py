"""A real Prometheus on the real platform: all targets up, no expression without an answer.

A mistyped name answers with success and no series, so every answer has to have some.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import pytest

from builders.predictions import patient_json
from components.boards import expressions, selectors
from components.change_events import until
from components.containers import build_image
from components.prometheus_image import alerts, docker, labelled, rules
from components.stack import PipelineStack

SERVICES: Final = ("prometheus", "alertmanager", "performance")
# Enough for measures of all and of each gender, with ten strokes at the least.
PATIENTS: Final = 400


# Prints what it is sent.
_RECEIVER: Final = """
from http.server import BaseHTTPRequestHandler, HTTPServer
class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
HTTPServer(("", 8080), Receiver).serve_forever()
"""
MYSQL_EXPORTER: Final = (
    "prometheus-mysqld-exporter",
    "--mysqld.address=mysql:3306",
    "--mysqld.username=root",
)
Notices = list[dict[str, Any]]


class Monitoring:
    """Prometheus and Alertmanager of one platform."""

    def __init__(self, pipeline: PipelineStack) -> None:
        self._pipeline = pipeline
        prometheus = f"http://127.0.0.1:{pipeline.ports['prometheus']}"
        self.prometheus = httpx.Client(base_url=prometheus, timeout=60)
        alertmanager = f"http://127.0.0.1:{pipeline.ports['alertmanager']}"
        self.alertmanager = httpx.Client(base_url=alertmanager, timeout=60)

    def close(self) -> None:
        self.prometheus.close()
        self.alertmanager.close()

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that an expression gives now."""
        answer = self.prometheus.post("/api/v1/query", data={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def targets(self) -> dict[str, str]:
        answer = self.prometheus.get("/api/v1/targets").json()
        return {
            target["labels"]["job"]: f"{target['health']} {target['lastError']}".strip()
            for target in answer["data"]["activeTargets"]
        }

    def judge(self) -> None:
        """Have predictions, and of each patient an outcome, as likely as was predicted."""
        chance = random.Random(7)  # noqa: S311 -- outcomes, not secrets
        patients = [
            patient_json(
                age=20.0 + n % 70,
                gender=("Female", "Male")[n % 2],
                avg_glucose_level=80.0 + n % 180,
            )
            for n in range(PATIENTS)
        ]
        api = f"{self._pipeline.api_url}/api/v1/predictions"
        with httpx.Client(headers=self._pipeline.key, timeout=60) as client:
            made = client.post(f"{api}:batch", json={"patients": patients}).json()
            for one in made["predictions"]:
                outcome = {
                    "stroke": chance.random() < one["probability"],
                    "date": datetime.now(UTC).date().isoformat(),
                    "source": "test",
                }
                url = f"{api}/{one['prediction_id']}/outcome"
                client.put(url, json=outcome).raise_for_status()

    def predict(self) -> None:
        for _ in range(3):
            url = f"{self._pipeline.api_url}/predict"
            answer = httpx.post(url, json=patient_json(), headers=self._pipeline.key, timeout=30)
            answer.raise_for_status()


@pytest.fixture(scope="module")
def monitoring(pipeline: PipelineStack) -> Iterator[Monitoring]:
    pipeline.configure(
        STROKE_NODE_EXPORTERS="node-exporter:9100",
        STROKE_MYSQL_EXPORTERS="mysql-exporter:9104",
        STROKE_PERFORMANCE_SECONDS="5",
    )
    watched = Monitoring(pipeline)
    try:
        beside(pipeline, "node-exporter", build_image("prometheus"), "prometheus-node-exporter")
        beside(pipeline, "mysql-exporter", build_image("prometheus"), *MYSQL_EXPORTER)
        pipeline.compose(
            *("--profile", "monitoring", "up", "--detach", "--no-build", "--no-deps", "--wait"),
            *SERVICES,
        )
        watched.judge()
        yield watched
    finally:
        watched.close()
        pipeline.compose("rm", "--force", "--stop", "--volumes", *SERVICES, check=False)
        for name in ("node-exporter", "mysql-exporter"):
            docker("rm", "--force", f"{pipeline.project}-{name}")
        pipeline.configure()


def beside(pipeline: PipelineStack, name: str, image: str, *command: str) -> None:
    """Run a command in a container that the stack's services know by ``name``."""
    docker(
        *("run", "--detach", "--name", f"{pipeline.project}-{name}", *labelled()),
        *("--network", f"{pipeline.project}_app-network", "--network-alias", name),
        *("--env", f"MYSQLD_EXPORTER_PASSWORD={pipeline.passwords['MYSQL_ROOT_PASSWORD']}"),
        *("--entrypoint", command[0], image, *command[1:]),
    )


def test_every_target_is_up(monitoring: Monitoring) -> None:
    jobs = (
        *("api", "connect", "broker", "watcher", "verify", "performance", "node", "mysql"),
        *("prometheus", "alertmanager"),
    )
    wanted = dict.fromkeys(jobs, "up")

    # By name: of the targets that Prometheus does not know yet, all are up.
    ends = time.monotonic() + 180
    while (found := monitoring.targets()) != wanted and time.monotonic() < ends:
        time.sleep(0.5)

    assert found == wanted
    assert [series["value"][1] for series in monitoring.ask("mysql_up")] == ["1"]


def test_every_rule_is_evaluated_without_an_error(monitoring: Monitoring) -> None:
    def seen() -> list[dict[str, Any]]:
        groups = monitoring.prometheus.get("/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    wanted = ["ok"] * len(rules())
    until(lambda: [rule["health"] for rule in seen()] == wanted, within=180, what="the rules")


def test_every_expression_of_every_dashboard_and_recording_rule_returns_something(
    monitoring: Monitoring,
) -> None:
    asked = expressions() + [(rule["record"], rule["expr"]) for rule in rules() if "record" in rule]
    empty = set(asked)
    assert len(empty) > 70

    ends = time.monotonic() + 150
    while empty and time.monotonic() < ends:
        monitoring.predict()
        empty = {(where, e) for where, e in empty if not monitoring.ask(e)}
        time.sleep(3)

    assert empty == set()


def test_every_series_that_an_alert_reads_is_there_with_its_labels(monitoring: Monitoring) -> None:
    """An alert itself returns nothing while all is well."""
    missing = {one for rule in alerts().values() for one in selectors(rule["expr"])}
    assert len(missing) > 12

    ends = time.monotonic() + 150
    while missing and time.monotonic() < ends:
        monitoring.predict()
        missing = {
            (name, labels)
            for name, labels in missing
            if not any(labels <= series["metric"].keys() for series in monitoring.ask(name))
        }
        time.sleep(3)

    assert missing == set()


def test_no_alert_fires_on_a_platform_that_is_well(monitoring: Monitoring) -> None:
    firing = monitoring.ask('ALERTS{alertstate="firing"}')

    assert {series["metric"]["alertname"] for series in firing} == set()


def test_prometheus_reaches_alertmanager_which_tells_nobody_without_a_webhook(
    monitoring: Monitoring,
) -> None:
    found = monitoring.prometheus.get("/api/v1/alertmanagers").json()["data"]
    assert [one["url"] for one in found["activeAlertmanagers"]] == [
        "http://alertmanager:9093/api/v2/alerts"
    ]

    status = monitoring.alertmanager.get("/api/v2/status").json()
    assert "receiver: nobody" in status["config"]["original"]


def test_each_part_stays_within_half_of_its_memory(
    monitoring: Monitoring, pipeline: PipelineStack
) -> None:
    used = pipeline.memory_bytes()

    assert used["prometheus"] < 256 << 20
    assert used["alertmanager"] < 64 << 20
    # The heap and what the exporter adds to it, of 800 MiB.
    assert used["kafka"] < 720 << 20


@contextmanager
def webhook(pipeline: PipelineStack) -> Iterator[Callable[[], Notices]]:
    """Have a receiver at http://webhook:8080/ of the stack's network; give what it was sent."""
    name = f"{pipeline.project}-webhook"
    beside(pipeline, "webhook", build_image("api", "pipeline"), "python", "-c", _RECEIVER)
    try:
        yield lambda: [json.loads(line) for line in docker("logs", name).splitlines() if line]
    finally:
        docker("rm", "--force", name)


@pytest.mark.soak("it waits two minutes for the rule's own interval")
def test_what_a_rule_finds_alertmanager_tells_the_webhook(
    monitoring: Monitoring, pipeline: PipelineStack
) -> None:
    with webhook(pipeline) as notices:
        pipeline.configure(STROKE_ALERT_WEBHOOK_URL="http://webhook:8080/")
        pipeline.compose(
            *("--profile", "monitoring", "up", "--detach", "--no-build", "--no-deps", "--wait"),
            "alertmanager",
        )
        pipeline.kill("api")
        try:
            until(notices, within=240, what="the webhook is called")
        finally:
            pipeline.start("api")
        notice = notices()[0]

    assert (notice["receiver"], notice["status"]) == ("webhook", "firing")
    [alert] = notice["alerts"]
    assert alert["labels"]["alertname"] == "ApiDown"
    assert alert["labels"]["severity"] == "page"
    assert alert["annotations"].keys() >= {"summary", "action"}
