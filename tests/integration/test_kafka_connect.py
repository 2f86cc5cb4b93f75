"""KafkaConnect, and the committed connectors, on a real worker."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from components.containers import ROOT, free_port
from components.stack import PipelineStack
from contracts.pipeline import (
    Connect,
    ConnectorControlContract,
    ConnectorRegistryContract,
    SourceProgressContract,
    comes_true,
)
from stroke.adapters.kafka.topics import KafkaChangeTopic
from stroke.adapters.kafka_connect.rest import KafkaConnect
from stroke.application.pipeline.broker import Broker
from stroke.application.pipeline.connector_rules import JDBC_SINK, violations
from stroke.application.pipeline.kafka_connect_model import ConnectorConfig
from stroke.config import PipelineSettings
from stroke.container.pipeline import connector_files
from stroke.domain.errors import ConnectorNotFound


@pytest.fixture
async def connect(pipeline: PipelineStack) -> AsyncIterator[KafkaConnect]:
    adapter = KafkaConnect(pipeline.connect_url, timeout=30)
    yield adapter
    await adapter.aclose()


@pytest.fixture
async def name(connect: KafkaConnect) -> AsyncIterator[str]:
    name = f"throw-away-{secrets.token_hex(4)}"
    yield name
    with suppress(ConnectorNotFound):
        await connect.remove(name)


@pytest.fixture
async def config(pipeline: PipelineStack) -> dict[str, str]:
    """A sink of a topic of its own, which nothing ever comes from."""
    topic = f"throw-away-{secrets.token_hex(4)}"
    await KafkaChangeTopic(Broker(pipeline.bootstrap_servers), timeout=10).ensure_topic(topic, {})
    return {
        "connector.class": JDBC_SINK,
        "tasks.max": "1",
        "topics": topic,
        "connection.url": "${env:STROKE_SINK_JDBC_URL}",
        "connection.username": "${env:STROKE_SINK_USER}",
        "connection.password": "${env:STROKE_SINK_PASSWORD}",
        "insert.mode": "upsert",
        "primary.key.mode": "record_key",
    }


async def no_pause(_seconds: float) -> None:
    pass


class TestKafkaConnect(ConnectorRegistryContract, ConnectorControlContract, SourceProgressContract):
    @pytest.fixture
    def source(self, connect: KafkaConnect, monkeypatch: pytest.MonkeyPatch) -> str:
        """The platform's own source."""
        monkeypatch.setenv("STROKE_CONNECT_FOLDER", str(ROOT / "connectors"))
        return connector_files(PipelineSettings.load()).names()["mysql-source"]

    @pytest.fixture
    async def away(self) -> AsyncIterator[KafkaConnect]:
        url = f"http://127.0.0.1:{free_port()}"
        adapter = KafkaConnect(url, timeout=30, sleep=no_pause)
        yield adapter
        await adapter.aclose()


@pytest.mark.anyio
async def test_a_task_that_cannot_reach_its_database_fails_by_class_only(
    connect: Connect, name: str, config: ConnectorConfig
) -> None:
    await connect.put(name, {**config, "connection.url": "jdbc:postgresql://127.0.0.1:1/secretdb"})

    async def has_failed() -> bool:
        with suppress(ConnectorNotFound):
            return (await connect.status(name)).has_failed
        return False

    await comes_true(has_failed)
    status = await connect.status(name)
    assert "Exception" in status.tasks[0].reason
    assert "secretdb" not in repr(status)


@pytest.mark.anyio
@pytest.mark.parametrize("file", ["mysql-source", "s3-sink", "sqlserver-sink"])
async def test_a_committed_connector_is_good_by_our_rules_and_by_connects(
    connect: Connect, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROKE_CONNECT_FOLDER", str(ROOT / "connectors"))
    files = connector_files(PipelineSettings.load())
    spec = files.load(file, cluster_id=await connect.cluster_id())

    known = await connect.known_keys(spec.config["connector.class"])

    assert violations(spec.config, known) == []
    assert await connect.check(spec.name, spec.config) == []


@pytest.mark.anyio
@pytest.mark.parametrize("file", ["mysql-source", "s3-sink", "sqlserver-sink"])
async def test_a_misspelt_key_is_found_by_what_connect_knows(
    connect: Connect, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROKE_CONNECT_FOLDER", str(ROOT / "connectors"))
    config = connector_files(PipelineSettings.load()).load(file, cluster_id="c").config
    known = await connect.known_keys(config["connector.class"])

    [found] = violations({**config, "errors.tolerence": "none"}, known)

    assert (found.field, found.reason) == (
        "errors.tolerence",
        "is not known: is it errors.tolerance?",
    )
