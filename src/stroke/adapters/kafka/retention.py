"""Until when a topic keeps events of rows that were erased."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    ResourceType,
)

from stroke.adapters.kafka.topics import SILENT, broken_off
from stroke.application.erasure.ports import Kept, Retention

_RETENTION: Final = "retention.ms"
# A file of a topic goes as a whole, once its newest record is old enough; so long it is written to.
_SEGMENT: Final = "segment.ms"
_POLICY: Final = "cleanup.policy"
_DELETES: Final = "delete"


class TopicRetention(Retention):
    """Asks the brokers at ``bootstrap_servers`` for the settings of ``topic``.

    Raises ``BrokerUnavailable`` when they do not answer for ``timeout`` seconds.
    """

    def __init__(self, bootstrap_servers: str, topic: str, *, timeout: float = 10.0) -> None:
        self._servers = bootstrap_servers
        self._topic = topic
        self._timeout = timeout

    async def kept(self, erased: datetime, *, now: datetime) -> Sequence[Kept]:
        told = await asyncio.to_thread(self._settings)
        if told is None:
            return []
        what, milliseconds = f"Kafka's topic {self._topic}", int(told[_RETENTION])
        if milliseconds < 0 or _DELETES not in told[_POLICY]:
            return [Kept(what, None)]
        until = erased + timedelta(milliseconds=milliseconds + int(told[_SEGMENT]))
        return [Kept(what, until)] if until > now else []

    def _settings(self) -> dict[str, str] | None:
        with broken_off(self._servers):
            asked = ConfigResource(ResourceType.TOPIC, self._topic)
            admin = AdminClient({"bootstrap.servers": self._servers}, logger=SILENT)
            answers = admin.describe_configs([asked], request_timeout=self._timeout)
            try:
                found = answers[asked].result(timeout=self._timeout)
            except KafkaException as error:
                if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    return None
                raise
            return {name: str(found[name].value) for name in (_RETENTION, _SEGMENT, _POLICY)}
