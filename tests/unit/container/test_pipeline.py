"""The committed connectors, with every combination of settings that alters them."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from stroke.application.pipeline.connector_rules import violations
from stroke.application.pipeline.connector_topics import own_topics
from stroke.application.pipeline.kafka_connect_model import ConnectorConfig
from stroke.config import PipelineSettings
from stroke.container.pipeline import PipelineContainer, connector_files, use_schema_account
from stroke.domain.errors import InvalidSetting

FOLDER = Path(__file__).resolve().parents[3] / "connectors"
NAMES = {
    "mysql-source": "stroke-predictions-connector",
    "s3-sink": "s3-sink-stroke-predictions",
    "sqlserver-sink": "mssql-sink-predictions",
}
CLUSTER = "-MkU3OEVBNTcwNTJENDM2Qg"
COMBINATIONS = [
    {
        "STROKE_LAKE_CATALOG": catalog,
        "STROKE_LAKE_ENDPOINT": endpoint,
        "STROKE_LAKE_PATH_STYLE": style,
        "STROKE_CDC_MASK": mask,
        "STROKE_CDC_MASK_SALT": salt,
    }
    for catalog, endpoint, style, mask, salt in itertools.product(
        ("jdbc", "glue", "rest"),
        ("", "http://s3:5000"),
        ("true", "false"),
        ("", "name"),
        ("", "s3cret-salt"),
    )
]

BUILDS = """
import sys
from stroke.config import PipelineSettings
from stroke.container.pipeline import PipelineContainer
print(type(PipelineContainer(settings=PipelineSettings.load()).connectors()).__name__)
print(*sorted(sys.modules))
"""
READ_A_LAKE = {"numpy", "pyarrow", "pyiceberg.catalog", "pyiceberg.schema", "pyiceberg.table"}
"""What takes a second to import, at the start of every command of the pipeline."""


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("STROKE_", "MYSQL_", "MSSQL_", "AWS_", "S3_", "SCHEMA_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STROKE_CONNECT_FOLDER", str(FOLDER))


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> dict[str, str]:
    for name, value in request.param.items():
        monkeypatch.setenv(name, value)
    return dict(request.param)


def configs() -> dict[str, ConnectorConfig]:
    files = connector_files(PipelineSettings.load())
    return {file: files.load(file, cluster_id=CLUSTER).config for file in files.names()}


def test_the_files_are_known_by_these_names() -> None:
    assert connector_files(PipelineSettings.load()).names() == NAMES


@pytest.mark.parametrize("given", COMBINATIONS, indirect=True)
def test_every_combination_of_settings_gives_connectors_that_break_no_rule(
    given: dict[str, str],
) -> None:
    for file, config in configs().items():
        assert violations(config) == [], file
        # All is filled in but what the worker fills.
        assert not re.search(r"(?<!\$)\{", "".join(config.values())), file
    assert "s3cret-salt" not in json.dumps({f: dict(c) for f, c in configs().items()})


@pytest.mark.parametrize("given", COMBINATIONS, indirect=True)
def test_names_are_masked_exactly_when_the_setting_says_so(given: dict[str, str]) -> None:
    source = configs()["mysql-source"]

    masks = [key for key, value in source.items() if value.endswith(".MaskColumn")]
    assert bool(masks) is (given["STROKE_CDC_MASK"] == "name")
    salted = [value for key, value in source.items() if key.endswith(".salt")]
    both = given["STROKE_CDC_MASK"] and given["STROKE_CDC_MASK_SALT"]
    assert salted == (["${env:STROKE_CDC_MASK_SALT}"] if both else [])


def test_every_overlay_is_chosen_by_some_combination(monkeypatch: pytest.MonkeyPatch) -> None:
    written = {
        overlay
        for file in FOLDER.glob("*.json")
        for overlay in json.loads(file.read_text())["overlays"]
    }
    seen = set()
    for combination in COMBINATIONS:
        for name, value in combination.items():
            monkeypatch.setenv(name, value)
        seen |= set(connector_files(PipelineSettings.load()).overlays)

    assert seen == written


def test_connectors_speak_of_the_topic_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert configs()["s3-sink"]["topics"] == "dbserver1.stroke_predictions.predictions"
    assert configs()["s3-sink"]["iceberg.control.topic"] == f"control-iceberg-{CLUSTER}"

    monkeypatch.setenv("MYSQL_SERVER_NAME", "hospital")
    monkeypatch.setenv("MYSQL_DATABASE", "clinic")

    assert configs()["mysql-source"]["topic.prefix"] == "hospital"
    assert {c["topics"] for c in configs().values() if "topics" in c} == {
        "hospital.clinic.predictions"
    }


def test_kafka_gets_the_retention_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "topic.creation.default.retention.ms"
    assert configs()["mysql-source"][key] == str(14 * 24 * 3600 * 1000)
    monkeypatch.setenv("STROKE_KAFKA_RETENTION_HOURS", "-1")
    assert configs()["mysql-source"][key] == "-1"


@hypothesis.given(most=st.integers(2**20, 2**26))
@hypothesis.settings(max_examples=20, deadline=None)
def test_what_one_part_may_send_the_next_one_takes(most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STROKE_KAFKA_MAX_RECORD_BYTES", str(most))
        made = configs()

    source, topics = made["mysql-source"], own_topics(made["mysql-source"])
    assert int(source["transforms.large.max.bytes"]) == most
    sent = int(source["producer.override.max.request.size"])
    assert most < sent <= int(source["producer.override.buffer.memory"])
    assert int(source["topic.creation.default.max.message.bytes"]) == sent
    assert {int(settings["max.message.bytes"]) for settings in topics.values()} == {sent}
    assert set(topics) == {
        "dbserver1.stroke_predictions.predictions",
        "dlq.stroke-predictions-connector",
    }
    for sink in ("s3-sink", "sqlserver-sink"):
        config = made[sink]
        letter = int(config["producer.override.max.request.size"])
        assert letter > sent, "the headers of a letter come on top"
        assert int(config["consumer.override.max.partition.fetch.bytes"]) == sent
        assert int(config["consumer.override.fetch.max.bytes"]) >= sent
        letters = own_topics(config)[config["errors.deadletterqueue.topic.name"]]
        assert int(letters["max.message.bytes"]) == letter


@pytest.mark.parametrize("most", [2**20 - 1, 2**26 + 1])
def test_a_limit_that_no_broker_serves_is_refused(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROKE_KAFKA_MAX_RECORD_BYTES", str(most))

    with pytest.raises(InvalidSetting, match="STROKE_KAFKA_MAX_RECORD_BYTES"):
        PipelineSettings.load()


@pytest.mark.parametrize(("seconds", "given"), [(None, "5000"), ("1", "1000"), ("600", "600000")])
def test_the_source_says_how_far_it_is_as_often_as_the_setting_says(
    seconds: str | None, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if seconds is not None:
        monkeypatch.setenv("STROKE_CDC_HEARTBEAT_SECONDS", seconds)

    source = configs()["mysql-source"]

    assert source["heartbeat.interval.ms"] == given
    assert violations(source) == []


def test_the_watch_waits_longer_than_a_commit_of_the_lake(monkeypatch: pytest.MonkeyPatch) -> None:
    def patience() -> float:
        return PipelineContainer(settings=PipelineSettings.load()).watch_policy().stalled_seconds

    assert patience() == 120
    monkeypatch.setenv("STROKE_LAKE_COMMIT_SECONDS", "300")
    assert patience() == 1200


def test_the_connectors_are_built_without_what_reads_a_lake() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BUILDS], capture_output=True, text=True, check=True, timeout=60
    )

    built, *imported = done.stdout.split()
    assert built == "ConnectorService"
    assert "stroke.adapters.iceberg.change_log" in imported
    assert set(imported) & READ_A_LAKE == set()


@pytest.mark.parametrize(
    ("migration_url", "user"),
    [("mysql://stroke_schema:x@elsewhere/d", "stroke_schema"), ("", "stroke")],
)
def test_what_sets_the_counter_of_ids_does_so_as_the_account_of_the_schema_if_there_is_one(
    monkeypatch: pytest.MonkeyPatch, migration_url: str, user: str
) -> None:
    monkeypatch.setenv("STROKE_DATABASE_URL", "mysql://stroke:x@nowhere/d")
    monkeypatch.setenv("STROKE_DATABASE_MIGRATION_URL", migration_url)
    settings = PipelineSettings.load()
    parts = PipelineContainer(settings=settings)
    use_schema_account(parts, settings)
    assert parts.source()._engine is parts.source_engine()
    assert parts.source_engine().url.username == user

    every_other = PipelineContainer(settings=settings)
    assert every_other.source_engine().url.username == "stroke"
