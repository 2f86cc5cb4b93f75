from __future__ import annotations

from stroke.adapters.kafka_connect.chart_values import chart_values
from stroke.application.pipeline.kafka_connect_model import ConnectorSpec

SPEC = ConnectorSpec(
    "a-file", "a-sink", {"connector.class": "a.Sink", "tasks.max": "2", "topics": "changes"}
)
TOPICS = {"letters": {"retention.ms": "-1"}}


def test_class_and_tasks_have_fields_of_their_own_and_the_rest_stays_as_it_is() -> None:
    found = chart_values([SPEC], {}, replication_factor=1)["connect"]["connectors"]
    assert found == {"a-sink": {"class": "a.Sink", "tasksMax": 2, "config": {"topics": "changes"}}}


def test_a_topic_has_one_partition_and_as_many_replicas_as_is_said() -> None:
    found = chart_values([], TOPICS, replication_factor=3)["connect"]["topics"]
    assert found == {"letters": {"partitions": 1, "replicas": 3, "config": TOPICS["letters"]}}
