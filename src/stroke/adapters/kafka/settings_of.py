"""What the brokers say of a topic's settings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    ResourceType,
)

_RETENTION: Final = "retention.ms"
# A file of a topic goes as a whole, once its newest record is old enough; so long it is written to.
SEGMENT: Final = "segment.ms"
_POLICY: Final = "cleanup.policy"
_DELETES: Final = "delete"
_LONGEST: Final = timedelta(days=365 * 1000)


def topic_settings(admin: AdminClient, topic: str, timeout: float) -> Mapping[str, str] | None:
    """Return a topic's settings by their names; None where there is no such topic.

    Raises ``KafkaException`` or ``TimeoutError``.
    """
    asked = ConfigResource(ResourceType.TOPIC, topic)
    answers = admin.describe_configs([asked], request_timeout=timeout)
    try:
        found = answers[asked].result(timeout=timeout)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return None
        raise
    return {name: str(entry.value) for name, entry in found.items() if entry.value is not None}


def kept_for(settings: Mapping[str, str]) -> timedelta | None:
    """Return how long a topic of these settings keeps a record at the most; None for ever."""
    milliseconds = int(settings[_RETENTION])
    if milliseconds < 0 or _DELETES not in settings[_POLICY]:
        return None
    milliseconds += int(settings[SEGMENT])
    if milliseconds > _LONGEST / timedelta(milliseconds=1):
        return None  # as good as for ever, and no date of the calendar
    return timedelta(milliseconds=milliseconds)
