"""The connectors as values of the Helm chart, which makes Strimzi's resources of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from stroke.application.pipeline.kafka_connect_model import ConnectorSpec

# A KafkaConnector has a field for each of these and takes neither in its config.
CLASS: Final = "connector.class"
TASKS: Final = "tasks.max"


def chart_values(
    specs: Iterable[ConnectorSpec],
    topics: Mapping[str, Mapping[str, str]],
    *,
    replication_factor: int,
) -> dict[str, Any]:
    """Return ``connect.connectors`` and ``connect.topics``, by the names that Kafka knows."""
    return {
        "connect": {
            "connectors": {spec.name: _connector(spec) for spec in specs},
            "topics": {
                name: {"partitions": 1, "replicas": replication_factor, "config": dict(config)}
                for name, config in sorted(topics.items())
            },
        }
    }


def _connector(spec: ConnectorSpec) -> dict[str, Any]:
    config = {key: value for key, value in spec.config.items() if key not in {CLASS, TASKS}}
    return {
        "class": spec.config[CLASS],
        "tasksMax": int(spec.config.get(TASKS, "1")),
        "config": config,
    }
