"""The files of deploy/prometheus, by the tools that come with Prometheus and Alertmanager."""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.prometheus_image import FOLDER, alerts, rules, run_tool

CASES = [
    case
    for path in sorted((FOLDER / "tests").glob("*.yml"))
    for case in yaml.safe_load(path.read_text())["tests"]
]
# A recording rule is named by what it is over: level:metric:operation.
RECORDED = re.compile(r"\bstroke:[a-z0-9_]+:[a-z0-9_]+\b")


def test_the_configuration_is_what_prometheus_takes(docker_engine: None) -> None:
    said = run_tool("promtool", "check", "config", "/etc/stroke/prometheus.yml")

    assert "SUCCESS: /etc/stroke/prometheus.yml is valid" in said


def test_the_rules_are_what_prometheus_takes(docker_engine: None) -> None:
    said = run_tool("sh", "-c", "promtool check rules --lint=all --lint-fatal ../rules/*.yml")

    found = [int(n) for n in re.findall(r"SUCCESS: (\d+) rules found", said)]
    assert sum(found) == len(rules())


def test_every_case_of_every_rule_comes_out_as_it_says(docker_engine: None) -> None:
    said = run_tool("sh", "-c", "promtool test rules *.yml")

    assert said.count("SUCCESS") == len(list((FOLDER / "tests").glob("*.yml")))


def test_alertmanager_takes_its_configuration(docker_engine: None) -> None:
    assert "SUCCESS" in run_tool("amtool", "check-config", "/etc/stroke/alertmanager.yml")


@pytest.mark.parametrize(
    ("severity", "webhook", "receiver"),
    [("page", "http://127.0.0.1:1/", "webhook"), ("ticket", "", "nobody")],
)
def test_an_alert_goes_to_the_webhook_if_one_is_set(
    docker_engine: None, severity: str, webhook: str, receiver: str
) -> None:
    """The start script's own configuration is read by amtool in Alertmanager's place."""
    script = "sed 's#^exec /bin/alertmanager.*#cp $config /tmp/used.yml; exit#' ../alertmanager.sh"
    said = run_tool(
        "sh",
        "-c",
        f"{script} > /tmp/start && STROKE_ALERT_WEBHOOK_URL='{webhook}' sh /tmp/start; "
        f"amtool config routes test --config.file=/tmp/used.yml severity={severity}",
    )

    # amtool warns on stderr, which comes before or after.
    assert {"webhook", "nobody"} & set(said.splitlines()) == {receiver}


def test_no_receiver_has_its_address_in_the_configuration() -> None:
    for receiver in yaml.safe_load((FOLDER / "alertmanager.yml").read_text())["receivers"]:
        for webhook in receiver.get("webhook_configs", []):
            assert webhook.keys() == {"url_file", "send_resolved"}


def outcomes(cases: list[dict[str, Any]]) -> dict[str, set[bool]]:
    """Return, of each alert, whether cases of its own let it fire, and stay quiet.

    Quiet for a while in a case that fires later is not quiet.
    """
    found: dict[str, set[bool]] = defaultdict(set)
    for case in cases:
        fires: dict[str, bool] = defaultdict(bool)
        for check in case.get("alert_rule_test", []):
            fires[check["alertname"]] |= bool(check["exp_alerts"])
        for name, fired in fires.items():
            found[name].add(fired)
    return found


def test_every_alert_has_a_case_that_fires_and_one_that_stays_quiet() -> None:
    found = outcomes(CASES)

    assert len(alerts()) >= 15
    assert found.keys() <= alerts().keys(), "cases of alerts that are not there: they stay quiet"
    assert {name for name in alerts() if found[name] != {True, False}} == set()


def test_an_alert_without_a_case_that_fires_is_found_out() -> None:
    only_quiet = [{"alert_rule_test": [{"alertname": "ApiDown", "exp_alerts": []}]}]

    assert outcomes(only_quiet)["ApiDown"] == {False}


def test_every_recording_rule_has_a_case_of_its_value() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    tested = {check["expr"] for case in CASES for check in case.get("promql_expr_test", [])}

    assert recorded == tested


def test_every_alert_says_what_to_do_and_uses_recorded_series_that_exist() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in {"page", "ticket"}, name
        assert rule["annotations"].keys() == {"summary", "action"}, name
        assert set(RECORDED.findall(rule["expr"])) <= recorded, name


def test_a_rule_that_never_fires_makes_its_case_fail(docker_engine: None, tmp_path: Path) -> None:
    changed = tmp_path / "prometheus"
    shutil.copytree(FOLDER, changed)
    tmp_path.chmod(0o755)
    file = changed / "rules" / "pipeline.yml"
    file.write_text(file.read_text().replace("stroke_pipeline_stalled == 1", "stroke_stalled == 1"))

    with pytest.raises(AssertionError, match="SinkStandsStill"):
        run_tool("sh", "-c", "promtool test rules pipeline.yml", at=changed)
