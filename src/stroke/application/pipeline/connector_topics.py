"""Topics that are created before Connect starts, because Connect would choose wrong settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stroke.application.pipeline.connector_rules import (
    CLASS,
    CONTROL_TOPIC,
    DEAD_LETTERS,
    MYSQL_SOURCE,
    PARKED_BY_SOURCE,
    is_lake,
)
from stroke.application.pipeline.kafka_connect_model import ConnectorConfig

# A coordinator that no longer finds all commits here can lose rows: keep every one.
CONTROL_TOPIC_CONFIG: Final = {"cleanup.policy": "delete", "retention.ms": "-1"}
# With the settings of Connect, letters would be deleted after a week, read or not.
DEAD_LETTERS_CONFIG: Final = {"cleanup.policy": "delete", "retention.ms": "-1"}


LIMIT: Final = "max.message.bytes"
"""The setting of a topic that says how large a record may be."""
_REQUEST: Final = "producer.override.max.request.size"
_MADE_WITH: Final = "topic.creation.default."
_NO_CONFIG: Final = frozenset({"partitions", "replication.factor"})


def own_topics(config: ConnectorConfig) -> dict[str, Mapping[str, str]]:
    """Return the settings of each topic, of one partition, that a connector of ``config`` needs.

    What the connector's producer may send, its topics take: the limit is the same.
    """
    limit = {LIMIT: config[_REQUEST]} if config.get(_REQUEST) else {}
    topics: dict[str, Mapping[str, str]] = {
        config[key]: {**DEAD_LETTERS_CONFIG, **limit}
        for key in (DEAD_LETTERS, PARKED_BY_SOURCE)
        if config.get(key)
    }
    topics |= dict.fromkeys(_change_topics(config), _made_with(config))
    if is_lake(config):
        topics[config[CONTROL_TOPIC]] = CONTROL_TOPIC_CONFIG
    return topics


def _change_topics(config: ConnectorConfig) -> list[str]:
    """Return the topics of a source's tables, whose names Debezium makes."""
    prefix, tables = config.get("topic.prefix"), config.get("table.include.list")
    if config.get(CLASS) != MYSQL_SOURCE or not prefix or not tables:
        return []
    return [f"{prefix}.{table.strip()}" for table in tables.split(",")]


def _made_with(config: ConnectorConfig) -> Mapping[str, str]:
    """Return the settings with which Connect would make a source's topics."""
    return {
        name: value
        for key, value in config.items()
        if key.startswith(_MADE_WITH) and (name := key.removeprefix(_MADE_WITH)) not in _NO_CONFIG
    }
