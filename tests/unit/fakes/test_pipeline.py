"""The fakes of the pipeline keep the promises of its ports."""

from __future__ import annotations

import pytest

from contracts.pipeline import (
    PARKABLE,
    ChangeTopicContract,
    ConnectContract,
    DeadLetterQueueContract,
    Write,
)
from fakes.pipeline import FakeConnect, FakeDeadLetters, FakeTopics
from stroke.application.pipeline.connector_rules import JDBC_SINK
from stroke.application.pipeline.kafka_connect_model import TopicPartition


class TestFakeConnect(ConnectContract):
    @pytest.fixture
    def connect(self) -> FakeConnect:
        return FakeConnect({JDBC_SINK: frozenset({"tasks.max", "topics", "errors.tolerance"})})

    @pytest.fixture
    def name(self) -> str:
        return "a-sink"

    @pytest.fixture
    def config(self) -> dict[str, str]:
        return {"connector.class": JDBC_SINK, "tasks.max": "1", "topics": "changes"}


class TestFakeTopics(ChangeTopicContract):
    @pytest.fixture
    def topics(self) -> FakeTopics:
        return FakeTopics()

    @pytest.fixture
    def topic(self) -> str:
        return "changes"

    @pytest.fixture
    def write(self, topics: FakeTopics) -> Write:
        return topics.write


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
    def topic(self) -> str:
        return "dlq.a-sink"
