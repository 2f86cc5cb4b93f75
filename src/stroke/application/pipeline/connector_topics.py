"""Topics that are created before Connect starts, because Connect would choose wrong settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stroke.application.pipeline.connector_rules import (
    CONTROL_TOPIC,
    DEAD_LETTERS,
    PARKED_BY_SOURCE,
    is_lake,
)
from stroke.application.pipeline.kafka_connect_model import ConnectorConfig

# A coordinator that no longer finds all commits here can lose rows: keep every one.
CONTROL_TOPIC_CONFIG: Final = {"cleanup.policy": "delete", "retention.ms": "-1"}
# With the settings of Connect, letters would be deleted after a week, read or not.
DEAD_LETTERS_CONFIG: Final = {"cleanup.policy": "delete", "retention.ms": "-1"}


def own_topics(config: ConnectorConfig) -> dict[str, Mapping[str, str]]:
    """Return the settings of each topic, of one partition, that a connector of ``config`` needs."""
    topics: dict[str, Mapping[str, str]] = {
        config[key]: DEAD_LETTERS_CONFIG
        for key in (DEAD_LETTERS, PARKED_BY_SOURCE)
        if config.get(key)
    }
    if is_lake(config):
        topics[config[CONTROL_TOPIC]] = CONTROL_TOPIC_CONFIG
    return topics
