"""The fakes of the pipeline keep the promises of its ports."""

from __future__ import annotations

import pytest

from contracts.observers import PipelineObserverContract, SeenPipeline
from contracts.pipeline import (
    PARKABLE,
    SPECS,
    ChangeTopicContract,
    ConnectorControlContract,
    ConnectorRegistryContract,
    ConnectorSpecsContract,
    DeadLetterQueueContract,
    SourceProgressContract,
    TopicRecordsContract,
    Write,
)
from fakes.pipeline import (
    FakeConnect,
    FakeConnector,
    FakeDeadLetters,
    FakePipelineObserver,
    FakeSpecs,
    FakeTopicRecords,
    FakeTopics,
)
from stroke.application.pipeline.connector_rules import JDBC_SINK
from stroke.application.pipeline.consistency import Discrepancy, TopicRecord
from stroke.application.pipeline.kafka_connect_model import TopicPartition
from stroke.domain.errors import BrokerUnavailable, ConnectUnavailable, InvalidData


class TestFakeConnect(ConnectorRegistryContract, ConnectorControlContract, SourceProgressContract):
    @pytest.fixture
    def connect(self) -> FakeConnect:
        return FakeConnect({JDBC_SINK: frozenset({"tasks.max", "topics", "errors.tolerance"})})

    @pytest.fixture
    def away(self, connect: FakeConnect) -> FakeConnect:
        connect.failing = ConnectUnavailable("away")
        return connect

    @pytest.fixture
    def source(self, connect: FakeConnect) -> str:
        position = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7"
        connect.connectors["a-source"] = FakeConnector({}, kind="source", position=position)
        return "a-source"

    @pytest.fixture
    def name(self) -> str:
        return "a-sink"

    @pytest.fixture
    def config(self) -> dict[str, str]:
        return {"connector.class": JDBC_SINK, "tasks.max": "1", "topics": "changes"}


class TestFakeSpecs(ConnectorSpecsContract):
    @pytest.fixture
    def specs(self) -> FakeSpecs:
        return FakeSpecs(**SPECS)

    @pytest.fixture
    def broken(self, specs: FakeSpecs) -> FakeSpecs:
        specs.failing = InvalidData("it is not JSON")
        return specs


class TestFakeTopics(ChangeTopicContract):
    @pytest.fixture
    def topics(self) -> FakeTopics:
        return FakeTopics()

    @pytest.fixture
    def away(self, topics: FakeTopics) -> FakeTopics:
        topics.failing = BrokerUnavailable("away")
        return topics

    @pytest.fixture
    def topic(self) -> str:
        return "changes"

    @pytest.fixture
    def write(self, topics: FakeTopics) -> Write:
        return topics.write


class TestFakeTopicRecords(TopicRecordsContract):
    @pytest.fixture
    def topic(self) -> str:
        return "changes"

    @pytest.fixture
    def reader(self, topic: str) -> FakeTopicRecords:
        reader = FakeTopicRecords()
        reader.topics[topic] = [
            TopicRecord(topic, 0, 0, 5, {"id": 7}, {"id": 8}, 6),
            TopicRecord(topic, 0, 2, 5, None, "plain text", 10),
            TopicRecord(topic, 0, 3, 5, {"id": 7}, None, 0),
        ]
        return reader

    @pytest.fixture
    def away(self) -> FakeTopicRecords:
        away = FakeTopicRecords()
        away.failing = BrokerUnavailable("away")
        return away


class TestFakeDeadLetters(DeadLetterQueueContract):
    @pytest.fixture
    def source(self) -> TopicPartition:
        return TopicPartition("changes", 0)

    @pytest.fixture
    def queue(self, source: TopicPartition) -> FakeDeadLetters:
        queue = FakeDeadLetters()
        queue.records[source] = dict(PARKABLE)
        return queue

    @pytest.fixture
    def away(self) -> FakeDeadLetters:
        away = FakeDeadLetters()
        away.failing = BrokerUnavailable("away")
        return away

    @pytest.fixture
    def topic(self) -> str:
        return "dlq.a-sink"


class TestFakePipelineObserver(PipelineObserverContract):
    @pytest.fixture
    def seen(self) -> SeenPipeline:
        return SeenByFake()


class SeenByFake(SeenPipeline):
    def __init__(self) -> None:
        self.observer: FakePipelineObserver = FakePipelineObserver()

    def running(self, name: str) -> bool | None:
        return self.observer.running.get(name)

    def restarts(self, name: str) -> int:
        return self.observer.restarts.count(name)

    def unhealed(self, name: str) -> int | None:
        return self.observer.not_healed.get(name)

    def failed(self, name: str) -> list[str]:
        cause = self.observer.failed.get(name)
        return [cause] if cause else []

    def sink(self, name: str) -> tuple[int, bool] | None:
        return self.observer.sinks.get(name)

    def gap(self) -> int | None:
        return self.observer.gap

    def compared(self, replica: str) -> dict[str, int] | None:
        found = self.observer.comparisons.get(replica)
        if found is None:
            return None
        counts = {kind.value: found.count(kind) for kind in Discrepancy}
        return {"rows": found.rows, "duplicates": found.duplicates, **counts}
